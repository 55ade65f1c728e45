"""Running a flow over the blocking and over the asynchronous client, and comparing the results."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from airflow_provider_dify.exceptions import (
    DifyError,
)
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.flow import Flow, Pause
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import FakeDify, Fault
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import current
from airflow_provider_dify.transport.settings import Settings
from airflow_provider_dify.transport.sync import Client

T = TypeVar("T")
LOG = logging.getLogger(__name__)
#: One try more, and no chance in how long it takes to come.
ONE_MORE = Retries(max_retries=1, jitter=lambda: 1.0)


def settings_of(dify: FakeDify, **changes: Any) -> Settings:
    return replace(Settings(dify.base_url, dify.api_key), **changes)


async def arun(settings: Settings, flow: Flow[T]) -> T:
    async with AsyncClient(settings, LOG, current()) as client:
        return await client.run(flow)


def run_blocking(settings: Settings, flow: Flow[T]) -> T:
    client = Client(settings, LOG, current())
    try:
        return client.run(flow)
    finally:
        client.close()


def run_async(settings: Settings, flow: Flow[T]) -> T:
    return asyncio.run(arun(settings, flow))


#: The two ways to run a flow.
WAYS: dict[str, Callable[[Settings, Flow[Any]], Any]] = {"blocking": run_blocking, "async": run_async}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def told(error: DifyError) -> dict[str, object]:
    """All that an error tells, but for the words of the HTTP library."""
    own_words = re.sub(r"(?<=\. \().*(?=\)$)", "...", error.message)
    return {**vars(error), "type": type(error), "message": own_words, "args": None}


def sent(dify: FakeDify) -> list[tuple[object, ...]]:
    """All that the server got to see, but for what depends on the HTTP library."""
    shown = ("authorization", "user-agent", "accept", "content-type", "x-team", "cookie", "host")
    return [
        (r.method, r.path, r.query, r.json, r.status, {name: r.headers.get(name) for name in shown})
        for r in dify.requests
    ]


def both_ways(dify: FakeDify, settings: Settings, flow: Callable[[], Flow[Any]], *faults: Fault) -> object:
    """Run a flow both ways, each with the same faults; check that all is equal, and return the result."""
    results = []
    for way in WAYS.values():
        dify.faults.clear()
        dify.faults.add(*(replace(fault) for fault in faults))
        dify.requests.clear()
        dify.clock.slept.clear()
        try:
            result: object = way(settings, flow())
        except DifyError as error:
            result = error
        shown = told(result) if isinstance(result, DifyError) else result
        results.append((shown, sent(dify), list(dify.clock.slept), result))
    blocking, asynchronous = results
    assert asynchronous[:3] == blocking[:3]
    return asynchronous[3]


def empty_list() -> Flow[api.Page[Any]]:
    return retrying(api.dataset_page(1), Retries(max_retries=0))


def look(number: int, times: int = 1) -> Flow[int]:
    """Ask a few times for a list, so that the server sees who asks."""
    for _ in range(times):
        yield from retrying(api.dataset_page(1, keyword=str(number)), ONE_MORE)
        yield Pause(0.001, "")
    return number


async def all_of(*flows: Awaitable[T]) -> list[T]:
    return list(await asyncio.gather(*flows))
