"""Tasks that wait in the triggerer, and one that needs their slot meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_dify.operators.apps import DifyWorkflowRunOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor


class Bystander(BaseOperator):
    """Does nothing, on a worker."""

    def execute(self, context: Any) -> str:
        return "passed by"


with DAG(
    dag_id="dify_system_waits",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    params={"dataset_id": "", "text": "", "archive": [], "enable": [], "index": []},
    default_args={"retries": 0, "priority_weight": 10, "weight_rule": "absolute"},
) as dag:
    for action in ("archive", "enable"):
        DifyDocumentStatusOperator(
            task_id=action,
            dataset_id="{{ params.dataset_id }}",
            document_ids="{{ params." + action + " }}",
            action=action,
            timeout=300,
            poll_interval=2,
            deferrable=True,
        )
    DifyDocumentIndexingSensor(
        task_id="index",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ params.index }}",
        timeout=300,
        poke_interval=2,
        deferrable=True,
    )
    DifyWorkflowRunOperator(
        task_id="workflow",
        dify_conn_id="dify_app",
        inputs={"text": "{{ params.text }}"},
        timeout=1800,
        poll_interval=2,
        deferrable=True,
    )
    Bystander(task_id="bystander", priority_weight=1)
