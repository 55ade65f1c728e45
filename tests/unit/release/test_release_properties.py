"""What holds for every release, whatever the state before, whatever fails, and wherever it is killed and retried."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyReleaseUndone
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.release.rollback import Rollback
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.testing import FakeDify, Fault
from tests.examples import examples
from tests.unit.release.release_scene import LIVE, Scene, World, fake, run_in_steps

#: An example takes a good part of a second. A failing one is reported as it is, since shrinking it takes minutes.
PROFILE = settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
FLAGS = st.tuples(st.booleans(), st.booleans())
#: A query that nothing answers: a release cannot get past it.
NEVER = [{"query": "rules", "expect": {"name": "nothing"}}]

#: After how many requests it is killed, and whether it must be undoing by then, if it gets that far.
KILLS = st.tuples(st.integers(0, 90), st.booleans())

worlds = st.builds(
    World,
    new=st.lists(FLAGS, min_size=1, max_size=3),
    old=st.lists(st.one_of(st.just(LIVE), FLAGS), min_size=1, max_size=3),
    broken=st.lists(st.tuples(st.sampled_from(["error", "paused"]), st.booleans()), max_size=1),
    retire=st.sampled_from(["archive", "disable", "delete"]),
    lock=st.sampled_from([0, 0, 0, 600]),
)
faults = st.builds(
    Fault,
    st.sampled_from(["reset_before", "reset_after", "status", "status_after", "page", "truncated"]),
    after=st.integers(0, 60),
    times=st.sampled_from([1, 2, 8, 40, None]),
)


def break_worker(dify: FakeDify, how: str, seconds: float) -> None:
    """Let the worker, or the queue before it, fail some time from now."""

    def fail(at: float) -> None:
        if how == "down":
            dify.worker.stop()
        elif how == "full":
            dify.broker.full = True

    dify.world.schedule(seconds, fail)


def make_well(dify: FakeDify) -> None:
    """End every fault, and let everything happen that Dify has accepted."""
    dify.faults.clear()
    dify.clock.advance(10)  # everything that was to break has broken by then
    dify.worker.start()
    dify.broker.start()
    dify.settle()


def roll_back_exactly(scene: Scene) -> None:
    """A rollback gives every document that is still there exactly the flags that it had."""
    there = set(scene.flags())
    with DifyHook() as hook:
        hook.roll_back(scene.report, tolerate=("missing",))
    assert scene.flags() == {i: flags for i, flags in scene.before.items() if i in there}


@settings(PROFILE)
@given(
    world=worlds,
    accidents=st.lists(faults, max_size=2),
    worker=st.sampled_from(["", "", "down", "full"]),
    after=st.sampled_from([0.0, 0.3, 0.7, 1.2]),
)
def test_whatever_fails_it_ends_wholly_new_or_wholly_old(
    world: World, accidents: list[Fault], worker: str, after: float
) -> None:
    with fake() as dify:
        scene = Scene(dify, world)
        dify.faults.add(*accidents)
        break_worker(dify, worker, after)
        error = scene.release(timeout=700)
        make_well(dify)
        state = scene.report["state"]
        event(f"{state} at {scene.report['step']}")
        assert scene.answers
        if error is None:
            assert scene.wholly_new
        elif isinstance(error, DifyReleaseUndone) or state == "not_begun":
            assert scene.wholly_old
        else:
            assert state in ("partly_undone", "partly_deleted")
            assert scene.report["not_undone"] or state == "partly_deleted"
        # A retry while Dify is healthy always succeeds.
        assert scene.release() is None
        assert scene.wholly_new
        roll_back_exactly(scene)


@settings(PROFILE)
@given(world=worlds, kills=st.lists(KILLS, min_size=1, max_size=2), goes_back=st.booleans())
def test_killed_anywhere_and_tried_again_it_ends_wholly_new_or_wholly_old(
    world: World, kills: list[tuple[int, bool]], goes_back: bool
) -> None:
    with fake() as dify:
        scene = Scene(dify, world)
        for requests, back in kills:
            scene.kill_after(requests, queries=NEVER if back else None)
            dify.settle()
            assert scene.answers
        if goes_back:
            error = scene.release(queries=NEVER)
            dify.settle()
            state = scene.report["state"]
            event(f"killed, then {state}")
            assert error is not None
            assert scene.new_alone if state == "partly_deleted" else scene.wholly_old
        assert scene.release() is None
        dify.settle()
        assert scene.wholly_new
        roll_back_exactly(scene)


@pytest.mark.large
@pytest.mark.parametrize("retire", ["archive", "delete"])
def test_killed_after_each_single_request_it_goes_back_or_on(dify: FakeDify, retire: str) -> None:
    states = []
    for requests in itertools.count():
        scene = Scene(dify, World(new=[(False, False)], old=[LIVE], retire=retire))
        if scene.kill_after(requests):
            break
        scene.release(queries=NEVER)
        states.append(scene.report["state"])
        assert scene.new_alone if states[-1] == "partly_deleted" else scene.wholly_old
        assert scene.release() is None
        assert scene.wholly_new
    assert len(states) > 20
    assert states.count("partly_deleted") == (2 if retire == "delete" else 0)


@pytest.mark.parametrize("how", ["undo", "rollback"])
def test_no_moment_at_which_nothing_is_found_on_the_way_back(dify: FakeDify, how: str) -> None:
    scene = Scene(dify, World(new=[(False, False)] * 2, old=[LIVE] * 2))
    assert scene.release() is None
    subject: Any = Rollback(scene.report)
    if how == "undo":
        subject = scene.operator(queries=NEVER)._of({"ti": scene.task})  # type: ignore[typeddict-item]
    answers: list[bool] = []
    with DifyHook() as hook:
        deadline = hook.deadline(1800)
        flow = retrying(subject.flow(deadline, hook.retries), hook.retries, deadline)
        run_in_steps(dify, flow, hook, each=lambda: answers.append(scene.answers))
    assert scene.wholly_old
    assert all(answers)


@settings(PROFILE)
@given(world=worlds)
def test_no_moment_at_which_nothing_is_found(world: World) -> None:
    with fake() as dify:
        scene = Scene(dify, world)
        found: list[set[str]] = []
        with DifyHook() as hook:
            deadline = hook.deadline(1800)
            release: Any = scene.operator()._of({"ti": scene.task})  # type: ignore[typeddict-item]
            flow = retrying(release.flow(deadline, hook.retries), hook.retries, deadline)
            run_in_steps(dify, flow, hook, each=lambda: found.append(scene.found()))
        assert scene.wholly_new
        old = {
            document.name for document in scene.old if scene.before[document.id] == LIVE and document.name[-1] != "n"
        }
        new = {document.name for document in scene.new}
        for names in found:
            # Every query finds the whole old version or the whole new one.
            assert old <= names or new <= names
            assert names <= old | new
