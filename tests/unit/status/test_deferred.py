"""Direct and deferred, the same scenario gives the same report and the same class of error."""

from __future__ import annotations

import asyncio
import importlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.status.ledger import Handover, Sent
from airflow_provider_dify.knowledge.status.report import Outcome
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.testing import Document, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.conftest import UNKNOWN, TaskInstance

Build = Callable[[FakeDify], tuple[list[Document], dict[str, Any]]]


def locked(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages = dify.add_dataset("kb").add_documents(120)
    pages[7].lock(600)
    return pages, {"action": "archive"}


def locked_for_too_long(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages, options = locked(dify)
    return pages, {**options, "timeout": 300}


def locked_and_flags_only(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages, options = locked(dify)
    dify.worker.failing.add(pages[3].id)  # undone while the task waits for another document
    return pages, {**options, "action": "disable", "wait_for_completion": False}


def indexing(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    kb = dify.add_dataset("kb")
    slow = kb.add_document("slow", indexing_status="indexing", enabled=False)
    slow.finish_indexing(after=200)
    return [slow, kb.add_document("page", enabled=False)], {"action": "enable"}


def indexing_fails(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    kb = dify.add_dataset("kb")
    slow = kb.add_document("slow", indexing_status="indexing")
    slow.fail_indexing("no embedding model", after=200)
    return [slow, kb.add_document("page")], {"action": "archive"}


def worker_is_down(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    dify.worker.stop()
    return dify.add_dataset("kb").add_documents(3), {"action": "archive", "timeout": 120}


def worker_fails_late(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    kb = dify.add_dataset("kb")
    pages = [kb.add_document(f"page {n}", archived=True) for n in range(200)]
    dify.worker.fail_adding = "vector store is full"
    dify.worker.failing.update(page.id for page in pages[150::7])
    return pages, {"action": "un_archive"}


def job_lost_and_repaired(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    dify.broker.full = True
    dify.world.schedule(30, lambda at: setattr(dify.broker, "full", False))
    return dify.add_dataset("kb").add_documents(5), {"action": "archive", "repair": True}


def dify_goes_away_meanwhile(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages, options = locked(dify)
    dify.world.schedule(60, lambda at: dify.faults.add(Fault("status", status=502, times=None)))
    return pages, options


def key_is_withdrawn_meanwhile(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages, options = locked(dify)
    dify.world.schedule(60, lambda at: dify.world.keys.__delitem__(dify.api_key))
    return pages, options


def deleted_meanwhile(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages, options = locked(dify)
    row = pages[7].dataset.get(pages[7].id)
    assert row
    dify.world.schedule(60, lambda at: pages[7].dataset.remove(row))
    return pages, {**options, "tolerate": ("missing",)}


def missing(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    pages = dify.add_dataset("kb").add_documents(3)
    return pages, {"action": "archive", "document_ids": [*(page.id for page in pages), UNKNOWN]}


def rate_limited(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    dify.faults.add(Fault("status", method="PATCH", status=429, retry_after=120))
    return dify.add_dataset("kb").add_documents(3), {"action": "archive"}


def nothing_to_wait_for(dify: FakeDify) -> tuple[list[Document], dict[str, Any]]:
    return dify.add_dataset("kb").add_documents(3), {"action": "archive"}


SCENARIOS: dict[Build, bool] = {
    locked: True,
    locked_for_too_long: True,
    locked_and_flags_only: True,
    indexing: True,
    indexing_fails: True,
    worker_is_down: True,
    worker_fails_late: True,
    job_lost_and_repaired: True,
    dify_goes_away_meanwhile: True,
    key_is_withdrawn_meanwhile: True,
    deleted_meanwhile: True,
    rate_limited: True,
    missing: False,
    nothing_to_wait_for: False,
}
#: These take seconds.
SLOW = (deleted_meanwhile, job_lost_and_repaired, locked_and_flags_only, locked_for_too_long, worker_fails_late)
PLAYS = [pytest.param(*one, marks=[pytest.mark.large] * (one[0] in SLOW)) for one in SCENARIOS.items()]


class Played:
    """The result of a scenario."""

    def __init__(self, dify: FakeDify, build: Build, *, deferrable: bool) -> None:
        documents, options = build(dify)
        self.arguments = {
            "task_id": "change",
            "dataset_id": documents[0].dataset.id,
            "document_ids": [document.id for document in documents],
            "deferrable": deferrable,
            **options,
        }
        self.task = TaskInstance()
        self.event: dict[str, Any] | None = None
        self.error: DifyError | None = None
        self.returned: dict[str, Any] | None = None
        self.deferred: TaskDeferred | None = None
        self.slept_on_worker = 0.0
        try:
            self.returned = self.operator().execute(self.context)
        except TaskDeferred as deferred:
            self.deferred = deferred
            self.slept_on_worker = sum(dify.clock.slept)
        except DifyError as error:
            self.error = error

    @property
    def context(self) -> Any:
        return {"ti": self.task}

    def operator(self) -> DifyDocumentStatusOperator:
        return DifyDocumentStatusOperator(**self.arguments)

    def trigger(self) -> Any:
        """The trigger as a triggerer makes it: from what is in the database."""
        assert self.deferred
        path, kwargs = self.deferred.trigger.serialize()
        module, name = path.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))

    def wait(self) -> None:
        async def first_event() -> dict[str, Any]:
            events = [event async for event in self.trigger().run()]
            assert len(events) == 1
            return json.loads(json.dumps(events[0].payload))  # type: ignore[no-any-return]

        self.event = asyncio.run(first_event())

    def resume(self) -> None:
        assert self.deferred
        method = getattr(self.operator(), self.deferred.method_name)
        try:
            self.returned = method(self.context, self.event, **(self.deferred.kwargs or {}))
        except DifyError as error:
            self.error = error


@pytest.mark.parametrize(("build", "waits"), PLAYS, ids=lambda value: getattr(value, "__name__", ""))
def test_direct_and_deferred_are_the_same(
    build: Build, waits: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    played = []
    for deferrable in (False, True):
        with FakeDify(clock=VirtualClock(), jobs=1) as dify, using(dify.clock):
            monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
            one = Played(dify, build, deferrable=deferrable)
            assert (one.deferred is not None) is (deferrable and waits)
            if one.deferred:
                assert one.slept_on_worker < 2
                assert dify.api_key not in json.dumps([one.deferred.trigger.serialize(), one.deferred.kwargs])
                one.wait()
                one.resume()
                assert dify.api_key not in json.dumps(one.event)
            played.append(one)
    direct, deferred = played
    assert deferred.task.xcom["report"] == direct.task.xcom["report"]
    assert deferred.task.xcom.keys() == direct.task.xcom.keys()  # the links differ: each Dify has a port of its own
    assert deferred.returned == direct.returned
    assert type(deferred.error) is type(direct.error)
    if direct.error and deferred.error:
        assert deferred.error.retryable == direct.error.retryable
        assert (deferred.error.status, deferred.error.code) == (direct.error.status, direct.error.code)
        assert deferred.error.report == direct.error.report


def test_what_was_done_before_the_wait_is_in_xcom_meanwhile(dify: FakeDify) -> None:
    played = Played(dify, locked, deferrable=True)
    assert played.task.xcom["report"]["counts"]["changed"] == 119
    assert played.task.xcom["report"]["counts"]["not_attempted"] == 1
    # What awaits its proof in the triggerer is not in doubt.
    waiting = Played(dify, worker_is_down, deferrable=True)
    assert waiting.task.xcom["report"]["counts"]["changed"] > 0
    assert waiting.task.xcom["report"]["errors"] == {}


def test_the_trigger_goes_on_after_a_restart(dify: FakeDify) -> None:
    """A stopped triggerer leaves the trigger in the database, and another one creates it again."""
    played = Played(dify, locked, deferrable=True)

    async def broken_off() -> None:
        steps = 0

        def stop() -> None:
            nonlocal steps
            steps += 1
            if steps == 10:
                task.cancel()

        dify.clock.on_advance(stop)  # type: ignore[attr-defined]
        task = asyncio.ensure_future(anext(played.trigger().run()))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(broken_off())
    played.wait()
    played.resume()
    assert played.error is None
    assert played.task.xcom["report"]["counts"]["changed"] == 120
    assert 600 <= sum(dify.clock.slept) <= 625


def test_what_a_trigger_has_to_remember_is_small() -> None:
    """MySQL keeps at most 64 kB for a trigger, and Airflow makes a third more of it by encrypting it."""
    ids = tuple(str(uuid.uuid4()) for _ in range(1000))
    odd, every = Sent(by_us=set(ids[1::2]), unsure={ids[-1]}), Sent(by_us=set(ids), taken=set(ids))
    settled = {i: list(Outcome)[number % 10] for number, i in enumerate(ids)}
    errors = {i: "It is archived." for i in ids if settled[i] is Outcome.REFUSED}
    for handover in (Handover(ids, odd), Handover(ids, every), Handover(()), Handover(ids, every, settled, errors)):
        kept = json.dumps(handover.to_json())
        assert Handover.from_json(json.loads(kept)) == handover
        assert len(kept) < 25_000


def test_two_triggerers_at_once(dify: FakeDify) -> None:
    played = Played(dify, locked, deferrable=True)

    async def both() -> list[Any]:
        return await asyncio.gather(*(anext(played.trigger().run()) for _ in range(2)))

    reports = [event.payload["report"] for event in asyncio.run(both())]
    assert all(event["errors"] == {} for event in reports)
    assert all(len(report["changed"]) + len(report["unchanged"]) == 120 for report in reports)
    assert max(len(report["changed"]) for report in reports) == 120
    assert all(dify.document(i).archived for i in reports[0]["changed"] + reports[0]["unchanged"])


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}])
def test_an_unknown_event_is_refused(dify: FakeDify, event: dict[str, Any] | None) -> None:
    played = Played(dify, locked, deferrable=True)
    played.event = event
    played.resume()
    assert "does not know" in str(played.error)


def test_killed_it_sends_nothing_more_although_airflow_lets_it_go_on(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, options = locked(dify)
    operator = DifyDocumentStatusOperator(
        task_id="t", dataset_id=pages[0].dataset.id, document_ids=[page.id for page in pages], **options
    )
    task = TaskInstance()
    sent: list[int] = []

    def sleep(seconds: float) -> None:
        operator.on_kill()
        sent.append(len(dify.requests))

    monkeypatch.setattr(dify.clock, "sleep", sleep)
    with pytest.raises(DifyError, match="killed: nothing more is sent") as raised:
        operator.execute({"ti": task})  # type: ignore[typeddict-item]
    assert sent == [len(dify.requests)]
    assert raised.value.report is not None
    assert raised.value.report.to_json() == task.xcom["report"]


def test_killed_in_the_middle_it_leaves_the_report(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(BaseException):
        pass

    pages, options = locked(dify)
    operator = DifyDocumentStatusOperator(
        task_id="t", dataset_id=pages[0].dataset.id, document_ids=[page.id for page in pages], **options
    )
    task = TaskInstance()
    seen: list[dict[str, Any]] = []

    def sleep(seconds: float) -> None:
        operator.on_kill()
        seen.append(task.xcom["report"])
        raise KilledError

    monkeypatch.setattr(dify.clock, "sleep", sleep)
    with pytest.raises(KilledError):
        operator.execute({"ti": task})  # type: ignore[typeddict-item]
    assert seen[0]["counts"]["changed"] == 119
    operator.on_kill()
    DifyDocumentStatusOperator(task_id="t", dataset_id="", document_ids=[], action="archive").on_kill()
