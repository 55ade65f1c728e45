"""Release documents of a Dify knowledge base in place of the previous release, with each step in the graph.

The documents of the previous release are known from the metadata that it left in them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.task_groups import release

with DAG(
    dag_id="dify_release_steps",
    description="Release documents of a Dify knowledge base, with each step in the graph",
    schedule="0 4 * * 1",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "new_document_ids": Param([], type="array", title="Documents of the new version"),
        "queries": Param([], type="array", title="What search has to find before the old version leaves"),
    },
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    # [START howto_task_group_dify_release]
    release(
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ params.new_document_ids }}",
        replaces="previous_release",
        queries="{{ params.queries }}",
    )
    # [END howto_task_group_dify_release]
