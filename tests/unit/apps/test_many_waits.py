"""A thousand runs are awaited in one event loop, as in a triggerer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.knowledge.apps.run import WorkflowRun
from airflow_provider_dify.knowledge.apps.tries import single_try
from airflow_provider_dify.testing import FakeDify, Run
from airflow_provider_dify.triggers.conversation import DifyConversationTrigger
from benchmarks import waits
from benchmarks.sizes import FULL

SECONDS = 120.0


@pytest.mark.parametrize("number", [50, pytest.param(1000, marks=pytest.mark.large)])
def test_each_run_is_awaited_to_its_end(dify: FakeDify, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    app = dify.add_workflow("echo", run=dict, inputs=["text"], seconds=SECONDS)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=app))
    runs = [Run(app, user="ann", inputs={"text": f"{n}"}, blocking=True) for n in range(number)]
    for run in runs:
        app.engine.submit(run)
    begin = dify.clock.time()

    async def awaited(run_id: str) -> dict[str, Any]:
        event = await anext(trigger_of(run_id, begin).run())
        report: dict[str, Any] = event.payload["report"]
        return report

    async def main() -> list[dict[str, Any]]:
        return await asyncio.gather(*(awaited(run.id) for run in runs))

    reports = asyncio.run(main())
    assert [report["run_id"] for report in reports] == [run.id for run in runs]
    assert {report["outcome"] for report in reports} == {"succeeded"}
    assert dify.connections <= 20, "they share a few"
    assert len(dify.requests) <= 40 * number


def trigger_of(run_id: str, began: float) -> DifyConversationTrigger:
    conversation = WorkflowRun(single_try("ann"), None, options=RunOptions(poll_interval=10))
    conversation.run_id = run_id
    return DifyConversationTrigger(
        kind="workflow", state=conversation.to_json(), dify_conn_id="dify_app", started=began, timeout=3600.0
    )


@pytest.mark.perf
def test_they_cost_no_more_than_waits_for_documents() -> None:
    # Measured together: the longest pause is a full run of the garbage collector, whose time depends on the machine.
    runs, documents = (waits.cost_of(way, replace(FULL, wait_seconds=25.0)) for way in ("app runs", "trigger"))
    assert runs.requests > FULL.waits
    assert runs.longest_pause <= documents.longest_pause
    assert runs.memory <= documents.memory < 50_000
