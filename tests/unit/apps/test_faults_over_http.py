"""Random faults of a Dify behind a socket, and then retries: never two successful runs for one task."""

from __future__ import annotations

import random
from typing import Any

import pytest

from airflow_provider_dify.operators.apps import DifyWorkflowRunOperator
from airflow_provider_dify.testing import FakeDify, Fault, Input
from tests.unit.apps.running import Store, run_try

#: What may happen to a start.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "too_many_requests"},
    {"kind": "drop_stream"},
    {"kind": "end_stream"},
    {"kind": "drop_stream", "events": 1},
    {"kind": "queued", "answer_after": 30},
    {"kind": "queued", "answer_after": 5000},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "status", "status": 502},
    {"kind": "status_after", "status": 504},
    {"kind": "page_after", "status": 502, "body": "<title>Bad gateway</title>"},
    {"kind": "restart", "answer_after": 1},
)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(n, marks=pytest.mark.large) for n in range(8, 30))])
def test_never_two_successful_runs(dify: FakeDify, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    failures = chance.choice([0, 0, 1])

    def echo(inputs: Any) -> dict[str, Any]:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ValueError("Out of paper.")
        return {"text": inputs["text"]}

    app = dify.add_workflow("echo", run=echo, inputs=[Input("text", required=True)], seconds=20)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=app))
    for chosen in chance.sample(FAULTS, chance.choice([1, 1, 2, 3])):
        given = {**chosen}
        dify.faults.add(Fault(given.pop("kind"), path="/workflows/run$", **given))
    for path in chance.sample(["/workflows/logs$", "/workflows/run/", "/info$"], chance.choice([0, 1, 2])):
        dify.faults.add(Fault("status", path=path, status=503, times=chance.choice([1, 7])))
    store, deferrable = Store(), chance.random() < 0.5
    for number in range(1, 5):
        operator = DifyWorkflowRunOperator(task_id="change", inputs={"text": "hello"}, deferrable=deferrable)
        ran = run_try(operator, number, store)
        if ran.error is None:
            (counted,) = [run for run in app.runs if run.id == ran.returned["run_id"]]
            assert counted.status == "succeeded"
            assert ran.returned["outputs"] == {"text": "hello"}
            break
        assert ran.error.message
        dify.clock.sleep(chance.choice([1, 60, 600]))
    dify.clock.sleep(10_000)  # whatever waits in the queue runs now
    assert [run.status for run in app.runs].count("succeeded") <= 1
