"""Random faults, and then retries: never two successful runs for one task, and a task that cannot know is red.

The faults of Dify: a start that is reset before or after it was accepted, a stream that breaks off, a run that waits in
the queue, too many requests, errors of gateways, a killed worker (the run stays ``running``), a restart. The faults of
Airflow: a killed worker, a killed triggerer, and a zombie, which continues beside a retry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.run import WorkflowRun
from airflow_provider_dify.knowledge.flow import Deadline, until_long_wait
from tests.examples import examples
from tests.unit.apps.playing import STARTS, Play, Stage, Task, Try, ended, killed_at

ENDS = ("succeeded", "failed", "stopped", "partial-succeeded", "running", "paused")


@dataclass(frozen=True)
class Fate:
    """What happens to a try.

    :param kind: ``ends``, ``killed`` or ``hangs`` (before its n-th request; it goes on after the next try), or
        ``deferred``.
    :param at: Which request.
    :param deaths: If it is deferred: the request at which each triggerer dies; the next one ends it.
    :param gap: Seconds until the next try.
    """

    kind: str
    at: int
    deaths: tuple[int, ...]
    gap: float


FATES = st.builds(
    Fate,
    kind=st.sampled_from(["ends", "killed", "hangs", "deferred"]),
    at=st.integers(1, 12),
    deaths=st.lists(st.integers(1, 6), max_size=3).map(tuple),
    gap=st.sampled_from([0.0, 3.0, 90.0, 400.0]),
)
LAST = Fate("ends", 0, (), 0.0)


@dataclass
class Zombie:
    """A try that hangs."""

    conversation: WorkflowRun
    play: Play


def begin(task: Task) -> tuple[WorkflowRun, Deadline]:
    return task.conversation(), Deadline(task.timeout, task.stage.clock.monotonic)


def run_deferred(task: Task, deaths: tuple[int, ...]) -> Try:
    """Run a try that continues in a triggerer, and again in the next one if that dies."""
    conversation, deadline = begin(task)
    done = ended(
        conversation, task.played(until_long_wait(conversation.flow(deadline), conversation.leaves_at), deadline)
    )
    if not done.left:
        return done
    state = json.dumps(conversation.to_json())
    for death in (*deaths, None):
        again = WorkflowRun.from_json(json.loads(state))
        if death is None:
            done = ended(again, task.played(again.flow(deadline), deadline))
        else:
            with killed_at(task.stage, death):
                done = ended(again, task.played(again.flow(deadline), deadline))
        if not done.killed:
            break
    if done.green:  # execute_complete reads the outputs
        outputs: Mapping[str, Any] = task.played(api.get_run(done.report.run_id), deadline).go().outputs
        done.report = replace(done.report, outputs=outputs)
    return done


def run(task: Task, fate: Fate, zombies: list[Zombie]) -> Try | None:
    """Run a try; ``None`` if it hangs."""
    if fate.kind == "killed":
        with killed_at(task.stage, fate.at):
            return task.run()
    if fate.kind == "deferred":
        return run_deferred(task, fate.deaths)
    if fate.kind == "hangs":
        conversation, deadline = begin(task)
        zombies.append(Zombie(conversation, task.played(conversation.flow(deadline), deadline)))
        zombies[-1].play.go(fate.at)
        return None
    return task.run()


def assert_its_own(done: Try, stage: Stage) -> None:
    """The outputs are those of the run that the report names, and it succeeded."""
    counted = next(run for run in stage.runs if run.id == done.report.run_id)
    assert done.report.outputs
    assert done.report.outputs["run"] == counted.id
    assert counted.status(stage.now) == "succeeded"


@settings(max_examples=examples(150), deadline=None)
@given(
    starts=st.lists(st.sampled_from(STARTS), max_size=5),
    ends=st.lists(st.sampled_from(ENDS), max_size=4),
    fates=st.lists(FATES, min_size=1, max_size=5),
    queue=st.sampled_from([5.0, 60.0, 300.0]),
    restart=st.none() | st.integers(1, 40),
    broken=st.frozensets(st.integers(1, 60), max_size=12),
    rerun=st.sampled_from(["failed", "never"]),
)
def test_never_two_successful_runs(
    starts: list[str],
    ends: list[str],
    fates: list[Fate],
    queue: float,
    restart: int | None,
    broken: frozenset[int],
    rerun: str,
) -> None:
    stage = Stage(seconds=20, starts=tuple(starts), ends=tuple(ends))
    stage.queue_seconds, stage.restart_at, stage.broken = queue, restart, broken
    task, zombies = Task(stage, rerun=rerun), list[Zombie]()
    for fate in (*fates, LAST):
        before = list(zombies)
        done = run(task, fate, zombies)
        stage.clock.sleep(fate.gap)
        for zombie in before:  # it goes on after the next try has begun, and whatever it says does not count
            if not zombie.play.is_over:
                ended(zombie.conversation, zombie.play)
        if done and done.green:
            assert_its_own(done, stage)
            break
    for zombie in zombies:
        if not zombie.play.is_over:
            ended(zombie.conversation, zombie.play)
    stage.clock.sleep(10_000)  # whatever waits in a queue runs now
    assert stage.statuses.count("succeeded") <= 1
