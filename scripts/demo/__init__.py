"""What ``make demo`` runs: example DAGs in a real Airflow, against the built-in Dify or a real one."""
