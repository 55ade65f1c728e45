"""Waiting for the end of a run, and when it makes no sense any more."""

from __future__ import annotations

import json

import pytest

from airflow_provider_dify.exceptions import DifyRunError, DifyRunFailed, DifyRunUnknown, DifyTransportError
from airflow_provider_dify.knowledge.apps.report import RunOutcome, RunReport
from airflow_provider_dify.knowledge.apps.run import WorkflowRun
from airflow_provider_dify.knowledge.flow import Deadline, Pause, until_long_wait
from airflow_provider_dify.knowledge.retries import Retries, retrying
from tests.unit.apps.playing import Stage, Task, killed_at, play


def test_the_timeout_stops_the_run_and_sees_that_it_stopped() -> None:
    stage = Stage(seconds=1000)
    done = Task(stage, timeout=60).run()
    assert stage.statuses == ["stopped"]
    assert done.outcome == "stopped"
    assert "had not ended after 60 s" in (done.report.error or "")


def test_a_run_that_cannot_be_stopped_is_said_to_run() -> None:
    stage = Stage(seconds=1000)
    stage.stops_work = False
    done = Task(stage, timeout=60).run()
    assert stage.statuses == ["running"]
    assert done.outcome == "running"


def test_a_joined_run_is_stopped_by_what_its_events_name() -> None:
    stage = Stage(seconds=1000)
    task = Task(stage, timeout=60)
    with killed_at(stage, 4):  # it has gone out, and nobody knows its ids
        assert task.run().killed
    assert task.run().outcome == "stopped"
    assert stage.statuses == ["stopped"]


def test_a_run_on_which_nobody_works_is_stalled() -> None:
    stage = Stage(ends=("running",))
    done = Task(stage, timeout=10_000, stall_timeout=300).run()
    assert done.outcome == "stalled"
    assert 300 <= stage.now < 400
    assert done.error is None


def test_a_long_run_with_a_worker_is_not_stalled() -> None:
    stage = Stage(seconds=2000)
    assert Task(stage, timeout=10_000, stall_timeout=300).run().green


@pytest.mark.parametrize(("rerun", "outcome"), [("failed", "stalled"), ("unknown", "succeeded")])
def test_a_stalled_run_is_started_again_only_if_that_is_wanted(rerun: str, outcome: str) -> None:
    stage = Stage(ends=("running",))
    task = Task(stage, timeout=10_000, stall_timeout=300, rerun=rerun)
    assert task.run().outcome == "stalled"
    assert task.run().outcome == outcome


def test_a_paused_run_is_awaited_until_the_timeout_and_not_stopped() -> None:
    stage = Stage(ends=("paused",))
    done = Task(stage, timeout=4000, stall_timeout=300).run()
    assert done.outcome == "paused"
    assert stage.now >= 4000
    assert not any("/tasks/" in request.path for request in stage.requests)


def test_a_tolerated_pause_ends_the_wait() -> None:
    stage = Stage(ends=("paused",))
    assert Task(stage, tolerate=("paused",)).run().outcome == "paused"
    assert stage.now < 60


def test_an_outage_does_not_end_the_wait() -> None:
    stage = Stage(seconds=100)
    task = Task(stage)
    conversation = task.conversation()
    deadline = Deadline(600, stage.clock.monotonic)

    def fall(_: Pause) -> None:
        if conversation.run_id and not stage.down_until:
            stage.down_until = stage.now + 60

    play(retrying(conversation.flow(deadline), Retries(max_retries=1), deadline), stage, fall)
    assert stage.down_until
    assert conversation.report().outcome is RunOutcome.SUCCEEDED


def test_an_outage_until_the_timeout_is_an_error_that_tells_of_the_run() -> None:
    stage = Stage(seconds=1000)
    task = Task(stage, timeout=60)
    conversation = task.conversation()
    deadline = Deadline(60, stage.clock.monotonic)

    def fall(_: Pause) -> None:
        if conversation.run_id:
            stage.down_until = 1e9

    with pytest.raises(DifyTransportError):
        play(retrying(conversation.flow(deadline), Retries(max_retries=1), deadline), stage, fall)
    assert conversation.report().outcome is RunOutcome.RUNNING


def test_a_killed_task_stops_its_run() -> None:
    stage = Stage(seconds=1000)
    conversation = Task(stage).conversation()
    deadline = Deadline(600, stage.clock.monotonic)
    assert play(until_long_wait(conversation.flow(deadline), conversation.leaves_at), stage) is None
    play(conversation.when_killed(), stage)
    assert stage.statuses == ["stopped"]
    assert conversation.report().outcome is RunOutcome.STOPPED


class TestElsewhere:
    """It continues in the triggerer, without inputs, and without outputs in its report."""

    def moved(self, stage: Stage, task: Task, deadline: Deadline) -> WorkflowRun:
        conversation = task.conversation()
        assert play(until_long_wait(conversation.flow(deadline), conversation.leaves_at), stage) is None
        state = json.loads(json.dumps(conversation.to_json()))
        assert "hello" not in json.dumps(state)
        return WorkflowRun.from_json(state)

    def test_a_run_is_awaited(self) -> None:
        stage = Stage(seconds=100)
        deadline = Deadline(600, stage.clock.monotonic)
        conversation = self.moved(stage, Task(stage), deadline)
        play(conversation.flow(deadline), stage)
        report = RunReport.from_json(json.loads(json.dumps(conversation.report().to_json())))
        assert report.outcome is RunOutcome.SUCCEEDED
        assert (report.run_id, report.task_id) == (stage.runs[0].id, stage.runs[0].task_id)
        assert report.outputs is None
        assert stage.sent("/workflows/run") == 1

    def test_a_run_of_which_nothing_is_known_is_awaited(self) -> None:
        stage = Stage(starts=("queued",))
        deadline = Deadline(600, stage.clock.monotonic)
        conversation = self.moved(stage, Task(stage), deadline)
        assert not conversation.run_id
        play(conversation.flow(deadline), stage)
        assert conversation.report().outcome is RunOutcome.SUCCEEDED
        assert stage.sent("/workflows/run") == 1

    def test_what_may_need_its_inputs_again_stays(self) -> None:
        stage = Stage(starts=("queued",))
        deadline = Deadline(600, stage.clock.monotonic)
        conversation = Task(stage, rerun="unknown").conversation()
        waits: list[Pause] = []

        def note(pause: Pause) -> None:
            if not conversation.run_id:
                waits.append(pause)
                assert not conversation.leaves_at(pause)

        play(conversation.flow(deadline), stage, note)
        assert any(pause.seconds > 1 for pause in waits)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("succeeded", None),
        ("partial-succeeded", DifyRunFailed),
        ("failed", DifyRunError),
        ("stopped", DifyRunError),
        ("paused", DifyRunError),
        ("stalled", DifyRunError),
        ("unknown", DifyRunUnknown),
        ("running", DifyRunError),
    ],
)
def test_each_outcome_has_an_error(outcome: str, error: type[DifyRunError] | None) -> None:
    report = RunReport(RunOutcome(outcome), run_id="r", error="Oh no.")
    if error is None:
        report.raise_for_outcomes()
        return
    with pytest.raises(error) as caught:
        report.raise_for_outcomes()
    assert type(caught.value) is error
    assert '"Oh no."' in caught.value.message
    assert RunOutcome(outcome).advice in caught.value.message
    report.raise_for_outcomes([RunOutcome(outcome)])
