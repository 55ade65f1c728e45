"""A first DAG: add documents to a Dify knowledge base, check that search finds them, and archive drafts."""

from __future__ import annotations

# [START first_steps]
import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator

with DAG(
    dag_id="dify_first_steps",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    params={
        "dataset_id": Param("", type="string", title="Knowledge base (UUID)"),
        "dry_run": Param(True, type="boolean", title="Dry run (only report)"),
    },
) as dag:
    ingest = DifyDocumentIngestOperator(
        task_id="ingest",
        dataset_id="{{ params.dataset_id }}",
        # Or files, such as "s3://handbook/pages/*.md".
        source=[{"name": "parking.md", "text": "Visitors park on deck 2."}],
        indexing_technique="economy",
    )
    check = DifyRetrievalCheckOperator(
        task_id="check",
        dataset_id="{{ params.dataset_id }}",
        queries=[{"query": "Where do visitors park?", "expect": {"name": "parking*"}}],
    )
    archive_drafts = DifyDocumentStatusOperator(
        task_id="archive_drafts",
        dataset_id="{{ params.dataset_id }}",
        filters={"status": "available", "name": "draft*"},
        action="archive",
        max_documents=100,
        dry_run="{{ params.dry_run }}",
    )
    ingest >> check >> archive_drafts
# [END first_steps]
