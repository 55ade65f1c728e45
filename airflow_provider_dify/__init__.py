"""Apache Airflow provider for Dify knowledge bases and apps.

Airflow imports this package while its own configuration is still being loaded, so nothing is imported here.
"""

__version__ = "0.1.0"
#: XCom key of a task's report. It is also set if the task failed.
REPORT_KEY = "report"
#: Default id of the Airflow Connection.
DEFAULT_CONN_ID = "dify_default"
#: Default id of an app's connection: an app key only works for its app.
DEFAULT_APP_CONN_ID = "dify_app"
