"""Runs asset watchers as a triggerer does; hours take no time."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from airflow.triggers import base

from airflow_provider_dify.testing import Dataset, Document, FakeDify, VirtualClock
from airflow_provider_dify.triggers.available import DifyDocumentsAvailableTrigger

try:
    from airflow.triggers.shared_stream import SharedStreamManager
except ImportError:  # Airflow before 3.3
    SharedStreamManager = None  # type: ignore[misc,assignment]

has_watchers = hasattr(base, "BaseEventTrigger")
with_watchers = pytest.mark.skipif(not has_watchers, reason="Airflow 2 has no asset watchers")
with_sharing = pytest.mark.skipif(SharedStreamManager is None, reason="Airflow before 3.3 shares nothing")


class Store:
    """An asset's state store, which takes JSON only."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.failures: list[Exception] = []

    async def aget(self, key: str) -> Any:
        self._fail()
        return json.loads(self.values.get(key, "null"))

    async def aset(self, key: str, value: Any) -> None:
        self._fail()
        self.values[key] = json.dumps(value)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop()


class SlowStore(Store):
    """One that can be held up."""

    def __init__(self, dify: FakeDify) -> None:
        super().__init__()
        self._dify = dify
        self._until = 0
        #: How many documents were announced at each writing.
        self.announced: list[int] = []

    def hold_up(self) -> None:
        """Let no writing end before Dify was looked at forty times more."""
        self._until = len(self._dify.requests) + 40

    async def aset(self, key: str, value: Any) -> None:
        while len(self._dify.requests) < self._until:  # noqa: ASYNC110 - the requests come from another thread
            await asyncio.sleep(0)
        await super().aset(key, value)
        self.announced.append(len(value["announced"].split()))


def trigger(kb: Dataset, store: Store | None = None, **options: Any) -> DifyDocumentsAvailableTrigger:
    """A trigger as a triggerer makes it: from what it was serialised to."""
    path, kwargs = DifyDocumentsAvailableTrigger(dataset_id=kb.id, **options).serialize()
    module, _, name = path.rpartition(".")
    made: DifyDocumentsAvailableTrigger = getattr(importlib.import_module(module), name)(
        **json.loads(json.dumps(kwargs))
    )
    made.asset_state_store = store
    return made


def fired(dify: FakeDify, streams: dict[str, AsyncIterator[Any]], seconds: float) -> dict[str, list[str]]:
    """Run triggers for so many seconds, then stop them as a triggerer that ends; what each fired for."""
    names: dict[str, list[str]] = {name: [] for name in streams}
    assert isinstance(dify.clock, VirtualClock)
    until = dify.clock.monotonic() + seconds

    async def collect(name: str) -> None:
        async for event in streams[name]:
            assert json.loads(json.dumps(event.payload)) == event.payload
            names[name].append(event.payload["name"])

    async def main() -> None:
        tasks = [asyncio.create_task(collect(name)) for name in streams]

        def stop() -> None:
            if dify.clock.monotonic() > until:
                for task in tasks:
                    task.cancel()

        dify.clock.on_advance(stop)  # type: ignore[attr-defined]
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.gather(*tasks), 300)

    asyncio.run(main())
    return names


def run(dify: FakeDify, watcher: DifyDocumentsAvailableTrigger, seconds: float) -> list[str]:
    return fired(dify, {"one": watcher.run()}, seconds)["one"]


def moments(dify: FakeDify, stream: AsyncIterator[Any], number: int) -> list[tuple[str, float]]:
    """Run a trigger until it has fired so often; for what it fired, and when in seconds since the start."""
    found: list[tuple[str, float]] = []

    async def collect() -> None:
        async for event in stream:
            found.append((event.payload["name"], dify.clock.monotonic()))
            if len(found) == number:
                return

    asyncio.run(asyncio.wait_for(collect(), 300))
    return found


async def through_airflow(
    watcher: DifyDocumentsAvailableTrigger, managers: list[Any] | None = None, number: int = 0
) -> AsyncIterator[Any]:
    """Run a trigger as the triggerer of Airflow 3.3 does.

    :param managers: Of shared streams: one, or none yet. Triggers that are given the same list share it.
    """
    managers = [] if managers is None else managers
    if not managers:
        managers.append(SharedStreamManager())  # it wants a running event loop
    key = watcher.shared_stream_key()
    try:
        stream = managers[0].subscribe(trigger_id=number, trigger=watcher, key=key)
        async for event in watcher.filter_shared_stream(stream):
            yield event
    finally:
        await managers[0].unsubscribe(number, key)


def later(dify: FakeDify, after: float, action: Callable[[], Any]) -> None:
    dify.world.schedule(after, lambda at: action())


def switch(document: Document, *, on: bool) -> Callable[[], None]:
    return lambda: document.set(enabled=on)


def ten(dify: FakeDify, kb: Dataset) -> list[str]:
    """Let ten documents become available, one each 100 s, in each way that there is."""
    names = [f"new-{number}" for number in range(10)]
    for number, name in enumerate(names):
        later(dify, 30 + number * 100, way(kb, name, number % 4))
    return names


def way(kb: Dataset, name: str, number: int) -> Callable[[], object]:
    if number == 0:
        return lambda: kb.add_document(name)
    if number == 1:
        return switch(kb.add_document(name, enabled=False), on=True)
    if number == 2:
        archived = kb.add_document(name, archived=True)
        return lambda: archived.set(archived=False)
    return kb.add_document(name, indexing_status="indexing").finish_indexing
