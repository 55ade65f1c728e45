"""Run a Dify workflow for each of some texts, each exactly once.

The tasks wait in the triggerer, where they hold no worker slot. If a worker is killed or an answer is lost, the retry
finds the run in the log of the app and takes its result instead of starting a second one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_dify.operators.apps import DifyWorkflowRunOperator

with DAG(
    dag_id="dify_run_workflow",
    description="Run a Dify workflow for each of some texts",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["dify"],
    params={"texts": Param([], type="array", title="Texts to summarize")},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:

    @task
    def prepare(texts: Any) -> list[dict[str, str]]:
        """Make the inputs of each run."""
        return [{"text": text} for text in texts]

    # [START howto_operator_dify_run_workflow]
    summarize = DifyWorkflowRunOperator.partial(
        task_id="summarize",
        map_index_template="{{ task.inputs['text'][:40] }}",
        deferrable=True,
        timeout=1800,
        expect={"type": "object", "required": ["text"]},
        max_active_tis_per_dagrun=4,
    ).expand(inputs=prepare("{{ params.texts }}"))
    # [END howto_operator_dify_run_workflow]

    @task
    def collect(runs: Any) -> list[str]:
        """Return the outputs of all runs."""
        return [run["outputs"]["text"] for run in runs]

    collect(summarize.output)
