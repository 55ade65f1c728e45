"""Take documents that fail a retrieval check out of search, and leave everything else as it is.

The check reports what search found and should not have found, such as a document that answers a question about
which only another one may speak. These are disabled; when somebody has mended them, they can be enabled again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator

with DAG(
    dag_id="dify_quarantine",
    description="Disable the documents of a Dify knowledge base that fail a retrieval check",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "queries": Param([], type="array", title="Queries, and what they must not find"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    check = DifyRetrievalCheckOperator(
        task_id="check",
        dataset_id="{{ params.dataset_id }}",
        queries="{{ params.queries }}",
        on_failure="report",
    )

    @task.short_circuit
    def anything_unwanted(report: Any) -> bool:
        """Skip the rest where the check found nothing that fails it."""
        return bool(report["failed_documents"])

    quarantine = DifyDocumentStatusOperator(
        task_id="quarantine",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ ti.xcom_pull('check')['failed_documents'] }}",
        action="disable",
    )

    check >> anything_unwanted(check.output) >> quarantine
