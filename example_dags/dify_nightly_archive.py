"""Archive the documents of a Dify knowledge base that are older than 90 days, every night.

The guards stop the task before anything is changed if more documents than expected are that old, for example because of
a wrong setting, or because nobody has added documents for three months.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator

with DAG(
    dag_id="dify_nightly_archive",
    description="Archive documents older than 90 days in a Dify knowledge base",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={"dataset_id": Param("", type="string", title="UUID of the knowledge base")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
) as dag:
    # [START howto_operator_dify_filters]
    DifyDocumentStatusOperator(
        task_id="archive_old",
        dataset_id="{{ params.dataset_id }}",
        filters={"status": "available", "created_before": "90d"},
        action="archive",
        max_documents=500,
        max_share=0.2,
    )
    # [END howto_operator_dify_filters]
