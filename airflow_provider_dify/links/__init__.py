"""Links from tasks in Airflow to Dify's console."""
