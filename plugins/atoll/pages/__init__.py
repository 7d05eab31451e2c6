"""The pages inside Airflow's UI: models, studies, labelled days."""
