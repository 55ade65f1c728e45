"""Direct and deferred, a release and a rollback give the same report and the same class of error."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.testing import FakeDify
from tests.unit.conftest import TaskInstance
from tests.unit.release.release_scene import LIVE, Scene, World, fake

NEVER = [{"query": "rules", "expect": {"name": "nothing"}}]
Play = Callable[[FakeDify], tuple[Scene, Callable[[], Any]]]


def locked(dify: FakeDify, **more: Any) -> tuple[Scene, Callable[[], Any]]:
    scene = Scene(dify, World(new=[(False, False)] * 2, old=[LIVE, (False, False), (True, True)], lock=600))
    return scene, lambda: scene.operator(**more)


def locked_and_selected(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    return locked(dify, replaces={"name": "old*"})


def locked_for_too_long(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    return locked(dify, timeout=300)


def locked_and_deleted(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    return locked(dify, retire="delete")


def indexed_later(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    scene, build = locked(dify)
    slow = scene.kb.add_document("slow", text="rules", indexing_status="indexing")
    slow.finish_indexing(after=200)
    scene.new.append(slow)
    return scene, build


def indexing_fails(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    scene, build = indexed_later(dify)
    scene.new[-1].fail_indexing("no model", after=100)
    return scene, build


def queries_fail(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    return locked(dify, queries=NEVER)


def worker_is_down(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    dify.worker.stop()
    return locked(dify)


def key_is_withdrawn(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    dify.world.schedule(60, lambda at: dify.world.keys.__delitem__(dify.api_key))
    return locked(dify)


def rollback(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    scene, _ = locked(dify)
    scene.old[0].unlock()
    scene.release()
    dify.settle()
    scene.old[0].lock(600)
    manifest = scene.report
    scene.task = TaskInstance()
    return scene, lambda: DifyRollbackOperator(task_id="back", manifest=manifest, deferrable=True)


def rollback_too_late(dify: FakeDify) -> tuple[Scene, Callable[[], Any]]:
    scene, build = rollback(dify)
    manifest = build().manifest
    return scene, lambda: DifyRollbackOperator(task_id="back", manifest=manifest, timeout=300)


#: These take seconds.
SLOW = (indexed_later, locked_and_selected, locked_for_too_long, rollback_too_late, worker_is_down)
PLAYS = [
    locked, locked_and_deleted, indexing_fails, queries_fail, key_is_withdrawn, rollback,
    *(pytest.param(play, marks=pytest.mark.large) for play in SLOW),
]  # fmt: skip


def play(dify: FakeDify, build: Play, *, deferrable: bool) -> tuple[Scene, Any, DifyError | None]:
    """Run a task, and if it defers, its trigger and the rest, each in a new instance."""
    scene, operator = build(dify)
    context: Any = {"ti": scene.task}

    def fresh() -> Any:
        made = operator()
        made.deferrable = deferrable
        return made

    try:
        return scene, fresh().execute(context), None
    except TaskDeferred as raised:
        deferred = raised
    except DifyError as error:
        return scene, None, error
    assert deferrable
    path, kwargs = deferred.trigger.serialize()
    assert dify.api_key not in json.dumps(kwargs)
    module, name = path.rsplit(".", 1)
    trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))

    async def first_event() -> Any:
        (event,) = [event async for event in trigger.run()]
        return json.loads(json.dumps(event.payload))

    event = asyncio.run(first_event())
    assert dify.api_key not in json.dumps(event)
    scene.task.xcom["deferred"] = True
    try:
        return scene, getattr(fresh(), deferred.method_name)(context, event, **(deferred.kwargs or {})), None
    except DifyError as error:
        return scene, None, error


@pytest.mark.parametrize("build", PLAYS, ids=lambda build: build.__name__)
def test_direct_and_deferred_are_the_same(build: Play) -> None:
    played = []
    for deferrable in (False, True):
        with fake() as dify:
            scene, returned, error = play(dify, build, deferrable=deferrable)
            assert scene.task.xcom.pop("deferred", False) is deferrable
            dify.worker.start()
            dify.settle()
            played.append((scene.report, returned, type(error), error and error.report, scene.flags()))
    assert played[0] == played[1]


def test_the_worker_does_what_needs_no_waiting(dify: FakeDify) -> None:
    scene, operator = locked(dify)
    made = operator()
    made.deferrable = True
    with pytest.raises(TaskDeferred) as deferred:
        made.execute({"ti": scene.task})
    assert max(dify.clock.slept) <= 1
    assert scene.report["state"] == "releasing"
    assert scene.report["enabled"] == [document.id for document in scene.new]
    assert deferred.value.timeout is not None
    # Enough to wait, and to undo the changes.
    assert 3600 < deferred.value.timeout.total_seconds() < 4000


def test_the_trigger_bears_being_stopped_and_run_twice(dify: FakeDify) -> None:
    scene, operator = locked(dify)
    made = operator()
    made.deferrable = True
    with pytest.raises(TaskDeferred) as deferred:
        made.execute({"ti": scene.task})

    async def both() -> list[Any]:
        runs = [deferred.value.trigger.run() for _ in range(2)]
        return await asyncio.gather(*(anext(run) for run in runs))

    events = asyncio.run(both())
    assert [event.payload["error"] for event in events] == [None, None]
    assert scene.wholly_new


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}])
def test_an_unknown_event_is_refused(dify: FakeDify, event: dict[str, Any] | None) -> None:
    scene, operator = locked(dify)
    with pytest.raises(DifyError, match="does not know"):
        operator().execute_complete({"ti": scene.task}, event)
