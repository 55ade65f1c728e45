"""Apache Airflow provider for Dify knowledge bases and apps.

Airflow imports this package while its own configuration is still being loaded, so nothing is imported here.
"""

__version__ = "0.1.0"
#: XCom key of a task's report; it is there also if the task failed.
REPORT_KEY = "report"
#: Id of the Airflow Connection unless told otherwise.
DEFAULT_CONN_ID = "dify_default"
#: The same for the connection of an app, whose key opens nothing else.
DEFAULT_APP_CONN_ID = "dify_app"
