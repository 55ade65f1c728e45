"""Release a folder into a Dify knowledge base every night: all or nothing, with a rollback if the answers are wrong.

Each changed file becomes a new document beside the old one. Then the new documents replace the old ones: search finds
the new version before the first old document leaves, and if a step fails, the old version is brought back and the new
one taken out. At the end, the knowledge base is asked what your users will ask. If the answers are wrong, the release
is rolled back and the DAG run fails.

The release is an asset whose events contain the manifest, so other DAGs can wait for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, Param, task

from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator

with DAG(
    dag_id="dify_release",
    description="Release a folder into a Dify knowledge base, and roll it back if the answers are wrong",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "source": Param("", type="string", title="Folder, pattern or URL of the files"),
        "queries": Param([], type="array", title="What the released knowledge base has to answer"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    ingest = DifyDocumentIngestOperator(
        task_id="ingest",
        dataset_id="{{ params.dataset_id }}",
        source="{{ params.source }}",
        if_exists="for_release",
        indexing_technique="economy",
    )

    # [START howto_operator_dify_release]
    release = DifyReleaseOperator(
        task_id="release",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ ti.xcom_pull('ingest') }}",  # and the documents that they replace
        retire="archive",
        max_share=0.5,
        outlets=[Asset("dify_handbook")],
    )
    # [END howto_operator_dify_release]

    verify = DifyRetrievalCheckOperator(
        task_id="verify", dataset_id="{{ params.dataset_id }}", queries="{{ params.queries }}", retries=0
    )

    # [START howto_operator_dify_rollback]
    rollback = DifyRollbackOperator(
        task_id="rollback",
        manifest="{{ ti.xcom_pull('release', key='report') }}",
        allow_empty=True,  # if the ingestion failed, there is nothing to undo
        trigger_rule="one_failed",
    )
    # [END howto_operator_dify_rollback]

    @task
    def announce(manifest: Any) -> str:
        """Say what was released. As a last task, it also makes a run fail that was rolled back."""
        return f"{manifest['release']}: {len(manifest['new'])} documents, {len(manifest['retired'])} retired"

    ingest >> release >> verify >> [rollback, announce(release.output)]
    release >> rollback
