"""Workflows of the built-in Dify: what a run does, and what there is to see of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_dify.testing import FakeDify, Input, Node, Partial, Paused
from tests.testing.apps.asking import AppClient, events, first_event


def upper(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": inputs["text"].upper()}


def broken(inputs: Mapping[str, Any]) -> dict[str, Any]:
    raise OSError("[Errno 111] Connection refused")


@pytest.fixture
def client(sim: FakeDify) -> AppClient:
    app = sim.add_workflow("upper", run=upper, inputs=[Input("text", required=True)], nodes=[Node("work", 25)])
    return AppClient(sim, app)


def test_a_blocking_run_answers_at_its_end(client: AppClient, sim: FakeDify) -> None:
    started = sim.clock.monotonic()
    body = client.run(text="hello").json()
    assert (body["data"]["status"], body["data"]["outputs"]) == ("succeeded", {"text": "HELLO"})
    assert body["data"]["total_steps"] == 3
    assert sim.clock.monotonic() - started == pytest.approx(25.05)
    [run] = client.app.runs
    assert (run.id, run.task_id) == (body["workflow_run_id"], body["task_id"])
    assert (run.user, run.inputs, run.status, run.blocking) == ("ann", {"text": "hello"}, "succeeded", True)


def test_a_stream_brings_every_node_and_pings(client: AppClient) -> None:
    answer = client.run("streaming", text="hello")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    text = answer.text
    assert text.startswith("event: ping\n\ndata: ")
    assert text.count("event: ping\n\n") == 1 + 2
    again = events(client.run("streaming", text="hello"))
    kinds = [one["event"] for one in again]
    assert kinds == [
        *("workflow_started", "node_started", "node_finished", "node_started", "text_chunk", "node_finished"),
        *("node_started", "node_finished", "workflow_finished"),
    ]
    assert again[-1]["data"]["outputs"] == {"text": "HELLO"}
    assert client.status(again[-1]["workflow_run_id"]) == "succeeded"


def test_a_run_goes_on_without_its_client(client: AppClient, sim: FakeDify) -> None:
    run_id = first_event(client.run("streaming", text="hello"))["workflow_run_id"]
    assert client.status(run_id) == "running"
    assert [one["workflow_run"]["status"] for one in client.logs(created_by_end_user_session_id="ann")] == ["running"]
    assert client.logs(created_by_end_user_session_id="an") == []
    sim.clock.advance(26)
    assert client.status(run_id) == "succeeded"


def test_bad_input_is_refused_at_once_or_in_the_stream(client: AppClient) -> None:
    answer = client.run()
    assert (answer.status_code, answer.json()["message"]) == (400, "text is required in input form")
    started, finished = events(client.run("streaming"))
    assert finished["data"]["status"] == "failed"
    assert client.call("GET", f"/workflows/run/{started['workflow_run_id']}").status_code == 404
    assert client.logs() == client.app.runs == []


@pytest.mark.parametrize("mode", ["blocking", "streaming"])
def test_a_failure_is_no_http_error(sim: FakeDify, mode: str) -> None:
    client = AppClient(sim, sim.add_workflow("broken", run=broken, nodes=["node"]))
    answer = client.run(mode)
    data = answer.json()["data"] if mode == "blocking" else events(answer)[-1]["data"]
    assert (answer.status_code, data["status"], data["outputs"]) == (200, "failed", {})
    assert data["error"] == "[Errno 111] Connection refused"
    assert client.logs(status="failed")[0]["workflow_run"]["error"] == data["error"]


def test_a_node_that_failed_and_was_covered(sim: FakeDify) -> None:
    client = AppClient(sim, sim.add_workflow("partial", run=lambda _: Partial({"a": 1}), nodes=["node"]))
    data = client.run().json()["data"]
    assert (data["status"], data["outputs"], data["error"]) == ("partial-succeeded", {"a": 1}, None)
    assert client.app.runs[0].exceptions == 1


def test_a_stop_takes_a_moment(client: AppClient, sim: FakeDify) -> None:
    started = first_event(client.run("streaming", text="hello"))
    assert client.stop(started["task_id"]).json() == {"result": "success"}
    assert client.status(started["workflow_run_id"]) == "running"
    sim.clock.advance(0.3)
    body = client.get(f"/workflows/run/{started['workflow_run_id']}")
    assert (body["status"], body["error"]) == ("stopped", "Aborted: User requested stop")
    assert client.stop("nonsense").json() == {"result": "success"}
    assert client.stop(started["workflow_run_id"]).json() == {"result": "success"}


def test_a_run_of_unknown_length_lets_time_stand_still(sim: FakeDify) -> None:
    client = AppClient(sim, sim.add_workflow("held", run=lambda _: {"a": 1}, nodes=[Node("wait", math.inf)]))
    run_id = first_event(client.run("streaming"))["workflow_run_id"]
    sim.settle()
    assert client.status(run_id) == "running"
    sim.clock.advance(1000)
    assert client.status(run_id) == "running"
    sim.run(run_id).finish()
    assert client.status(run_id) == "succeeded"


def test_a_limit_is_a_400(sim: FakeDify) -> None:
    app = sim.add_workflow("limited", max_active_requests=1)
    client = AppClient(sim, app)
    answer = client.run("streaming")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_param")
    assert answer.json()["message"].startswith("Too many requests.")
    assert client.run().ok


def test_a_run_that_waits_for_a_human(sim: FakeDify) -> None:
    plan = Paused("Say it", inputs=["note"], then=lambda fields: {"note": fields["note"]})
    client = AppClient(sim, sim.add_workflow("human", run=lambda _: plan, nodes=[Node("ask", kind="human-input")]))
    required, paused = events(client.run("streaming"))[-2:]
    assert paused["data"]["status"] == client.status(paused["workflow_run_id"]) == "paused"
    form = f"/form/human_input/{required['data']['form_token']}"
    assert client.get(form)["form_content"] == "Say it"
    client.stop(paused["task_id"])
    sim.clock.advance(1)
    assert client.status(paused["workflow_run_id"]) == "paused"
    body = {"inputs": {"note": "fine"}, "action": "approve", "user": "ann"}
    assert client.call("POST", form, json=body).json() == {}
    sim.clock.advance(1)
    ended = client.get(f"/workflows/run/{paused['workflow_run_id']}")
    assert (ended["status"], ended["outputs"]) == ("stopped", {"note": "fine"})
    assert client.call("POST", form, json=body).status_code == 412


def test_keys_open_what_they_are_for(client: AppClient, sim: FakeDify) -> None:
    assert client.call("GET", "/datasets").status_code == 401
    assert client.call("GET", "/info").json()["mode"] == "workflow"
    client.app.api_key, kept = sim.api_key, client.app.api_key
    assert client.call("GET", "/info").json()["message"] == "Access token is invalid"
    client.app.api_key = kept
    client.app.api_enabled = False
    assert client.call("GET", "/info").status_code == 403


def test_a_text_loses_its_nul_characters(client: AppClient) -> None:
    assert client.run(text="a\0b").json()["data"]["outputs"] == {"text": "AB"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"flag": "yes"}, {"flag": True}),
        ({"flag": "no"}, {"flag": False}),
        ({"number": "7"}, {"number": 7}),
        ({"number": "7.5"}, {"number": 7.5}),
        ({"number": " "}, {"number": None}),
        ({"choice": "red"}, {"choice": "red"}),
        ({"choice": "blue"}, "choice in input form must be one of the following: ['red']"),
        ({"number": "many"}, "number in input form must be a valid number"),
        ({"doc": "a.txt"}, "doc in input form must be a file"),
        ({"unknown": 1}, {}),
    ],
)
def test_inputs(sim: FakeDify, given: dict[str, Any], kept: dict[str, Any] | str) -> None:
    inputs = [Input("flag", "checkbox"), Input("number", "number"), Input("choice", "select", options=["red"])]
    client = AppClient(sim, sim.add_workflow("inputs", inputs=[*inputs, Input("doc", "file")]))
    body = client.run(**given).json()
    if isinstance(kept, str):
        assert body["message"] == kept
    else:
        nothing = dict.fromkeys(("flag", "number", "choice", "doc"))
        assert body["data"]["outputs"] == {**nothing, **kept}


def test_unpublished(client: AppClient) -> None:
    client.app.published = False
    assert client.run(text="a").json()["message"] == "Workflow not published"
    assert client.call("GET", "/parameters").json()["code"] == "app_unavailable"


def test_pages_of_the_log_repeat_and_omit_rows(sim: FakeDify) -> None:
    client = AppClient(sim, sim.add_workflow("echo", seconds=0.0))
    for _ in range(10):
        client.run()
    pages = [one["id"] for page in range(1, 6) for one in client.logs(page=page, limit=2)]
    assert len(pages) == 10 > len(set(pages))
    assert len({one["id"] for one in client.logs(limit=20)}) == 10
