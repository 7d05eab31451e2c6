"""What Airflow's users see and touch."""
