"""Create a Dify knowledge base if it is missing, keep its settings as they are here, and fill it from a folder.

Nobody has to create it by hand, on no server: a DAG that runs for the first time, or with another connection, creates
its knowledge base. If somebody changes a setting in Dify, the next run changes it back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.bases import DifyKnowledgeBaseOperator
from airflow_provider_dify.operators.sync import DifySyncOperator

with DAG(
    dag_id="dify_knowledge_base",
    description="Set up a Dify knowledge base and keep it in sync with a folder",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "name": Param("handbook", type="string", title="Name of the knowledge base"),
        "folder": Param("", type="string", title="Folder or bucket"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
) as dag:
    # [START howto_operator_dify_knowledge_base]
    handbook = DifyKnowledgeBaseOperator(
        task_id="handbook",
        dataset_name="{{ params.name }}",
        description="Everything about working here",
        permission="all_team_members",
        indexing_technique="economy",
        retrieval_model={"top_k": 5},
        metadata_fields={"team": "string", "valid_until": "time"},
        tags=["handbook"],
    )
    sync = DifySyncOperator(
        task_id="sync",
        dataset_id="{{ ti.xcom_pull(task_ids='handbook') }}",
        source="{{ params.folder }}",
        indexing_technique="economy",
    )
    handbook >> sync
    # [END howto_operator_dify_knowledge_base]
