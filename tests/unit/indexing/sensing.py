"""Runs the sensor in its three ways to wait as Airflow does, and what it may meet there."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    BaseSensorOperator,
    TaskDeferred,
)

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyIndexingError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
    DifyInputError,
    DifyNotFoundError,
    DifyServerError,
)
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import UNKNOWN

MODES = ("poke", "reschedule", "deferrable")
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
    """Create the trigger again from what Airflow keeps of it, run it, and return what it fires."""
    path, kwargs = deferred.trigger.serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**through_json(kwargs))

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(events())
    return payload


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


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
    return {"document_ids": [page.id, gone.id]}, (DifyIndexingError, f"or given by a wrong id: {gone.id}")


def ids_unknown(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    return {"document_ids": [kb.add_document("page").id, UNKNOWN]}, (
        DifyIndexingError,
        f"or given by a wrong id: {UNKNOWN}",
    )


def batch_unknown(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    return {"batch": "20260101000000000000"}, (DifyIndexingError, "no document of batch 20260101000000000000")


def batch_deleted(dify: FakeDify, kb: Dataset) -> tuple[dict[str, Any], Any]:
    page = kb.add_document("page", indexing_status="indexing")
    remove(page, after=200)
    return {"batch": page.batch}, (DifyIndexingError, "[Dd]eleted")


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
#: Not final: Airflow should try again, also with ``soft_fail``.
WORTH_ANOTHER_TRY = {dify_down}
