"""The sensor in its three ways to wait, as Airflow runs it, against the built-in Dify: the same end in each."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    TaskDeferred,
)

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyError,
    DifyIndexingError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
    DifyInputError,
    DifyNotFoundError,
    DifyServerError,
)
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from airflow_provider_dify.triggers.indexing import DifyDocumentIndexingTrigger

MODES = ("poke", "reschedule", "deferrable")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
#: Airflow's own module: what it calls time has to be the time of the test.
MACHINERY: Any = sys.modules[BaseSensorOperator.__module__]


class TaskInstance:
    """The part of a task instance that a sensor uses."""

    dag_id, task_id, run_id, map_index, max_tries, try_number = "dag", "wait", "run", -1, 0, 1

    def __init__(self) -> None:
        self.first_poke: datetime | None = None
        self.xcom: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value


class TaskInstance3(TaskInstance):
    """As in Airflow 3."""

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_poke


class Airflow:
    """Runs a sensor until its task would end.

    :param dify: Its clock is Airflow's clock.
    """

    def __init__(self, dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dify = dify
        self.runs = 0
        #: The trigger that it was deferred to.
        self.deferred: TaskDeferred | None = None
        self.ti: TaskInstance = TaskInstance() if hasattr(MACHINERY, "_orig_start_date") else TaskInstance3()
        monkeypatch.setattr(MACHINERY, "time", dify.clock)
        monkeypatch.setattr(MACHINERY, "timezone", SimpleNamespace(utcnow=self.now))
        if hasattr(MACHINERY, "_orig_start_date"):
            monkeypatch.setattr(MACHINERY, "_orig_start_date", lambda **kwargs: self.ti.first_poke)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.dify.clock.time(), timezone.utc)

    def run(self, mode: str, **kwargs: Any) -> Any:
        """Return what the task returns, or raise what ends it."""
        how = {"deferrable": True} if mode == "deferrable" else {"mode": mode}
        context: Any = {"ti": self.ti}
        while True:
            # Each run is a new process.
            sensor = DifyDocumentIndexingSensor(task_id="wait", **{"deferrable": False} | how | kwargs)
            self.runs += 1
            began = self.now()
            try:
                return sensor.execute(context)
            except MACHINERY.AirflowRescheduleException as later:
                self.ti.first_poke = self.ti.first_poke or began
                self.dify.clock.sleep((later.reschedule_date - self.now()).total_seconds())
            except TaskDeferred as deferred:
                self.deferred = deferred
                return self.resume(sensor, {**(deferred.kwargs or {}), "event": fire(deferred)})

    def resume(self, sensor: DifyDocumentIndexingSensor, kwargs: dict[str, Any], method: str | None = None) -> Any:
        assert self.deferred or method
        next_method = method or (self.deferred.method_name if self.deferred else "")
        context: Any = {"ti": self.ti}
        return sensor.resume_execution(next_method, through_json(kwargs), context)


def fire(deferred: TaskDeferred) -> Any:
    """Make the trigger anew from what Airflow keeps of it, run it, and return what it fires."""
    path, kwargs = deferred.trigger.serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**through_json(kwargs))

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(events())
    return payload


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.fixture
def airflow(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return Airflow(dify, monkeypatch)


def add_batch(kb: Dataset, **statuses: str) -> list[Document]:
    """Documents of one batch, by name, each in a status."""
    pages = [kb.add_document(name, indexing_status=status, segments=3) for name, status in statuses.items()]
    for page in pages:
        row(page).batch = pages[0].batch
    return pages


def row(page: Document) -> Any:
    found = page.dataset.get(page.id)
    assert found
    return found


def remove(page: Document, after: float) -> None:
    page.dataset.world.schedule(after, lambda at: page.dataset.remove(row(page)))


def reach(page: Document, stage: str, after: float) -> None:
    page.dataset.world.schedule(after, lambda at: row(page).reach(stage, at))


# Each scenario prepares a Dify and returns what to wait for, and the names of the documents that are returned in the
# end, or the class of the error and a part of its text.
Scenario = Callable[[FakeDify, Dataset], tuple[dict[str, Any], Any]]


def indexed_already(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, _ = add_batch(kb, one="completed", two="completed")
    return {"batch": page.batch}, ["two", "one"]


def ids_indexed_already(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    ids = [page.id for page in kb.add_documents(3)]
    return {"document_ids": json.dumps(ids[::-1])}, ["document-2", "document-1", "document-0"]


def indexed_in_time(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    one, two, _ = add_batch(kb, one="waiting", two="splitting", three="completed")
    two.finish_indexing(after=100)
    one.finish_indexing(after=900)
    return {"batch": one.batch}, ["three", "two", "one"]


def ids_indexed_in_time(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    pages = [kb.add_document(f"page {n}", indexing_status="waiting") for n in range(20)]
    for n, page in enumerate(pages):
        page.finish_indexing(after=100 * n)
    return {"document_ids": [page.id for page in pages], "stall_timeout": 300}, [page.name for page in pages]


def moving_slowly(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, other = add_batch(kb, page="waiting", other="waiting")
    for n, stage in enumerate(("parsing", "cleaning", "splitting", "indexing")):
        reach(page, stage, after=1500 * (n + 1))
    page.finish_indexing(after=1500 * 5)
    other.finish_indexing(after=1500 * 6)
    return {"batch": page.batch, "stall_timeout": 1700}, ["other", "page"]


def failed(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, _ = add_batch(kb, handbook="indexing", other="waiting")
    page.fail_indexing("No embedding model.", after=200)
    return {"batch": page.batch}, (DifyIndexingError, f"{page.id} 'handbook' \\(error, \"No embedding model.\"\\)")


def ids_failed(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    _, expected = failed(dify, kb)
    return {"document_ids": [page.id for page in kb.documents]}, expected


def failed_before(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="error", error="broken.pdf")
    return {"batch": page.batch}, (DifyIndexingError, "broken.pdf")


def paused(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, _ = add_batch(kb, handbook="indexing", other="completed")
    dify.world.schedule(200, lambda at: page.set(paused=True))
    return {"batch": page.batch}, (DifyIndexingError, f"{page.id} 'handbook' \\(paused\\)")


def ids_paused(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    _, expected = paused(dify, kb)
    return {"document_ids": [page.id for page in kb.documents]}, expected


def ids_deleted(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, gone = add_batch(kb, page="indexing", gone="indexing")
    remove(gone, after=200)
    return {"document_ids": [page.id, gone.id]}, (DifyIndexingError, f"not in this knowledge base: {gone.id}")


def ids_unknown(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    return {"document_ids": [kb.add_document("page").id, UNKNOWN]}, (DifyIndexingError, f"base: {UNKNOWN}")


def batch_unknown(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    return {"batch": "20260101000000000000"}, (DifyIndexingError, "no document of batch 20260101000000000000")


def batch_deleted(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="indexing")
    remove(page, after=200)
    return {"batch": page.batch}, (DifyIndexingError, "deleted")


def stuck(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, _ = add_batch(kb, page="waiting", other="completed")
    reach(page, "splitting", after=600)
    return {"batch": page.batch}, (DifyIndexingStalled, f"1 of 2 documents completed.*: {page.id} \\(splitting\\)")


def ids_stuck(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    stuck(dify, kb)
    return {"document_ids": [page.id for page in kb.documents]}, (DifyIndexingStalled, "stands still")


def waiting_for_a_worker(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="waiting")
    return {"batch": page.batch}, (DifyIndexingStalled, f"{page.id} \\(waiting\\)")


def not_in_time(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page, _ = add_batch(kb, page="indexing", other="completed")
    page.finish_indexing(after=1000)
    return {"batch": page.batch, "timeout": 600}, (DifyIndexingTimeout, f"1 of 2 doc.*{page.id} \\(indexing\\)")


def no_time_at_all(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    return {"batch": kb.add_document("page", indexing_status="indexing").batch, "timeout": 0}, (
        DifyIndexingTimeout,
        "0 of 1",
    )


def knowledge_base_deleted(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="indexing")
    dify.world.schedule(200, lambda at: dify.world.datasets.__delitem__(kb.id))
    return {"batch": page.batch}, (DifyNotFoundError, "Dataset not found")


def key_withdrawn(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="indexing")
    dify.world.schedule(200, lambda at: dify.world.keys.__delitem__(dify.api_key))
    return {"batch": page.batch}, (DifyAuthenticationError, "Access token is invalid")


def dify_down(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="indexing")
    dify.world.schedule(200, lambda at: dify.faults.add(Fault("status", status=502, times=None)))
    return {"batch": page.batch}, (DifyServerError, "502")


def dify_down_for_a_moment(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="indexing")
    page.finish_indexing(after=300)
    dify.world.schedule(100, lambda at: dify.faults.add(Fault("reset_before", times=2)))
    return {"batch": page.batch}, ["page"]


def no_batch(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    return {"batch": "None"}, (DifyInputError, "batch is not")


GOOD_ENDS: list[Scenario] = [
    indexed_already,
    ids_indexed_already,
    indexed_in_time,
    ids_indexed_in_time,
    moving_slowly,
    dify_down_for_a_moment,
]
BAD_ENDS: list[Scenario] = [
    failed,
    ids_failed,
    failed_before,
    paused,
    ids_paused,
    ids_deleted,
    ids_unknown,
    batch_unknown,
    batch_deleted,
    stuck,
    ids_stuck,
    waiting_for_a_worker,
    not_in_time,
    no_time_at_all,
    knowledge_base_deleted,
    key_withdrawn,
    dify_down,
    no_batch,
]
#: Not final: Airflow shall try again, also with ``soft_fail``.
WORTH_ANOTHER_TRY = {dify_down}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", GOOD_ENDS, ids=lambda scenario: scenario.__name__)
def test_every_mode_returns_the_same(
    dify: FakeDify, kb: Dataset, airflow: Airflow, scenario: Scenario, mode: str
) -> None:
    kwargs, expected = scenario(dify, kb)
    names = {page.id: page.name for page in kb.documents}
    returned = airflow.run(mode, **{"dataset_id": kb.id, "poke_interval": 60, **kwargs})
    assert [names[i] for i in returned] == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", BAD_ENDS, ids=lambda scenario: scenario.__name__)
def test_every_mode_fails_alike(dify: FakeDify, kb: Dataset, airflow: Airflow, scenario: Scenario, mode: str) -> None:
    kwargs, (kind, text) = scenario(dify, kb)
    with pytest.raises(DifyError, match=re.compile(text, re.DOTALL)) as caught:
        airflow.run(mode, **{"dataset_id": kb.id, "poke_interval": 60, **kwargs})
    assert type(caught.value) is kind
    no_retries = isinstance(caught.value, (AirflowFailException, AirflowSensorTimeout))
    assert no_retries is (scenario not in WORTH_ANOTHER_TRY)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", BAD_ENDS, ids=lambda scenario: scenario.__name__)
def test_every_mode_skips_alike(dify: FakeDify, kb: Dataset, airflow: Airflow, scenario: Scenario, mode: str) -> None:
    kwargs, (kind, _) = scenario(dify, kb)
    with pytest.raises(kind if scenario in WORTH_ANOTHER_TRY else AirflowSkipException):
        airflow.run(mode, **{"dataset_id": kb.id, "poke_interval": 60, "soft_fail": True, **kwargs})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", [failed, not_in_time])
def test_a_skipped_task_says_why(
    dify: FakeDify, kb: Dataset, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, mode: str
) -> None:
    told: list[str] = []
    log = SimpleNamespace(info=lambda *args: None, warning=lambda text, *args: told.append(text % args))
    monkeypatch.setattr(DifyDocumentIndexingSensor, "log", log)
    kwargs, (_, text) = scenario(dify, kb)
    with pytest.raises(AirflowSkipException):
        airflow.run(mode, **{"dataset_id": kb.id, "soft_fail": True, **kwargs})
    assert [bool(re.search(text, line, re.DOTALL)) for line in told] == [True]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", [stuck, ids_stuck])
def test_every_mode_finds_out_in_time(
    dify: FakeDify, kb: Dataset, airflow: Airflow, scenario: Scenario, mode: str
) -> None:
    kwargs, _ = scenario(dify, kb)
    with pytest.raises(DifyIndexingStalled):
        airflow.run(mode, dataset_id=kb.id, poke_interval=60, stall_timeout=900, **kwargs)
    # It stood at 600 s; a look at each minute sees both that, and that it stands, up to a minute later.
    assert 600 + 900 < dify.clock.monotonic() <= 600 + 900 + 2 * 60 + 1


@pytest.mark.parametrize("mode", MODES)
def test_what_stood_still_before_is_given_the_same_time(
    dify: FakeDify, kb: Dataset, airflow: Airflow, mode: str
) -> None:
    page = kb.add_document("page", indexing_status="waiting")
    reach(page, "splitting", after=10)
    dify.clock.advance(100_000)
    began = dify.clock.monotonic()
    with pytest.raises(DifyIndexingStalled):
        airflow.run(mode, dataset_id=kb.id, batch=page.batch, poke_interval=60, stall_timeout=900)
    assert 900 < dify.clock.monotonic() - began <= 900 + 61


@pytest.mark.parametrize("mode", MODES)
def test_what_is_indexed_is_neither_deferred_nor_rescheduled(
    dify: FakeDify, kb: Dataset, airflow: Airflow, mode: str
) -> None:
    page = kb.add_document("page")
    assert airflow.run(mode, dataset_id=kb.id, batch=page.batch) == [page.id]
    assert (airflow.deferred, airflow.runs, dify.clock.slept, len(dify.requests)) == (None, 1, [], 1)


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
@pytest.mark.parametrize("gone", ["one", "all"])
def test_documents_that_left_their_batch_are_followed(
    dify: FakeDify, kb: Dataset, airflow: Airflow, mode: str, gone: str
) -> None:
    pages = add_batch(kb, page="indexing", other="indexing")
    leaving = pages if gone == "all" else pages[:1]
    for n, page in enumerate(leaving):
        restart = row(page).restart_indexing
        dify.world.schedule(100, lambda at, restart=restart, n=n: restart(f"2026010100000000000{n}", at))  # type: ignore[misc]
        page.finish_indexing(after=500)
    pages[1].finish_indexing(after=300)
    returned = airflow.run(mode, dataset_id=kb.id, batch=pages[0].batch)
    assert returned == [pages[1].id, pages[0].id]
    assert dify.clock.monotonic() >= 500


def test_segments_count_as_movement_where_they_are_remembered(dify: FakeDify, kb: Dataset, airflow: Airflow) -> None:
    page = kb.add_document("page", indexing_status="indexing")
    for minute in range(100):
        dify.world.schedule(60 * minute, lambda at, n=minute: setattr(row(page), "segments", n))  # type: ignore[misc]
    with pytest.raises(DifyIndexingStalled):
        airflow.run("poke", dataset_id=kb.id, batch=page.batch, stall_timeout=900)
    assert dify.clock.monotonic() > 6000


class TestDeferred:
    """What is kept while nothing of the sensor runs."""

    def defer(self, airflow: Airflow, kb: Dataset, **kwargs: Any) -> TaskDeferred:
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=kb.id, deferrable=True, **kwargs)
        context: Any = {"ti": airflow.ti}
        with pytest.raises(TaskDeferred) as caught:
            sensor.execute(context)
        airflow.deferred = caught.value
        return caught.value

    def test_the_arguments_are_plain_and_hold_no_key(self, dify: FakeDify, kb: Dataset, airflow: Airflow) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        dify.clock.advance(5)
        deferred = self.defer(airflow, kb, batch=page.batch, timeout=700, poke_interval=30, stall_timeout=500)
        path, kwargs = deferred.trigger.serialize()
        assert path == "airflow_provider_dify.triggers.indexing.DifyDocumentIndexingTrigger"
        assert through_json(kwargs) == kwargs
        assert kwargs == {
            "dify_conn_id": "dify_default",
            "dataset_id": kb.id,
            "batch": page.batch,
            "document_ids": None,
            "started": dify.clock.time(),
            "timeout": 700.0,
            "poll_interval": 30.0,
            "stall_timeout": 500,
            "so_far": {"moved": 0.0, "seen": [[page.id, "indexing", 0, 1]]},
        }
        assert dify.api_key not in json.dumps(kwargs)

    def test_airflow_gives_up_later_than_the_trigger(self, dify: FakeDify, kb: Dataset, airflow: Airflow) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        deferred = self.defer(airflow, kb, document_ids=page.id, timeout=700)
        assert deferred.timeout is not None
        assert 700 + 60 < deferred.timeout.total_seconds() < 700 + 300
        before = dify.clock.time()
        assert fire(deferred)["error"]["class"] == "DifyIndexingTimeout"
        assert dify.clock.time() - before == pytest.approx(700)

    def test_the_deadline_is_kept_when_the_triggerer_is_restarted(
        self, dify: FakeDify, kb: Dataset, airflow: Airflow
    ) -> None:
        deferred = self.defer(airflow, kb, batch=kb.add_document("page", indexing_status="waiting").batch, timeout=700)
        began = dify.clock.time()
        dify.clock.advance(650)
        assert fire(deferred)["error"]["class"] == "DifyIndexingTimeout"
        assert dify.clock.time() - began == pytest.approx(700)

    @pytest.mark.parametrize("moves", [True, False])
    def test_movement_is_told_when_the_triggerer_is_restarted(
        self, dify: FakeDify, kb: Dataset, airflow: Airflow, moves: bool
    ) -> None:
        page, _ = add_batch(kb, page="waiting", other="waiting")
        deferred = self.defer(airflow, kb, batch=page.batch, stall_timeout=900)
        began = dify.clock.time()
        if moves:
            # Without a time of its own: only what was seen before tells.
            page.dataset.world.schedule(700, lambda at: page.set(indexing_status="indexing"))
        dify.clock.advance(800)
        assert fire(deferred)["error"]["class"] == "DifyIndexingStalled"
        assert dify.clock.time() - began == pytest.approx((800 if moves else 0) + 930, abs=31)

    def test_a_trigger_may_run_twice(self, dify: FakeDify, kb: Dataset, airflow: Airflow) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        page.finish_indexing(after=100)
        deferred = self.defer(airflow, kb, batch=page.batch)
        assert fire(deferred) == fire(deferred) == {"status": "success", "document_ids": [page.id]}
        assert {request.method for request in dify.requests} == {"GET"}

    def test_a_trigger_holds_up_nobody(
        self, dify: FakeDify, kb: Dataset, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        page.finish_indexing(after=100)
        deferred = self.defer(airflow, kb, batch=page.batch)
        blocking = pytest.fail

        async def asleep(seconds: float) -> None:
            dify.clock.advance(seconds)
            await asyncio.sleep(0)

        monkeypatch.setattr(dify.clock, "asleep", asleep)
        monkeypatch.setattr(dify.clock, "sleep", lambda seconds: blocking("slept in the event loop"))
        monkeypatch.setattr("requests.Session.send", lambda *args, **kwargs: blocking("requests in the event loop"))
        assert fire(deferred)["status"] == "success"

    def test_nothing_is_undone(self) -> None:
        own = vars(DifyDocumentIndexingTrigger)
        assert not {"cleanup", "on_kill"} & set(own)

    @pytest.mark.parametrize("event", [None, {}, {"status": "running"}, "success", {"document_ids": []}])
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_an_event_that_it_does_not_know(self, kb: Dataset, airflow: Airflow, event: Any, soft_fail: bool) -> None:
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=kb.id, batch="1", soft_fail=soft_fail)
        with pytest.raises(DifyError, match="which this sensor does not know") as caught:
            airflow.resume(sensor, {"event": event}, "execute_complete")
        assert not isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize("text", ["Trigger timeout", "Trigger/execution timeout"])
    def test_a_triggerer_that_is_down(self, kb: Dataset, airflow: Airflow, text: str) -> None:
        """Airflow 3 and 2 say so in different words."""
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=kb.id, batch="1")
        with pytest.raises(DifyIndexingTimeout, match="Check that a triggerer runs"):
            airflow.resume(sensor, {"error": text}, "__fail__")
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=kb.id, batch="1", soft_fail=True)
        with pytest.raises(AirflowSkipException):
            airflow.resume(sensor, {"error": text}, "__fail__")

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_trigger_that_broke(self, kb: Dataset, airflow: Airflow, soft_fail: bool) -> None:
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=kb.id, batch="1", soft_fail=soft_fail)
        with pytest.raises(AirflowException, match="Trigger failure") as caught:
            airflow.resume(sensor, {"error": "Trigger failure", "traceback": ["Traceback"]}, "__fail__")
        assert not isinstance(caught.value, (AirflowSkipException, DifyError))


@pytest.mark.parametrize("kwargs", [{}, {"batch": "1", "document_ids": [UNKNOWN]}])
def test_one_of_batch_and_ids_is_asked_for_when_the_dag_is_parsed(kwargs: dict[str, Any]) -> None:
    with pytest.raises(DifyInputError, match="exactly one"):
        DifyDocumentIndexingSensor(task_id="t", dataset_id=UNKNOWN, **kwargs)


def test_templated_fields_are_attributes() -> None:
    sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id="{{ x }}", batch="{{ y }}", dify_conn_id="{{ z }}")
    assert set(sensor.template_fields) == {"dify_conn_id", "dataset_id", "batch", "document_ids"}
    assert [getattr(sensor, name) for name in sensor.template_fields] == ["{{ z }}", "{{ x }}", "{{ y }}", None]


def test_loads_no_http_client() -> None:
    code = (
        "import sys\n"
        "from airflow.providers.common.compat.sdk import BaseHook, BaseSensorOperator, conf\n"
        "from airflow.triggers.base import BaseTrigger\n"
        "heavy = {'requests', 'httpx', 'urllib3'}\n"
        "for name in heavy: sys.modules.pop(name, None)\n"
        "import airflow_provider_dify.sensors.documents, airflow_provider_dify.triggers.indexing\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
