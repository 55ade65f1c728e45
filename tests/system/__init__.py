"""The provider in a real Airflow, with all its processes. Not for pytest: run ``python -m tests.system``."""
