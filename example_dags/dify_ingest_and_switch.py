"""Ingest a folder into a Dify knowledge base, check that search finds it, and archive what it replaces.

Each file becomes a new version of its document, beside the old one. The old versions are archived only after search has
found the new ones, so that search always finds one of the two. If no file has changed, a run sends nothing and archives
nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator

with DAG(
    dag_id="dify_ingest_and_switch",
    description="Ingest a folder into a Dify knowledge base, check it, and archive the old versions",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "source": Param("", type="string", title="Folder, pattern or URL of the files"),
        "queries": Param([], type="array", title="What search has to find before the old versions are archived"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    # [START howto_operator_dify_ingest]
    ingest = DifyDocumentIngestOperator(
        task_id="ingest",
        dataset_id="{{ params.dataset_id }}",
        source="{{ params.source }}",
        if_exists="new_version",
        metadata={"pipeline": "{{ dag.dag_id }}"},
        indexing_technique="economy",
    )
    # [END howto_operator_dify_ingest]

    # [START howto_operator_dify_retrieval_check]
    check = DifyRetrievalCheckOperator(
        task_id="check",
        dataset_id="{{ params.dataset_id }}",
        queries="{{ params.queries }}",
    )
    # [END howto_operator_dify_retrieval_check]

    enable_new = DifyDocumentStatusOperator(
        task_id="enable_new",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ ti.xcom_pull('ingest')['document_ids'] }}",
        action="enable",
    )

    @task.short_circuit
    def anything_replaced(report: Any) -> bool:
        """Skip the rest if there is no old version to archive."""
        return bool(report["old_document_ids"])

    archive_old = DifyDocumentStatusOperator(
        task_id="archive_old",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ ti.xcom_pull('ingest')['old_document_ids'] }}",
        action="archive",
        tolerate=("missing",),
    )

    ingest >> check >> enable_new >> anything_replaced(ingest.output) >> archive_old
