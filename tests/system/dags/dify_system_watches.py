"""A DAG that runs when documents become available."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from airflow_provider_dify.triggers.available import DifyDocumentsAvailableTrigger

try:
    from airflow.sdk import DAG, Asset, AssetWatcher, task
except ImportError:
    HAS_WATCHERS = False  # Airflow 2
else:
    HAS_WATCHERS = True

if HAS_WATCHERS:
    watched = Asset(
        "dify_system_watched",
        watchers=[
            AssetWatcher(
                name="dify_system_documents",
                trigger=DifyDocumentsAvailableTrigger(
                    dataset_id=os.environ["SYSTEM_TEST_WATCHED"], poll_interval=1, full_look_interval=8
                ),
            )
        ],
    )

    with DAG(
        dag_id="dify_system_watches",
        schedule=[watched],
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
        catchup=False,
        max_active_runs=1,
    ) as dag:

        @task
        def arrived(triggering_asset_events: Any = None) -> list[str]:
            return [event.extra["payload"]["document_id"] for event in triggering_asset_events[watched]]

        arrived()
