"""After each change of a Dify knowledge base, ask it questions, and undo the change if the answers are wrong.

An asset represents the knowledge base: add it to the ``outlets`` of the operators that change it. Their events say what
they changed, and that is all that this DAG needs to undo it. The tasks of this DAG have no outlets, so they do not
start it again.

To undo a change by hand, trigger the DAG and paste the extra of its event.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_dify.assets import knowledge_base
from airflow_provider_dify.events import rollbacks, triggering_events
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator

DATASET_ID = os.environ.get("DIFY_DATASET_ID", "00000000-0000-4000-8000-000000000000")
HANDBOOK = knowledge_base(os.environ.get("DIFY_HOST", "dify.example.com"), DATASET_ID, name="Support handbook")
QUERIES = [{"query": "How many days of leave do I have?", "expect": {"name": "leave*"}}]

with DAG(
    dag_id="dify_roll_back_on_event",
    description="Undo changes of a Dify knowledge base after which search fails",
    # [START howto_asset_schedule]
    schedule=[HANDBOOK],
    # [END howto_asset_schedule]
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "dataset_id": Param(DATASET_ID, type="string", title="UUID of the knowledge base"),
        "queries": Param(QUERIES, type="array", title="What search has to find"),
        "event": Param({}, type="object", title="Event to undo, by its extra (default: those that started the run)"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    check = DifyRetrievalCheckOperator(
        task_id="check",
        dataset_id="{{ params.dataset_id }}",
        queries="{{ params.queries }}",
        on_failure="report",
    )

    # [START howto_asset_rollback]
    @task
    def to_take_back(report: Any, **context: Any) -> list[dict[str, Any]]:
        """Return what undoes the changes that started this run, if search fails now."""
        return [] if report["passed"] else rollbacks(context["params"]["event"] or triggering_events(context))

    DifyDocumentStatusOperator.partial(
        task_id="roll_back",
        map_index_template="{{ task.action }}, documents: {{ task.document_ids | length }}",
        # One after the other, because the last change has to be undone first.
        max_active_tis_per_dagrun=1,
    ).expand_kwargs(to_take_back(check.output))
    # [END howto_asset_rollback]
