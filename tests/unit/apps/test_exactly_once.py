"""A task has one run that counts, whatever happens to its tries; or it is red."""

from __future__ import annotations

import pytest

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.knowledge.apps.requesting import RunRequest
from airflow_provider_dify.knowledge.flow import Deadline
from tests.unit.apps.playing import Stage, Task, killed_at


def test_a_run_is_started_and_awaited() -> None:
    stage = Stage()
    done = Task(stage).run()
    assert done.green
    assert done.report.outputs == {"run": stage.runs[0].id, "text": "hello"}
    assert (done.report.run_id, done.report.task_id) == (stage.runs[0].id, stage.runs[0].task_id)
    assert done.report.user == stage.runs[0].user == "airflow/dag/task/run/try-1"
    assert not done.report.joined
    assert stage.sent("/workflows/run") == 1


@pytest.mark.parametrize("lost", ["reset", "lost", "dropped", "empty", "queued"])
def test_a_run_whose_start_was_not_answered_is_found(lost: str) -> None:
    stage = Stage(starts=(lost,))
    done = Task(stage).run()
    assert done.green
    assert len(stage.runs) == 1
    assert stage.sent("/workflows/run") == 1


@pytest.mark.parametrize("lost", ["never", "lost_error"])
def test_a_start_of_which_nothing_is_known_is_red(lost: str) -> None:
    stage = Stage(starts=(lost,))
    task = Task(stage)
    first = task.run()
    assert (first.outcome, first.error) == ("unknown", None)
    assert stage.clock.monotonic() >= task.options.appear_timeout
    second = task.run()
    assert second.outcome == "unknown"
    assert stage.sent("/workflows/run") == 1


def test_another_one_is_started_if_that_is_wanted() -> None:
    stage = Stage(starts=("never",))
    task = Task(stage, rerun="unknown")
    assert task.run().outcome == "unknown"
    assert task.run().green
    assert len(stage.runs) == 1


def test_a_run_that_appears_late_is_taken_by_the_next_try() -> None:
    stage = Stage(starts=("queued",))
    stage.queue_seconds = 130.0
    task = Task(stage)
    assert task.run().outcome == "unknown"
    second = task.run()
    assert second.green
    assert second.report.joined
    assert second.report.user.endswith("try-1")
    assert len(stage.runs) == 1


@pytest.mark.parametrize("start", ["refused_connection", "too_many"])
def test_what_was_not_carried_out_is_sent_again(start: str) -> None:
    stage = Stage(starts=(start, start))
    assert Task(stage).run().green
    assert stage.sent("/workflows/run") == 3
    assert len(stage.runs) == 1


def test_dify_may_be_down_for_a_while() -> None:
    stage = Stage()
    stage.down_until = stage.now + 200
    assert Task(stage).run().green
    assert len(stage.runs) == 1


def test_a_retry_takes_a_run_that_succeeded_meanwhile() -> None:
    stage = Stage(seconds=30)
    task = Task(stage)
    with killed_at(stage, 6):
        assert task.run().killed
    assert len(stage.runs) == 1
    stage.clock.sleep(100)
    second = task.run()
    assert second.green
    assert second.report.joined
    assert second.report.outputs
    assert second.report.outputs["run"] == stage.runs[0].id
    assert len(stage.runs) == 1


@pytest.mark.parametrize(
    ("rerun", "runs", "outcome"),
    [("failed", 2, "succeeded"), ("always", 2, "succeeded"), ("never", 1, "failed"), ("unknown", 2, "succeeded")],
)
def test_a_failed_run_is_started_again_by_a_new_try_only(rerun: str, runs: int, outcome: str) -> None:
    stage = Stage(ends=("failed",))
    task = Task(stage, rerun=rerun)
    first = task.run()
    assert (first.outcome, first.report.error, len(stage.runs)) == ("failed", "Oh no.", 1)
    task.number = 0  # the same try, run again by a queue
    assert task.run().outcome == "failed"
    assert len(stage.runs) == 1
    assert task.run().outcome == outcome
    assert len(stage.runs) == runs


def test_always_is_a_run_for_each_try() -> None:
    stage = Stage()
    task = Task(stage, rerun="always")
    assert task.run().green
    assert task.run().green
    assert len(stage.runs) == 2


def test_refused_inputs_are_not_a_run() -> None:
    stage = Stage()
    task = Task(stage, inputs={"text": 5.5, "nonsense": 1})
    done = task.run()
    assert isinstance(done.error, DifyInputError)
    assert stage.sent("/workflows/run") == 0
    assert done.outcome == "not_started"


def test_a_worker_that_was_taken_for_dead_sends_nothing() -> None:
    """It checked before the next try started a run. Then Airflow refuses its note, as it is not the current try."""
    stage = Stage()
    task = Task(stage)
    flow = task.conversation().flow(Deadline(600, stage.clock.monotonic))
    step = next(flow)
    while step.path != "/parameters":  # type: ignore[union-attr]
        step = flow.send(stage.answer(step))  # type: ignore[arg-type]
    assert task.run().green
    with pytest.raises(DifyError, match="not the current one"):
        flow.send(stage.answer(step))  # type: ignore[arg-type]
    assert len(stage.runs) == 1


def test_runs_of_others_do_not_count() -> None:
    stage = Stage()
    assert Task(stage).run().green
    other = Task(stage)
    conversation = other.conversation()
    assert conversation.user == stage.runs[0].user  # the same task: it counts
    assert other.run(request=RunRequest({"text": "x"})).green
