"""Archive a very large selection of documents of a Dify knowledge base, with many workers.

The selection is split into batches, and each batch is a task with its own retries and report, which runs on any free
worker. If a worker dies, nothing is lost: the next try finds what was already archived and sends only the rest.

The pool ``dify`` limits how many of the tasks talk to Dify at a time. Create it once, with two to four slots:

    airflow pools set dify 2 "Tasks that talk to Dify"
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator

with DAG(
    dag_id="dify_archive_at_scale",
    description="Archive documents older than 90 days in a very large Dify knowledge base, batch by batch",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={"dataset_id": Param("", type="string", title="UUID of the knowledge base")},
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
) as dag:
    # [START howto_operator_dify_batches]
    select_old = DifyListDocumentsOperator(
        task_id="select_old",
        dataset_id="{{ params.dataset_id }}",
        filters={"status": "available", "created_before": "90d"},
        batches_of=2000,
        # The guard is here, because each of the tasks below only sees its own batch.
        max_documents=50_000,
    )
    DifyDocumentStatusOperator.partial(
        task_id="archive",
        dataset_id="{{ params.dataset_id }}",
        action="archive",
        map_index_template="batch {{ ti.map_index + 1 }}, documents: {{ task.document_ids | length }}",
        pool="dify",
        # Waiting for search uses no worker slot. It takes a while: Dify's worker has the batches of all tasks in one
        # queue and needs 53 ms per document.
        deferrable=True,
        timeout=3600,
    ).expand(document_ids=select_old.output)
    # [END howto_operator_dify_batches]
