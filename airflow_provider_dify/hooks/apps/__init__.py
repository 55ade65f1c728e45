"""Running apps from Python: in a task, in an event loop, and as an agent of Airflow."""
