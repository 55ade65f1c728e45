"""One DAG changes documents, another one is started by the event of that, and takes the change back."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_dify.assets import knowledge_base
from airflow_provider_dify.events import rollbacks, triggering_events
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator

DATASET_ID = os.environ.get("SYSTEM_TEST_CHANGED", "00000000-0000-4000-8000-000000000000")
changed = knowledge_base(os.environ.get("SYSTEM_TEST_HOST", "dify.example.com"), DATASET_ID)
start_date = datetime(2026, 1, 1)  # noqa: DTZ001 - Airflow takes it as UTC

with DAG(
    "dify_system_changes", schedule=None, start_date=start_date, catchup=False, params={"document_ids": []}
) as changes:
    DifyDocumentStatusOperator(
        task_id="change",
        dataset_id=DATASET_ID,
        document_ids="{{ params.document_ids }}",
        action="archive",
        timeout=300,
        poll_interval=2,
        deferrable=True,
        outlets=[changed],
    )

with DAG(
    "dify_system_takes_back", schedule=[changed], start_date=start_date, catchup=False, max_active_runs=1
) as takes_back:

    @task
    def to_take_back(**context: Any) -> list[dict[str, Any]]:
        return rollbacks(triggering_events(context))

    # Its own change is an event, too, which starts this DAG once more, and must not be taken back again.
    DifyDocumentStatusOperator.partial(
        task_id="take_back", timeout=300, poll_interval=2, max_active_tis_per_dagrun=1, outlets=[changed]
    ).expand_kwargs(to_take_back())
