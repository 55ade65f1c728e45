"""Hooks: an Airflow Connection becomes a client of Dify."""
