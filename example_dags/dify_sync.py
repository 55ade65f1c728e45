"""Keep a Dify knowledge base in step with a folder or a bucket, each night.

The knowledge base follows the folder: new files become documents, changed ones replace theirs, renamed ones rename
theirs, and documents whose files are gone are archived. Documents that were not made by this DAG stay as they are. A
night on which more than a fifth of the documents would be archived fails, and changes nothing: then somebody should
look whether the folder is whole.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.sync import DifySyncOperator

with DAG(
    dag_id="dify_sync",
    description="Keep a Dify knowledge base in step with a folder",
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "source": Param("", type="string", title="Folder or URL, such as s3://bucket/handbook"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    # [START howto_operator_dify_sync]
    sync = DifySyncOperator(
        task_id="sync",
        dataset_id="{{ params.dataset_id }}",
        source="{{ params.source }}",
        sync_source="{{ dag.dag_id }}",
        recursive=True,
        include=["*.md", "*.pdf", "*.docx"],
        retire="archive",
        max_share=0.2,
        indexing_technique="economy",
    )
    # [END howto_operator_dify_sync]
