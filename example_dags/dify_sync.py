"""Keep a Dify knowledge base in sync with a folder or bucket, every night.

New files become documents, changed files replace the content of theirs, renamed files rename theirs, and documents
whose file is gone are archived. Documents that this DAG did not create stay as they are. If more than a fifth of the
documents would be archived, the run fails and changes nothing: then check whether the folder is complete.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.sync import DifySyncOperator

with DAG(
    dag_id="dify_sync",
    description="Keep a Dify knowledge base in sync with a folder",
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
