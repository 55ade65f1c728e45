"""A sync that waits in the triggerer gives the same report, and the same class of error, as one that does not."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.conftest import TaskInstance
from tests.unit.sync.syncing import run_sync, write

BEFORE = {"same.md": "Same.", "changes.md": "Old.", "moves.md": "Moves.", "goes.md": "Goes.", "back.md": "Back."}
AFTER = {"same.md": "Same.", "changes.md": "New.", "moved.md": "Moves.", "back.md": "Back.", "new.md": "Brand new."}
Arrange = Callable[[FakeDify, Dataset, Path], dict[str, Any]]


def changes_of_all_kinds(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    write(folder, AFTER)
    kb.documents[0].set(archived=True, enabled=False, in_search=False)
    dify.worker.seconds_per_job = 5.0
    return {}


def nothing_to_do(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    return {}


def nothing_but_retiring(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    (folder / "goes.md").unlink()
    return {}


def deleting(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    return {**changes_of_all_kinds(dify, kb, folder), "retire": "delete"}


def a_dry_run(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    return {**changes_of_all_kinds(dify, kb, folder), "dry_run": True}


def indexing_fails(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    write(folder, {**AFTER, "broken.pdf": "no PDF"})
    return {}


def worker_is_down(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    write(folder, AFTER)
    dify.worker.stop()
    return {"timeout": 300}


def worker_is_down_for_too_long(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    return {**worker_is_down(dify, kb, folder), "timeout": 900, "stall_timeout": 200}


def worker_goes_down_before_the_end(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    dify.worker.seconds_per_job = 1e6
    write(folder, AFTER)
    return {"timeout": 300}


def locked(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    (folder / "goes.md").unlink()
    next(document for document in kb.documents if document.name == "goes.md").lock(500)
    return {}


def key_is_withdrawn_meanwhile(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    write(folder, AFTER)
    dify.worker.stop()
    dify.world.schedule(60, lambda at: dify.world.keys.__delitem__(dify.api_key))
    return {}


def dify_goes_away_while_search_is_awaited(dify: FakeDify, kb: Dataset, folder: Path) -> dict[str, Any]:
    options = locked(dify, kb, folder)
    dify.world.schedule(60, lambda at: dify.faults.add(Fault("status", status=502, times=None)))
    return options


#: Each with the waits that go to the triggerer.
SCENARIOS: dict[Arrange, list[str]] = {
    # There is no need to wait for an un-archived document that is still disabled.
    changes_of_all_kinds: ["indexing", "status", "status"],
    nothing_to_do: [],
    nothing_but_retiring: [],
    deleting: ["indexing", "status"],
    a_dry_run: [],
    indexing_fails: ["indexing"],
    worker_is_down: ["indexing"],
    worker_is_down_for_too_long: ["indexing", "status"],
    worker_goes_down_before_the_end: ["indexing", "status"],
    locked: ["status"],
    key_is_withdrawn_meanwhile: ["indexing"],
    dify_goes_away_while_search_is_awaited: ["status"],
}


def play(dify: FakeDify, kb: Dataset, folder: Path, options: dict[str, Any], *, deferrable: bool) -> Any:
    """Run a task; return its report, that in XCom, the class of its error, and what was waited for in the triggerer."""
    arguments = {"task_id": "sync", "dataset_id": kb.id, "source": str(folder), "max_share": None, **options}
    task, waits = TaskInstance(), []
    context: Any = {"ti": task}

    run = partial(DifySyncOperator(**arguments, deferrable=deferrable).execute, context)
    while True:
        try:
            returned = run()
        except TaskDeferred as deferred:
            known = json.dumps([deferred.trigger.serialize(), deferred.kwargs or {}])
            assert dify.api_key not in known
            (path, arguments_of_trigger), kwargs = json.loads(known)
            waits.append(arguments_of_trigger["kind"])
            # A new instance, as Airflow creates one.
            resumed = getattr(DifySyncOperator(**arguments, deferrable=deferrable), deferred.method_name)
            run = partial(resumed, context, fire(path, arguments_of_trigger), **kwargs)
        except DifyError as error:
            returned = error.report.to_json() if error.report else {}
            return returned, task.xcom["report"], type(error), waits
        else:
            return returned, task.xcom["report"], None, waits


def fire(path: str, arguments: dict[str, Any]) -> Any:
    """Run a trigger as a triggerer makes it: from what is in the database."""
    module, name = path.rsplit(".", 1)
    trigger = getattr(importlib.import_module(module), name)(**arguments)

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(events())
    return json.loads(json.dumps(payload))


#: These take seconds.
SLOW = (
    a_dry_run, deleting, indexing_fails, nothing_but_retiring, worker_goes_down_before_the_end,
    worker_is_down_for_too_long,
)  # fmt: skip
PLAYS = [pytest.param(*one, marks=[pytest.mark.large] * (one[0] in SLOW)) for one in SCENARIOS.items()]


@pytest.mark.parametrize(("arrange", "waits"), PLAYS, ids=lambda value: getattr(value, "__name__", ""))
def test_direct_and_deferred_are_the_same(
    arrange: Arrange, waits: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played = []
    for deferrable in (False, True):
        with FakeDify(clock=VirtualClock(), lock_race="never") as dify, using(dify.clock):
            monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
            kb = dify.add_dataset("handbook")
            assert run_sync(kb, str(write(tmp_path, BEFORE))).error is None
            options = arrange(dify, kb, tmp_path)
            report, pushed, error, waited = play(dify, kb, tmp_path, options, deferrable=deferrable)
            assert report == pushed
            state = [(document.name, document.text, document.enabled, document.archived) for document in kb.documents]
            played.append((without_seconds(report), error, sorted(state)))
            assert waited == (waits if deferrable else [])
    assert played[0] == played[1]


def without_seconds(report: dict[str, Any]) -> Any:
    """A report without the seconds in its texts, which differ if it waits elsewhere."""
    return json.loads(re.sub(r"\d+ s\b", "N s", json.dumps(report)))


@pytest.mark.parametrize("event", [None, {}, {"status": "late"}])
def test_an_unknown_event_is_told(kb: Dataset, tmp_path: Path, event: Any) -> None:
    operator = DifySyncOperator(task_id="t", dataset_id=kb.id, source=str(tmp_path))
    with pytest.raises(DifyError, match="does not know"):
        operator.execute_complete({"ti": TaskInstance()}, event)  # type: ignore[typeddict-item]
