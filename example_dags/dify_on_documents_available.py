"""Run whenever documents of a Dify knowledge base become available: indexed, enabled, and not archived.

An asset represents the knowledge base, and Airflow's triggerer watches it. Each document that becomes available is one
event of the asset. Events that arrive during a run are handled together by the next run.

This needs Airflow 3. Airflow 2 has no asset watchers and finds no DAG here.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from typing import Any

from airflow_provider_dify.triggers.available import DifyDocumentsAvailableTrigger

try:
    from airflow.sdk import DAG, Asset, AssetWatcher, task
except ImportError:
    HAS_WATCHERS = False
else:
    HAS_WATCHERS = True

DATASET_ID = os.environ.get("DIFY_DATASET_ID", "00000000-0000-4000-8000-000000000000")

if HAS_WATCHERS:
    # [START howto_trigger_dify_available]
    handbook = Asset(
        "dify_handbook",
        watchers=[
            AssetWatcher(
                name="dify_handbook_documents",
                trigger=DifyDocumentsAvailableTrigger(dataset_id=DATASET_ID, poll_interval=60),
            )
        ],
    )

    with DAG(
        dag_id="dify_on_documents_available",
        description="React to documents of a Dify knowledge base that become available",
        schedule=[handbook],
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
        catchup=False,
        tags=["dify"],
    ) as dag:

        @task
        def list_new_documents(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
            """Return what the trigger reported about each document."""
            events = triggering_asset_events[handbook]
            documents = [event.extra["payload"] for event in events if event.extra.get("from_trigger")]
            for document in documents:
                logging.getLogger(__name__).info("%(name)s is available: %(document_id)s", document)
            return documents

        list_new_documents()
    # [END howto_trigger_dify_available]
