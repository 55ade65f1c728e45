"""Archive a very large selection of documents of a Dify knowledge base with as many workers as there are.

The selection is cut into batches, and each batch is a task: it has a retry and a report of its own, and runs wherever a
worker is free. A worker that dies takes nothing with it: the next try of its task finds what was archived before, and
sends only the rest.

The pool ``dify`` says how many of the tasks talk to Dify at a time. Make it once, with two to four slots:

    airflow pools set dify 2 "Tasks that talk to Dify"
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator

with DAG(
    dag_id="dify_archive_at_scale",
    description="Archive what is older than 90 days in a very large Dify knowledge base, batch by batch",
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
        # The guard stands here, as the tasks below see a batch each.
        max_documents=50_000,
    )
    DifyDocumentStatusOperator.partial(
        task_id="archive",
        dataset_id="{{ params.dataset_id }}",
        action="archive",
        pool="dify",
        # Waiting for search holds no slot of a worker. It is long, as Dify's worker has the batches of all tasks in one
        # queue, and takes 53 ms for each document.
        deferrable=True,
        timeout=3600,
    ).expand(document_ids=select_old.output)
    # [END howto_operator_dify_batches]
