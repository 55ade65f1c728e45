"""Every hour, have Dify index the documents of a knowledge base again whose indexing has failed.

If the embedding model or Dify's worker was down for a while, this repairs what was ingested meanwhile. A document that
fails again makes the task red, and the report has Dify's message about it. Releases of Dify up to 1.17.1 cannot do it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.documents import DifyReindexOperator

with DAG(
    dag_id="dify_reindex",
    description="Have Dify index failed documents of a knowledge base again",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={"dataset_id": Param("", type="string", title="UUID of the knowledge base")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
) as dag:
    DifyReindexOperator(
        task_id="reindex",
        dataset_id="{{ params.dataset_id }}",
        filters={"status": "error"},
        max_documents=500,
        deferrable=True,
    )
