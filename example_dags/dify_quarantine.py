"""Disable documents that fail a retrieval check, and leave everything else as it is.

The check reports documents that search should not have returned, such as a draft that answers a question which only
the published document should answer. These are disabled. When somebody has fixed them, they can be enabled again.
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
        "queries": Param([], type="array", title="Queries, and what they must not return"),
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
        """Skip the rest if the check passed."""
        return bool(report["failed_documents"])

    quarantine = DifyDocumentStatusOperator(
        task_id="quarantine",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ ti.xcom_pull('check')['failed_documents'] }}",
        action="disable",
    )

    check >> anything_unwanted(check.output) >> quarantine
