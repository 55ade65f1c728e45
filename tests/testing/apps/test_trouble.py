"""What goes wrong with runs: workers and processes that die, streams that break off, queues and limits."""

from __future__ import annotations

import threading

import pytest
import requests

from airflow_provider_dify.testing import App, FakeDify, Fault, Node, Run
from tests.testing.apps.asking import AppClient, events, first_event
from tests.waiting import until

RUN = r"/workflows/run$"


@pytest.fixture
def app(sim: FakeDify) -> App:
    return sim.add_workflow("slow", run=lambda _: {"done": True}, nodes=[Node("first", 20), Node("second", 20)])


@pytest.fixture
def client(sim: FakeDify, app: App) -> AppClient:
    return AppClient(sim, app)


def only(app: App) -> Run:
    [run] = app.runs
    return run


def test_a_worker_that_is_killed_leaves_a_run_behind(client: AppClient, sim: FakeDify) -> None:
    started = first_event(client.run("streaming"))
    assert sim.worker.kill() == 1
    sim.worker.start()
    sim.clock.advance(3600)
    assert client.status(started["workflow_run_id"]) == "running"
    assert client.stop(started["task_id"]).ok
    sim.clock.advance(10)
    assert client.status(started["workflow_run_id"]) == "running"
    answer = client.call("GET", f"/workflow/{started['workflow_run_id']}/events?user=ann")
    assert (answer.status_code, answer.text) == (200, "event: ping\n\n"), "silence for 300 s, then an orderly end"


def test_a_worker_that_is_told_to_end_stops_its_runs(client: AppClient, sim: FakeDify) -> None:
    run_id = first_event(client.run("streaming"))["workflow_run_id"]
    sim.worker.stop()
    body = client.get(f"/workflows/run/{run_id}")
    assert body["status"] == "stopped"
    assert body["error"] == "Aborted: Workflow stopped because the worker is shutting down."


