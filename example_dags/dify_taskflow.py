"""Write your own tasks with the hook: Dify's Knowledge API as typed Python.

This DAG lists the documents of a knowledge base that search cannot find, and counts them by reason.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

with DAG(
    dag_id="dify_taskflow",
    description="Find documents of a Dify knowledge base that search cannot find",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["dify"],
    params={"dataset_id": Param("", type="string", title="UUID of the knowledge base")},
) as dag:
    # [START howto_taskflow]
    @task
    def out_of_search(params: Any = None) -> list[dict[str, str]]:
        """Return the documents that search cannot find, and why."""
        # Imported here, so that parsing this file stays fast.
        from airflow_provider_dify.hooks.dify import DifyHook

        with DifyHook() as hook:
            return [
                {"id": document.id, "name": document.name, "why": document.display_status}
                for document in hook.list_documents(params["dataset_id"])
                if not document.belongs_in_search
            ]

    @task
    def summary(documents: list[dict[str, str]]) -> dict[str, int]:
        """Count them by reason."""
        counts = dict(Counter(document["why"] for document in documents))
        logging.getLogger(__name__).info("Out of search: %s", counts or "none")
        return counts

    found: Any = out_of_search()
    summary(found)
    # [END howto_taskflow]
