"""The sensor in its three ways to wait, as Airflow runs it, against the built-in Dify: the same end in each."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    TaskDeferred,
)

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
    DifyInputError,
)
from airflow_provider_dify.knowledge.text.packing import pack_ids
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.triggers.conversation import DifyConversationTrigger
from tests.unit.conftest import UNKNOWN, TaskInstance
from tests.unit.indexing.sensing import (
    BAD_ENDS,
    GOOD_ENDS,
    MODES,
    WORTH_ANOTHER_TRY,
    Airflow,
    Scenario,
    add_batch,
    failed,
    fire,
    ids_stuck,
    not_in_time,
    reach,
    row,
    stuck,
    through_json,
)


@pytest.fixture
def airflow(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return Airflow(dify, monkeypatch)


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


@pytest.mark.parametrize(("timeout", "shown"), [(90, "90 s"), (604_800, "7 days")])
def test_a_long_time_is_told_in_days(kb: Dataset, said: pytest.LogCaptureFixture, timeout: float, shown: str) -> None:
    page = kb.add_document("page")
    DifyDocumentIndexingSensor(task_id="wait", dataset_id=kb.id, document_ids=[page.id], timeout=timeout).execute(
        {"ti": TaskInstance()}  # type: ignore[typeddict-item]
    )
    assert f"Waiting for 1 document to be indexed, for up to {shown}." in said.messages


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_slow_start_counts(dify: FakeDify, kb: Dataset, airflow: Airflow, mode: str) -> None:
    """Airflow's time begins before the knowledge base is found by its name."""
    page = kb.add_document("page", indexing_status="indexing")
    dify.faults.add(Fault("latency", seconds=30))
    with pytest.raises(DifyIndexingTimeout, match=page.id):
        airflow.run(mode, dataset_name=kb.name, document_ids=[page.id], poke_interval=59, timeout=120)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_timeout_that_airflow_finds_names_the_documents(
    dify: FakeDify, kb: Dataset, airflow: Airflow, mode: str
) -> None:
    """With ``silent_fail``, a check that fails does not end the wait."""
    page = kb.add_document("page", indexing_status="indexing")
    options = {"poke_interval": 600, "timeout": 1000, "silent_fail": True, "stall_timeout": None}
    kb.world.schedule(900, lambda at: dify.faults.add(Fault("status", status=418, times=None)))
    # A rescheduled sensor is a new process.
    known = "Not completed: .*page" if mode == "poke" else "Dify did not answer the last check"
    with pytest.raises(DifyIndexingTimeout, match=known):
        airflow.run(mode, dataset_id=kb.id, document_ids=[page.id], **options)


def test_it_waits_by_the_clock_of_the_fixture(dify: FakeDify, kb: Dataset) -> None:
    page = kb.add_document("page", indexing_status="indexing")
    page.finish_indexing(after=6000)
    sensor = DifyDocumentIndexingSensor(
        task_id="wait", dataset_id=kb.id, document_ids=[page.id], poke_interval=600, stall_timeout=None, timeout=7000
    )
    assert sensor.execute({"ti": TaskInstance()}) == [page.id]  # type: ignore[typeddict-item]
    assert dify.clock.slept.count(600) == 10


def test_its_timeout_comes_by_the_clock_of_the_fixture(dify: FakeDify, kb: Dataset) -> None:
    page = kb.add_document("page", indexing_status="indexing")
    sensor = DifyDocumentIndexingSensor(
        task_id="wait", dataset_id=kb.id, document_ids=[page.id], stall_timeout=None, poke_interval=3600, timeout=86_400
    )
    with pytest.raises(DifyIndexingTimeout, match=page.id):
        sensor.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]


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
    # It stood at 600 s; a check each minute sees both that, and that it stands, up to a minute later.
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
    assert (airflow.deferred, airflow.runs, dify.clock.slept) == (None, 1, [])
    # The knowledge base, for its name; the batch; then, to prove that search returns it: the document, the knowledge
    # base, its segments, a search.
    assert len(dify.requests) == 6


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
        dify.world.schedule(60 * minute, lambda at, n=minute: row(page).cut(["text"] * n))  # type: ignore[misc]
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
        assert path == "airflow_provider_dify.triggers.conversation.DifyConversationTrigger"
        assert through_json(kwargs) == kwargs
        assert kwargs == {
            "dify_conn_id": "dify_default",
            "kind": "indexing",
            "state": {
                "dataset_id": kb.id,
                "batch": page.batch,
                "ids": pack_ids([page.id]),
                "seen": [0],
                "kinds": [["indexing", 0, 1]],
                "moved": 0.0,
                "stall_timeout": 500,
                "prove_by": "search",
                "poll_interval": 30.0,
                "whole": [0, 0],
            },
            "started": dify.clock.time(),
            "timeout": 700.0,
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
        assert fire(deferred) == (event := fire(deferred))
        assert (event["error"], event["report"]["document_ids"]) == (None, [page.id])
        assert not any(request.changes for request in dify.requests)

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
        assert fire(deferred)["error"] is None

    def test_nothing_is_undone(self) -> None:
        assert "cleanup" not in vars(DifyConversationTrigger)

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


def test_airflow_does_not_take_its_own_call_for_one_of_another_task(
    dify: FakeDify, kb: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow marks its call of ``execute``, and Airflow 2 also expects the mark if that calls the base class."""
    machinery: Any = sys.modules[BaseOperator.__module__]
    guard = machinery.ExecutorSafeguard
    monkeypatch.setattr(guard, "test_mode", False)
    page = kb.add_document("page")
    sensor: Any = DifyDocumentIndexingSensor(
        task_id="wait", dataset_id=kb.id, document_ids=[page.id], allow_nested_operators=False
    )
    mark = guard.sentinel_value if hasattr(guard, "sentinel_value") else machinery._sentinel  # Airflow 2
    assert sensor.execute({"ti": TaskInstance()}, DifyDocumentIndexingSensor__sentinel=mark) == [page.id]


@pytest.mark.parametrize("kwargs", [{}, {"batch": "1", "document_ids": [UNKNOWN]}])
def test_one_of_batch_and_ids_is_asked_for_when_the_dag_is_parsed(kwargs: dict[str, Any]) -> None:
    with pytest.raises(DifyInputError, match="exactly one"):
        DifyDocumentIndexingSensor(task_id="t", dataset_id=UNKNOWN, **kwargs)


def test_templated_fields_are_attributes() -> None:
    sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id="{{ x }}", batch="{{ y }}", dify_conn_id="{{ z }}")
    assert set(sensor.template_fields) == {"dify_conn_id", "dataset_id", "dataset_name", "batch", "document_ids"}
    assert [getattr(sensor, name) for name in sensor.template_fields] == ["{{ z }}", "{{ x }}", None, "{{ y }}", None]


@pytest.mark.program
def test_loads_no_http_client() -> None:
    code = (
        "import sys\n"
        "from airflow.providers.common.compat.sdk import BaseHook, BaseSensorOperator, conf\n"
        "from airflow.triggers.base import BaseTrigger\n"
        "heavy = {'requests', 'httpx', 'urllib3'}\n"
        "for name in heavy: sys.modules.pop(name, None)\n"
        "import airflow_provider_dify.sensors.documents, airflow_provider_dify.triggers.conversation\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
