"""The whole of Atoll on this machine: PostgreSQL, Airflow and MLflow, started, watched and stopped together."""
