"""Either of httpx and httpx2 carries requests in an event loop: the one that Airflow brings."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest

from airflow_provider_dify.exceptions import DifyError, DifyTransportError
from airflow_provider_dify.hooks.asynchronous import run_flow
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.testing import FakeDify, Fault
from airflow_provider_dify.transport import opening
from airflow_provider_dify.transport.settings import Settings
from tests.unit.transport.ways import LOG, run_async, settings_of

LIBRARIES = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let Airflow's SDK require this library."""
    monkeypatch.setattr(opening, "requires", lambda _: ["attrs>=22", f"{request.param}>=0.27.0"])
    opening.library.cache_clear()
    yield request.param
    opening.library.cache_clear()


def test_the_one_that_airflow_brings_is_used(library: str) -> None:
    assert opening.library().__name__ == library


def test_an_older_airflow_has_no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sdk(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(opening, "requires", no_sdk)
    assert opening.library.__wrapped__().__name__ == "httpx"


def test_without_it_the_other_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "requires", lambda _: ["httpx2>=2.0.0"])
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert opening.library.__wrapped__().__name__ == "httpx"


def test_requests_and_connections(library: str, dify: FakeDify, opened: list[object]) -> None:
    kb = dify.add_dataset("handbook")
    for _ in range(2):
        assert run_async(settings_of(dify), api.get_dataset(kb.id)).name == "handbook"
    assert {type(transport).__module__.split(".")[0] for transport in opened} == {library}


def test_a_connection_that_breaks_off(library: str, dify: FakeDify) -> None:
    kb = dify.add_dataset("handbook")
    dify.faults.add(Fault("reset_before", times=None))
    with pytest.raises(DifyTransportError) as failure:
        asyncio.run(run_flow(api.get_dataset(kb.id), settings_of(dify), LOG))
    assert failure.value.reached


def test_a_connection_that_is_refused(library: str, dify: FakeDify) -> None:
    kb = dify.add_dataset("handbook")
    with pytest.raises(DifyTransportError) as failure:
        asyncio.run(run_flow(api.get_dataset(kb.id), Settings("http://127.0.0.1:1/v1", dify.api_key), LOG))
    assert not failure.value.reached


def test_an_echoed_key_is_masked_in_its_debug_log(
    library: str, dify: FakeDify, caplog: pytest.LogCaptureFixture
) -> None:
    core = library.replace("httpx", "httpcore")
    kb = dify.add_dataset("handbook")
    dify.faults.add(Fault("redirect", body=f"https://example.com/?key={dify.api_key}"))
    with caplog.at_level(logging.DEBUG, core), pytest.raises(DifyError):
        run_async(settings_of(dify), api.get_dataset(kb.id))
    logged = [record.getMessage() for record in caplog.records if record.name.startswith(core)]
    assert any("example.com" in text for text in logged)
    assert dify.api_key not in "".join(logged)
