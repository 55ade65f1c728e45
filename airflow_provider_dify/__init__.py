"""Apache Airflow provider for Dify knowledge bases.

Airflow imports this package while its own configuration is still being loaded, so nothing is imported here.
"""

__version__ = "0.1.0"
