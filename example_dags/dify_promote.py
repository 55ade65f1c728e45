"""Promote a knowledge base from staging to production, but only if it answers right there.

Exports the knowledge base of a staging Dify into a folder or bucket. Recreates it in a candidate knowledge base of the
production Dify (names, contents, metadata, process rules, flags), and asks it what your users will ask. If the
answers are right, the same export goes live. Only what changed since the last run is downloaded and sent. The export
remains as a backup: the task `release` alone restores it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.bases import DifyKnowledgeBaseOperator
from airflow_provider_dify.operators.export import DifyExportOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.sync import DifySyncOperator

with DAG(
    dag_id="dify_promote",
    description="Promote a Dify knowledge base from staging to production if it answers right",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "staging": Param("", type="string", title="UUID of the knowledge base in staging"),
        "name": Param("handbook", type="string", title="Name of the knowledge base in production"),
        "folder": Param("", type="string", title="Folder or bucket for the export, such as s3://bucket/handbook"),
        "queries": Param([], type="array", title="What it has to answer"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    # [START howto_operator_dify_export]
    export = DifyExportOperator(
        task_id="export",
        dify_conn_id="dify_staging",
        dataset_id="{{ params.staging }}",
        target="{{ params.folder }}",
    )
    # [END howto_operator_dify_export]
    # [START howto_promote]
    candidate = DifyKnowledgeBaseOperator(
        task_id="candidate",
        dify_conn_id="dify_production",
        dataset_name="{{ params.name }} candidate",
    )
    recreate = DifySyncOperator(
        task_id="recreate",
        dify_conn_id="dify_production",
        dataset_id="{{ ti.xcom_pull(task_ids='candidate') }}",
        source="{{ params.folder }}",
        sync_source="staging",
        max_share=None,
    )
    check = DifyRetrievalCheckOperator(
        task_id="check",
        dify_conn_id="dify_production",
        dataset_id="{{ ti.xcom_pull(task_ids='candidate') }}",
        queries="{{ params.queries }}",
    )
    live = DifyKnowledgeBaseOperator(
        task_id="live",
        dify_conn_id="dify_production",
        dataset_name="{{ params.name }}",
    )
    release = DifySyncOperator(
        task_id="release",
        dify_conn_id="dify_production",
        dataset_id="{{ ti.xcom_pull(task_ids='live') }}",
        source="{{ params.folder }}",
        sync_source="staging",
        max_share=0.2,
    )
    export >> candidate >> recreate >> check >> live >> release
    # [END howto_promote]
