"""The trigger for asset watchers against the built-in Dify, as a triggerer runs it; hours take no time."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.triggers.available import DifyDocumentsAvailableTrigger
from tests.unit.indexing.watching import (
    SlowStore,
    Store,
    fired,
    has_watchers,
    later,
    moments,
    run,
    switch,
    ten,
    through_airflow,
    trigger,
    with_sharing,
    with_watchers,
)


@pytest.fixture
def kb(dify: FakeDify) -> Dataset:
    """A knowledge base in which ten documents are not available yet, each for a reason, and two are."""
    kb = dify.add_dataset("handbook")
    kb.add_documents(2, "old-")
    return kb


@with_watchers
class TestEvents:
    def test_ten_documents_give_ten_events(self, dify: FakeDify, kb: Dataset) -> None:
        names = ten(dify, kb)
        assert run(dify, trigger(kb), 3600) == names

    @pytest.mark.large
    def test_so_they_do_among_many(self, dify: FakeDify, kb: Dataset) -> None:
        kb.add_documents(230)
        hidden = [kb.add_document(f"hidden-{number}", enabled=False) for number in range(3)]
        kb.add_documents(230)
        names = ten(dify, kb)
        for number, document in enumerate(hidden):  # each takes the place of one that leaves
            later(dify, 1200 + number, switch(document, on=True))
            later(dify, 1200 + number, switch(kb.documents[number], on=False))
        assert sorted(run(dify, trigger(kb), 3600)) == sorted([*names, "hidden-0", "hidden-1", "hidden-2"])

    def test_what_is_there_already(self, dify: FakeDify, kb: Dataset) -> None:
        assert run(dify, trigger(kb), 600) == []
        assert run(dify, trigger(kb, include_existing=True), 600) == ["old-0", "old-1"]

    def test_one_that_goes_and_comes_fires_once(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", enabled=False)
        for number in range(6):
            later(dify, 300 * (number + 1), switch(page, on=number % 2 == 0))
        assert run(dify, trigger(kb), 3600) == ["page"]

    def test_one_that_was_there_fires_when_it_comes_back(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.documents[0]
        for number in range(6):
            later(dify, 300 * (number + 1), switch(page, on=number % 2 == 1))
        assert run(dify, trigger(kb), 3600) == ["old-0"]

    def test_its_payload(self, dify: FakeDify, kb: Dataset) -> None:
        async def first() -> Any:
            async for event in trigger(kb, include_existing=True).run():
                return event.payload
            return None

        page = kb.documents[0]
        assert asyncio.run(first()) == {
            "dataset_id": kb.id,
            "document_id": page.id,
            "name": "old-0",
            "word_count": len(page.text),
            "created_at": 1767225600,
        }

    def test_a_quiet_knowledge_base_costs_one_request_a_look(self, dify: FakeDify, kb: Dataset) -> None:
        kb.add_documents(400)
        run(dify, trigger(kb, full_look_interval=1e6), 6000)
        assert len(dify.requests) == 5 + 100


@with_watchers
class TestPace:
    """Airflow makes a run of the first events, and brings the others with the next event only: the last comes alone."""

    def test_of_one_look(self, dify: FakeDify, kb: Dataset) -> None:
        kb.add_documents(3, "more-")
        at = moments(dify, trigger(kb, include_existing=True).run(), 5)
        assert [moment for _, moment in at] == [0, 0, 0, 0, 10]

    def test_of_one_look_that_takes_long_to_store(self, dify: FakeDify, kb: Dataset) -> None:
        """The turn of the last one counts from the others, not from the check, and is not missed until the next one."""

        class Lazy(Store):
            async def aset(self, key: str, value: Any) -> None:
                dify.clock.sleep(1.5)
                await super().aset(key, value)

        kb.add_documents(3, "more-")
        at = moments(dify, trigger(kb, Lazy(), include_existing=True).run(), 5)
        assert 10 <= at[4][1] - at[3][1] <= 12

    @pytest.mark.parametrize("shared", [False, pytest.param(True, marks=with_sharing)])
    def test_of_one_after_the_other(self, dify: FakeDify, kb: Dataset, *, shared: bool) -> None:
        """None waits for the turns of all that came before it."""
        for number in range(10):
            later(dify, 60 + number * 0.7, lambda: kb.add_document("new"))
        watcher = trigger(kb, Store(), poll_interval=1)
        at = moments(dify, through_airflow(watcher) if shared else watcher.run(), 10)
        assert at[0][1] <= 62
        assert 10 <= at[9][1] - at[8][1] <= 12
        assert at[9][1] <= 60 + 9 * 0.7 + 14

    @pytest.mark.large
    def test_of_documents_without_end(self, dify: FakeDify, kb: Dataset) -> None:
        """One that is held back is not overtaken forever, whether the others are older or not."""
        hidden = [kb.add_document(f"hidden-{number}", enabled=False) for number in range(30)]
        later(dify, 60, lambda: kb.add_documents(2, "new-"))
        for number, document in enumerate(hidden):
            later(dify, 62.5 + number * 5, switch(document, on=True))
        at = moments(dify, trigger(kb, poll_interval=1).run(), 32)
        assert [name for name, _ in at] == ["new-0", "new-1", *(document.name for document in hidden)]
        assert all(moment - (62.5 + number * 5) <= 11 for number, (_, moment) in enumerate(at[2:]))

    @pytest.mark.large
    def test_of_one_that_goes_before_its_turn(self, dify: FakeDify, kb: Dataset) -> None:
        """Airflow keeps back what came before it, so it comes all the same, and once."""
        later(dify, 60, lambda: kb.add_documents(3, "new-"))
        later(dify, 64, lambda: kb.documents[-1].set(enabled=False))
        later(dify, 120, lambda: kb.documents[-1].set(enabled=True))
        assert run(dify, trigger(kb, poll_interval=1), 200) == ["new-0", "new-1", "new-2"]

    def test_while_dify_fails(self, dify: FakeDify, kb: Dataset) -> None:
        """It waits for the end of the current check, and for none of those that come minutes later."""
        later(dify, 60, lambda: kb.add_documents(2, "new-"))
        later(dify, 62, lambda: dify.faults.add(Fault("status", status=500, times=1000)))
        at = moments(dify, trigger(kb, poll_interval=1).run(), 2)
        assert at[1][1] - at[0][1] <= 20

    def test_while_nothing_can_be_kept(self, dify: FakeDify, kb: Dataset, caplog: pytest.LogCaptureFixture) -> None:
        """It is tried again at each check, no sooner."""
        store = Store()
        later(dify, 30, lambda: kb.add_documents(2, "new-"))
        later(dify, 65, lambda: store.failures.extend([RuntimeError("API server")] * 5))
        at = moments(dify, trigger(kb, store).run(), 2)
        assert caplog.text.count("nothing fires until it can") == 5
        assert at[1][1] - at[0][1] == 5 * 60
        assert sum(seconds <= 1 for seconds in dify.clock.slept) <= 8 * 11, "it wakes for ten seconds after a check"

    @with_sharing
    def test_a_trigger_that_was_held_up_sees_no_old_look(self, dify: FakeDify, kb: Dataset) -> None:
        store = SlowStore(dify)
        for number in range(10):
            later(dify, 60 + number * 10, lambda: kb.add_document("new"))
        later(dify, 75, store.hold_up)
        at = moments(dify, through_airflow(trigger(kb, store, poll_interval=5)), 10)
        assert store.announced == [0, 1, 2, 3, 9, 10]
        assert at[9][1] <= 75 + 40 * 5 + 20


@with_watchers
class TestFailures:
    """Whatever happens, it is lived through, and not in a hurry."""

    @pytest.mark.parametrize(
        "fault",
        [
            Fault("status", status=500, times=40),
            Fault("status", status=429, times=3, retry_after=200),
            *(
                pytest.param(fault, marks=pytest.mark.large)
                for fault in (
                    Fault("reset_before", times=40),
                    Fault("page", times=40),
                    Fault("page", status=200, times=9),
                    Fault("truncated", times=9),
                    Fault("plan_limit", times=9),
                )
            ),
        ],
        ids=lambda fault: f"{fault.kind}-{fault.status}",
    )
    def test_of_dify(self, dify: FakeDify, kb: Dataset, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
        names = ten(dify, kb)
        later(dify, 250, lambda: dify.faults.add(fault))
        with caplog.at_level(logging.WARNING):
            assert sorted(run(dify, trigger(kb), 3 * 3600)) == names
        assert "cannot be watched (failure 1 in a row)" in caplog.text
        assert "Traceback" not in caplog.text
        assert len(dify.requests) < 3 * 60 + 60

    def test_what_dify_asks_for_has_an_end(self, dify: FakeDify, kb: Dataset) -> None:
        names = ten(dify, kb)
        later(dify, 250, lambda: dify.faults.add(Fault("status", status=429, retry_after="9" * 400)))
        assert sorted(run(dify, trigger(kb), 24 * 3600 + 600)) == names

    def test_of_the_key(self, dify: FakeDify, kb: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        """A new key in the connection is enough: the connection is read at each check."""
        names = ten(dify, kb)
        later(dify, 250, lambda: dify.world.keys.pop(dify.api_key))

        def mend() -> None:
            dify.api_key = dify.add_key()
            monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())

        later(dify, 2000, mend)
        assert sorted(run(dify, trigger(kb), 2 * 3600)) == names

    @pytest.mark.large
    def test_of_the_connection(
        self, dify: FakeDify, kb: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        names = ten(dify, kb)
        monkeypatch.delenv("AIRFLOW_CONN_DIFY_DEFAULT")
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", '{"conn_type": "dify", "host": "ftp://x", "password": "dataset-x"}')
        text = dify.airflow_connection()
        watcher = trigger(kb, dify_conn_id="broken", include_existing=True)
        later(dify, 5000, lambda: monkeypatch.setenv("AIRFLOW_CONN_BROKEN", text))
        with caplog.at_level(logging.WARNING):
            assert sorted(run(dify, watcher, 4 * 3600)) == [*names, "old-0", "old-1"]
        assert "dataset-x" not in caplog.text

    @pytest.mark.large
    def test_the_wait_grows_and_has_an_end(self, dify: FakeDify, kb: Dataset) -> None:
        dify.world.keys.clear()
        run(dify, trigger(kb), 24 * 3600)
        slept = dify.clock.slept
        assert slept[0] == 60
        assert max(slept) <= 600
        assert slept[10:] == sorted(slept[10:]) or min(slept[10:]) >= 300
        assert len(dify.requests) < 24 * 12 + 10

    def test_of_what_nobody_thought_of(
        self, dify: FakeDify, kb: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = [ZeroDivisionError("odd")]

        async def settings(dify_conn_id: str) -> Any:
            if failures:
                raise failures.pop()
            return await original(dify_conn_id)

        module = importlib.import_module("airflow_provider_dify.triggers.available")
        original = module.async_settings
        monkeypatch.setattr(module, "async_settings", settings)
        with caplog.at_level(logging.WARNING):
            assert run(dify, trigger(kb, include_existing=True), 600) == ["old-0", "old-1"]
        assert "ZeroDivisionError: odd" in caplog.text


@with_watchers
class TestRestart:
    def test_with_a_store_nothing_fires_twice_and_nothing_is_missed(self, dify: FakeDify, kb: Dataset) -> None:
        store = Store()
        names = ten(dify, kb)
        got = run(dify, trigger(kb, store), 480)
        assert got == names[:5]
        dify.clock.advance(300)  # nobody watches
        got += run(dify, trigger(kb, store), 3600)
        assert got == names

    def test_with_a_store_the_existing_fire_once(self, dify: FakeDify, kb: Dataset) -> None:
        store = Store()
        assert run(dify, trigger(kb, store, include_existing=True), 600) == ["old-0", "old-1"]
        assert run(dify, trigger(kb, store, include_existing=True), 600) == []

    def test_without_one_nothing_fires_twice(self, dify: FakeDify, kb: Dataset) -> None:
        names = ten(dify, kb)
        got = run(dify, trigger(kb), 480)
        dify.clock.advance(360)
        got += run(dify, trigger(kb), 3600)
        assert got == [*names[:5], *names[9:]]

    def test_two_triggerers_at_once(self, dify: FakeDify, kb: Dataset) -> None:
        """Airflow gives a trigger to another triggerer when one seems dead, and it may not be."""
        store = Store()
        names = ten(dify, kb)
        got = fired(dify, {"here": trigger(kb, store).run(), "there": trigger(kb, store).run()}, 3600)
        assert sorted(got["here"] + got["there"]) == names

    def test_what_another_one_has_fired_is_not_written_over(self, dify: FakeDify, kb: Dataset) -> None:
        """Here between a check and the writing of its result: that a document of the base line is gone for good."""
        store, page = Store(), kb.add_document("page", enabled=False)
        here = trigger(kb, store, full_look_interval=1)
        later(dify, 30, switch(kb.documents[0], on=False))
        there: list[str] = []

        async def looks() -> AsyncIterator[Any]:
            async for seen in here.open_shared_stream(here.serialize()[1]):
                if dify.clock.monotonic() >= 120 and not there:
                    page.set(enabled=True)
                    there.append((await anext(trigger(kb, store).run())).payload["name"])
                yield seen

        assert fired(dify, {"here": here.filter_shared_stream(looks())}, 600) == {"here": []}
        assert there == ["page"]

    def test_it_is_written_before_it_fires(self, dify: FakeDify, kb: Dataset) -> None:
        store = Store()

        async def first() -> str:
            async for event in trigger(kb, store, include_existing=True).run():
                assert event.payload["document_id"].replace("-", "")[-16:] in "".join(store.values.values())
                return "fired"
            return "ended"

        assert asyncio.run(first()) == "fired"

    def test_what_waits_to_come_alone_is_not_lost(self, dify: FakeDify, kb: Dataset) -> None:
        store = Store()
        kb.add_document("old-2")
        assert run(dify, trigger(kb, store, include_existing=True), 9) == ["old-0", "old-1"]
        assert run(dify, trigger(kb, store, include_existing=True), 600) == ["old-2"]

    def test_a_store_that_fails_loses_nothing(
        self, dify: FakeDify, kb: Dataset, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = Store()
        names = ten(dify, kb)
        later(dify, 250, lambda: store.failures.extend([RuntimeError("API server")] * 3))
        with caplog.at_level(logging.WARNING):
            assert sorted(run(dify, trigger(kb, store), 3600)) == names
        assert "nothing fires until it can: API server" in caplog.text

    def test_a_store_for_several_assets_is_not_used(
        self, dify: FakeDify, kb: Dataset, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = Store()
        store.failures.append(ValueError("Task has 2 concrete inlets and outlets"))
        names = ten(dify, kb)
        with caplog.at_level(logging.WARNING):
            assert run(dify, trigger(kb, store), 3600) == names
        assert "not kept over a restart" in caplog.text
        assert store.values == {}


@with_sharing
def test_watchers_of_a_knowledge_base_share_their_looks(dify: FakeDify, kb: Dataset) -> None:
    names = ten(dify, kb)
    both = [trigger(kb, Store()), trigger(kb, Store(), include_existing=True)]
    assert both[0].shared_stream_key() == both[1].shared_stream_key()
    managers: list[Any] = []
    streams = {str(number): through_airflow(watcher, managers, number) for number, watcher in enumerate(both)}
    got = fired(dify, streams, 3600)
    assert got == {"0": names, "1": ["old-0", "old-1", *names]}
    assert len(dify.requests) == len({request.at for request in dify.requests}) <= 61


@with_sharing
def test_one_that_comes_later_takes_no_look_of_before(dify: FakeDify, kb: Dataset) -> None:
    """What became available between that look and its coming was there at its start."""
    later(dify, 70, lambda: kb.add_document("new"))
    both, managers = [trigger(kb), trigger(kb, include_existing=True)], list[Any]()

    async def second() -> AsyncIterator[Any]:
        came = asyncio.Event()
        dify.clock.on_advance(lambda: came.set() if dify.clock.monotonic() >= 75 else None)  # type: ignore[attr-defined]
        await came.wait()
        looks = len(dify.requests)
        async for event in through_airflow(both[1], managers, 1):
            assert len(dify.requests) > looks
            yield event

    got = fired(dify, {"first": through_airflow(both[0], managers), "second": second()}, 300)
    assert got == {"first": ["new"], "second": ["old-0", "old-1", "new"]}


@with_watchers
def test_others_do_not_share(dify: FakeDify, kb: Dataset) -> None:
    other = dify.add_dataset("other")
    keys = {
        trigger(kb).shared_stream_key(),
        trigger(other).shared_stream_key(),
        trigger(kb, dify_conn_id="other").shared_stream_key(),
        trigger(kb, poll_interval=5).shared_stream_key(),
    }
    assert len(keys) == 4


@with_watchers
@pytest.mark.parametrize(
    "wrong",
    [{"dataset_id": "handbook"}, {"poll_interval": 0}, {"poll_interval": "soon"}, {"full_look_interval": -1}],
)
def test_wrong_parameters_fail_where_the_dag_is_written(kb: Dataset, wrong: dict[str, Any]) -> None:
    with pytest.raises(DifyInputError, match=next(iter(wrong))):
        DifyDocumentsAvailableTrigger(**{"dataset_id": kb.id, **wrong})


@with_watchers
def test_airflow_takes_it_for_a_watcher(kb: Dataset) -> None:
    from airflow.sdk import Asset, AssetWatcher

    asset = Asset("handbook", watchers=[AssetWatcher(name="dify", trigger=trigger(kb))])
    assert asset.watchers[0].trigger.serialize() == trigger(kb).serialize()


@pytest.mark.skipif(has_watchers, reason="for Airflow 2")
def test_airflow_2_says_what_it_needs() -> None:
    with pytest.raises(RuntimeError, match=r"since 3\.0"):
        DifyDocumentsAvailableTrigger(dataset_id="5cd7dc6a-e446-4696-ad00-30036e58194e")
