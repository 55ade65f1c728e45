"""Many flows at once share a few connections, and take turns."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import warnings
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import pytest

from airflow_provider_dify.exceptions import (
    DifyEndpointError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.asynchronous import run_flow
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Pause
from airflow_provider_dify.testing import FakeDify, Fault
from airflow_provider_dify.transport import common, lines
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import current
from tests.unit.transport.ways import (
    LOG,
    all_of,
    empty_list,
    look,
    run_async,
    settings_of,
)
from tests.waiting import until


@pytest.mark.usefixtures("never_idle")
def test_many_flows_share_four_connections_and_close_them(
    dify: FakeDify, opened: list[httpx.AsyncBaseTransport]
) -> None:
    async def main() -> list[int]:
        return await all_of(*(run_flow(look(i, 3), settings_of(dify), LOG) for i in range(200)))

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        assert asyncio.run(main()) == list(range(200))
        gc.collect()
    assert len(dify.requests) == 600
    assert dify.connections == 4
    assert len(opened) == 1
    assert until(lambda: dify.open_connections == 0)
    assert not lines._LINES


@pytest.mark.usefixtures("never_idle")
def test_they_stay_open_while_anybody_uses_them(dify: FakeDify, opened: list[httpx.AsyncBaseTransport]) -> None:
    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG, current()) as client:
            for i in range(5):
                await run_flow(look(i), settings_of(dify), LOG)
            await client.run(look(5))
            assert dify.open_connections == 1
        assert not lines._LINES
        await run_flow(look(6), settings_of(dify), LOG)

    asyncio.run(main())
    assert len(opened) == 2
    assert dify.connections == 2


@pytest.mark.usefixtures("never_idle")
def test_all_keys_of_one_dify_share_the_four_connections(dify: FakeDify, opened: list[object]) -> None:
    keys = [dify.add_key() for _ in range(5)]
    several = [
        settings_of(dify, api_key=key, timeout=50.0 + number, headers={"X-Team": key[-6:]})
        for number, key in enumerate(keys)
    ]

    async def main() -> None:
        await all_of(*(run_flow(look(i), several[i % 5], LOG) for i in range(50)))

    asyncio.run(main())
    assert dify.connections == 4
    assert len(opened) == 1
    assert Counter(r.headers["authorization"] for r in dify.requests) == {f"Bearer {key}": 10 for key in keys}
    assert all(r.headers["authorization"].endswith(r.headers["x-team"]) for r in dify.requests)


@pytest.mark.parametrize("change", [{"verify": False}, {"proxies": {"https": "http://127.0.0.1:1"}}])
def test_what_makes_other_connections_does_not_share_them(
    dify: FakeDify, opened: list[object], change: dict[str, Any]
) -> None:
    async def main() -> None:
        await all_of(*(run_flow(look(i), settings_of(dify, **c), LOG) for i, c in enumerate([{}, change])))

    asyncio.run(main())
    assert len(opened) == 2


def test_waiting_for_a_connection_is_no_failure_and_is_fair(slow: FakeDify) -> None:
    # 3 times 40 answers of 50 ms, four at a time: the last one waits four times as long as the timeout.
    settings = settings_of(slow, timeout=0.35, max_retries=0)

    async def main() -> None:
        await all_of(*(run_flow(look(i, 3), settings, LOG) for i in range(40)))

    begin = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begin >= 3 * 40 * 0.05 / 4
    assert len(slow.requests) == 120
    rounds: Counter[str] = Counter()
    for request in slow.requests:
        rounds[request.query["keyword"]] += 1
        assert max(rounds.values()) - min(rounds[str(i)] for i in range(40)) <= 1 + (len(rounds) == 40)


def test_a_turn_that_does_not_come_by_the_deadline_is_a_failure(dify: FakeDify) -> None:
    settings = settings_of(dify, max_retries=4, timeout=0.3)
    dify.faults.add(Fault("hang", times=4))

    async def main() -> list[object]:
        async with AsyncClient(replace(settings, timeout=30), LOG, current()) as patient:
            hanging = [asyncio.create_task(patient.run(look(i))) for i in range(4)]
            assert await asyncio.to_thread(until, lambda: len(dify.requests) == 4)
            passed = Deadline(1, lambda: 100, start=0)
            late = [run_flow(look(10 + i), settings, LOG, passed) for i in range(3)]
            told: list[object] = list(await asyncio.gather(*late, return_exceptions=True))
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            # Those who gave up did not use up a turn.
            assert await all_of(*(run_flow(look(i), settings, LOG, passed) for i in range(6))) == list(range(6))
        return told

    for error in asyncio.run(main()):
        assert isinstance(error, DifyTransportError)
        assert not error.reached
        assert "got no connection for 0 s" in str(error)


def test_an_idle_connection_is_not_used_again(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_dify.testing.web import server

    assert 1 < common.KEEP_ALIVE < server.KEEP_ALIVE
    monkeypatch.setattr(common, "KEEP_ALIVE", 0.1)

    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG, current()) as client:
            for pause in (0, 0.2):
                await client.run(look(1, 2))
                await asyncio.sleep(pause)
            await client.run(look(1))

    asyncio.run(main())
    assert [request.connection for request in dify.requests] == [1, 1, 1, 1, 2]


def test_a_connection_that_the_server_has_closed_costs_no_try(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG, current()) as client:
            await client.run(look(1))
            dify.stop()
            dify.start()
            await client.run(look(1))

    asyncio.run(main())
    assert dify.clock.slept == [0.001, 0.001]


def test_each_flow_has_its_own_log(dify: FakeDify) -> None:
    class Lines(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.said: list[tuple[int, str]] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.said.append((record.levelno, record.getMessage()))

    def flow(name: str) -> Flow[None]:
        yield Note(f"{name} begins", logging.WARNING)
        yield Pause(2, f"{name} waits.")
        yield Pause(2, "")

    async def main() -> list[Lines]:
        handlers = [Lines(), Lines()]
        loggers = [logging.Logger(str(i), logging.INFO) for i in range(2)]  # noqa: LOG001 - gone after the test
        for logger, handler in zip(loggers, handlers, strict=True):
            logger.addHandler(handler)
        await all_of(*(run_flow(flow(logger.name), settings_of(dify), logger) for logger in loggers))
        return handlers

    assert [handler.said for handler in asyncio.run(main())] == [
        [(logging.WARNING, f"{i} begins"), (logging.INFO, f"{i} waits.")] for i in range(2)
    ]


def test_nothing_is_logged_for_each_request(dify: FakeDify, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run_async(settings_of(dify), look(1))
    assert [record for record in caplog.records if not record.name.startswith("uvicorn")] == []


def test_the_version_of_the_server_is_known(dify: FakeDify) -> None:
    async def main() -> list[str | None]:
        async with AsyncClient(settings_of(dify), LOG, current()) as client:
            before = client.server_version
            dify.faults.add(Fault("page", status=404))
            with pytest.raises(DifyEndpointError):
                await client.run(empty_list())
            page = client.server_version
            await client.run(empty_list())
            dify.faults.add(Fault("page", status=502))
            with pytest.raises(DifyServerError):
                await client.run(empty_list())
            return [before, page, client.server_version]

    assert asyncio.run(main()) == [None, None, "1.16.0"]