def test_a_run_that_waits_in_the_queue_is_nowhere_to_be_seen(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.worker.stop()
    assert events(client.run("streaming")) == []
    assert client.logs() == app.runs == []
    assert len(app.queued) == 1
    assert client.run().ok, "the API carries out a blocking run itself"
    sim.worker.start()
    sim.clock.advance(41)
    assert [run.status for run in app.runs] == ["succeeded", "succeeded"]


def test_more_runs_than_the_worker_has_places(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.worker.jobs = 1
    first_event(client.run("streaming"))
    sim.faults.add(Fault("end_stream", path=RUN))
    assert events(client.run("streaming")) == []
    sim.clock.advance(30)
    assert (len(app.runs), len(app.queued)) == (1, 1)
    sim.clock.advance(60)
    assert [run.status for run in app.runs] == ["succeeded", "succeeded"]


def test_an_api_that_is_killed(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.faults.add(Fault("restart", path=RUN, answer_after=10))
    with pytest.raises(requests.ConnectionError):
        client.run()
    sim.faults.add(Fault("restart", path=RUN, answer_after=10))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        events(client.run("streaming"))
    sim.clock.advance(100)
    assert [(run.blocking, run.status) for run in app.runs] == [(True, "running"), (False, "succeeded")]


def test_a_connection_that_is_reset_before_or_after_the_run_has_started(
    client: AppClient, sim: FakeDify, app: App
) -> None:
    for kind, mode, started in (
        ("reset_before", "blocking", 0),
        ("reset_after", "blocking", 1),
        ("reset_before", "streaming", 1),
        ("reset_after", "streaming", 2),
    ):
        sim.faults.add(Fault(kind, path=RUN))  # type: ignore[arg-type]
        with pytest.raises(requests.ConnectionError):
            client.run(mode)
        sim.clock.advance(1)
        assert len(app.runs) == started, (kind, mode)
    sim.clock.advance(100)
    assert [run.status for run in app.runs] == ["succeeded", "succeeded"]


def test_streams_that_break_off(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.faults.add(Fault("drop_stream", path=RUN, events=3), Fault("end_stream", path=RUN, events=3))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        events(client.run("streaming"))
    assert [one["event"] for one in events(client.run("streaming"))][-1] == "node_finished"
    sim.faults.add(Fault("mute_stream", path=RUN, events=1))
    with pytest.raises(requests.ConnectionError, match="timed out"):
        events(client.run("streaming", timeout=0.3))
    sim.clock.advance(100)
    assert [run.status for run in app.runs] == ["succeeded"] * 3


def test_faults_of_the_run_itself(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.faults.add(Fault("orphan", path=RUN, answer_after=5), Fault("orphan", path=RUN, answer_after=5))
    with pytest.raises(requests.ConnectionError):
        client.run()
    assert events(client.run("streaming"))[-1]["event"] == "node_started", "an orderly end after 300 s"
    assert [run.status for run in app.runs] == ["running", "running"]
    sim.faults.add(Fault("queued", path=RUN, answer_after=50))
    run = AppClient(sim, app, user="bob")
    before = sim.clock.monotonic()
    assert events(run.run("streaming"))[-1]["data"]["status"] == "succeeded"
    assert sim.clock.monotonic() - before == pytest.approx(90.05)


def test_answers_that_are_not_those_of_the_run(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.faults.add(Fault("too_many_requests", path=RUN), Fault("page_after", path=RUN, answer_after=60))
    answer = client.run()
    assert (answer.status_code, answer.json()["message"][:18]) == (400, "Too many requests.")
    assert app.runs == []
    assert client.run().status_code == 504
    assert only(app).status == "succeeded"


def test_a_reader_that_goes_takes_others_with_it(client: AppClient, sim: FakeDify, app: App) -> None:
    run_id = first_event(client.run("streaming"))["workflow_run_id"]
    sim.holds_clock = True
    path = f"/workflow/{run_id}/events?user=ann"
    with client.call("GET", path, stream=True) as plain, client.call("GET", path, stream=True) as other:
        whole = client.call("GET", f"{path}&include_state_snapshot=true", stream=True)
        other.close()
        assert until(lambda: len(only(app).readers) == 2)
        sim.holds_clock = False
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            events(plain)
        kinds = [one["event"] for one in events(whole)]
    assert (kinds[0], kinds[-1]) == ("workflow_started", "workflow_finished")


def test_ten_runs_take_all_connections(sim: FakeDify) -> None:
    client = AppClient(sim, sim.add_workflow("slow", seconds=60))
    sim.holds_clock = True
    threads = [threading.Thread(target=client.run) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert until(lambda: client.app.active == 10)
    with pytest.raises(requests.ReadTimeout):
        client.call("GET", "/info", timeout=0.3)
    sim.clock.advance(61)
    for thread in threads:
        thread.join(300)
    assert client.call("GET", "/info").ok


def test_time_limits(client: AppClient, sim: FakeDify) -> None:
    sim.apps.engine.app_max_execution_time = 30
    body = client.run().json()
    assert (body["data"]["status"], body["data"]["error"]) == ("stopped", "Stopped by user.")
    assert client.status(body["workflow_run_id"]) == "running", "the row follows"
    sim.clock.advance(1)
    assert client.get(f"/workflows/run/{body['workflow_run_id']}")["error"] == (
        "Aborted: App execution exceeded 30 seconds"
    )
    sim.apps.engine.app_max_execution_time = 1200
    sim.apps.engine.workflow_max_execution_time = 30
    data = client.run().json()["data"]
    assert (data["status"], data["outputs"]) == ("stopped", {"done": True})
    assert data["error"] == "Aborted: Maximum execution time exceeded: 40.00s > 30s"


def test_whoever_notices_a_stop_first(client: AppClient, sim: FakeDify, app: App) -> None:
    sim.apps.engine.stops_by = "queue"
    started = first_event(client.run("streaming"))
    client.stop(started["task_id"])
    sim.clock.advance(0.05)
    assert only(app).events[-1].body["data"]["error"] == "Stopped by user."
    assert client.status(started["workflow_run_id"]) == "running"
    sim.clock.advance(0.5)
    assert only(app).error == "Aborted: App task was stopped"
