"""Enable newly ingested documents of a Dify knowledge base, and archive the ones that they replace.

The new documents are enabled first, so that search always finds one of the two versions. If the second task succeeds,
search finds the new documents and none of the old ones.

Here, the ids are parameters of the run. If your DAG also ingests the documents, pass the output of that task to the
operators.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator

with DAG(
    dag_id="dify_archive_after_ingestion",
    description="Enable the new documents of a Dify knowledge base, then archive the old ones",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "new_document_ids": Param([], type=["array", "string"], title="Documents to enable"),
        "old_document_ids": Param([], type=["array", "string"], title="Documents to archive"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
) as dag:
    # [START howto_operator_dify_enable]
    enable_new = DifyDocumentStatusOperator(
        task_id="enable_new",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ params.new_document_ids }}",
        action="enable",
    )
    # [END howto_operator_dify_enable]

    # [START howto_operator_dify_archive]
    archive_old = DifyDocumentStatusOperator(
        task_id="archive_old",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ params.old_document_ids }}",
        action="archive",
        # An old document that somebody has deleted is out of search, too.
        tolerate=("missing",),
    )
    # [END howto_operator_dify_archive]

    enable_new >> archive_old
