"""Hooks turn an Airflow Connection into a client for Dify."""
