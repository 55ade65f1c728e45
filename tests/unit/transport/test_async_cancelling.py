"""Several event loops, errors, cancellations: nothing is lost for others, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import httpx
import pytest

from airflow_provider_dify.exceptions import (
    DifyInputError,
)
from airflow_provider_dify.hooks.asynchronous import run_flow
from airflow_provider_dify.knowledge.flow import Flow, Pause
from airflow_provider_dify.testing import FakeDify, Fault
from airflow_provider_dify.transport import lines, opening
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import SystemClock as RealTime
from airflow_provider_dify.transport.clock import current, using
from airflow_provider_dify.transport.lines import cancel_gently
from airflow_provider_dify.transport.settings import Settings
from tests.unit.transport.ways import (
    LOG,
    all_of,
    look,
    run_async,
    settings_of,
)
from tests.waiting import until


def test_each_event_loop_has_its_own_connections(dify: FakeDify, opened: list[object]) -> None:
    meet = threading.Barrier(3)
    results: list[int] = []

    async def main(number: int) -> None:
        async with AsyncClient(settings_of(dify), LOG, current()) as client:
            results.append(await client.run(look(number)))
            await asyncio.to_thread(meet.wait, 300)
            results.append(await client.run(look(number)))

    threads = [threading.Thread(target=lambda i=i: asyncio.run(main(i))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert sorted(results) == [0, 0, 1, 1, 2, 2]
    assert len(opened) == 3
    assert not lines._LINES


def test_a_loop_that_ended_halfway_is_forgotten(dify: FakeDify) -> None:
    loop = asyncio.new_event_loop()
    left_open = AsyncClient(settings_of(dify), LOG, current())
    loop.run_until_complete(left_open.__aenter__())
    loop.close()
    assert len(lines._LINES) == 1
    assert run_async(settings_of(dify), look(1)) == 1
    assert not lines._LINES


def test_after_an_error_the_next_one_tries_again(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    def open_at_the_second(settings: Settings) -> httpx.AsyncBaseTransport:
        attempts.append(1)
        time.sleep(0.02)
        if len(attempts) < 2:
            raise OSError("no descriptors left")
        return opening.open_transport(settings)

    monkeypatch.setattr(lines, "open_transport", open_at_the_second)

    async def main() -> list[object]:
        async with AsyncClient(settings_of(dify), LOG, current()) as client:
            flows = [client.run(look(i)) for i in range(8)]
            failed = list(await asyncio.gather(*flows, return_exceptions=True))
            return [*failed, await client.run(look(9))]

    results = asyncio.run(main())
    assert [type(result) for result in results] == [DifyInputError] * 8 + [int]
    assert "no descriptors left" in str(results[0])
    assert len({id(result) for result in results}) == 9  # nobody gets an error that another one changes
    assert len(attempts) == 2


def test_one_of_many_is_cancelled(dify: FakeDify, opened: list[object]) -> None:
    """While it gets its response, while it waits for its turn, while it pauses: the others do not notice."""
    dify.faults.add(Fault("hang", path="/datasets$", times=3))
    told_of_it = []

    def flow(number: int) -> Flow[int]:
        try:
            return (yield from look(number))
        except BaseException as error:
            told_of_it.append(type(error))
            raise

    def pausing() -> Flow[int]:
        yield Pause(600, "")
        return 0

    async def main() -> list[object]:
        settings = settings_of(dify)
        hanging = [asyncio.create_task(run_flow(flow(i), settings, LOG)) for i in range(3)]
        assert await asyncio.to_thread(until, lambda: len(dify.requests) == 3)
        others = [asyncio.create_task(run_flow(flow(i), settings, LOG)) for i in range(20)]
        await asyncio.sleep(0)
        waiting = others.pop(10)
        for task in [*hanging, waiting]:
            task.cancel()
        gone = await asyncio.gather(*hanging, waiting, return_exceptions=True)
        assert [type(error) for error in gone] == [asyncio.CancelledError] * 4
        done: list[object] = list(await asyncio.gather(*others))
        assert dify.open_connections <= 4
        return done

    assert asyncio.run(main()) == [i for i in range(20) if i != 10]
    assert told_of_it == [asyncio.CancelledError] * 4
    assert len(opened) == 1
    assert until(lambda: dify.open_connections == 0)


def test_nothing_is_lost_to_those_who_are_cancelled(slow: FakeDify) -> None:
    """Whenever it strikes, and httpcore has places where it must not: turns and connections are free for the next."""
    settings = settings_of(slow, max_retries=0, timeout=60)
    slow.faults.clear()
    slow.faults.add(Fault("latency", seconds=0.003, times=None))

    async def main() -> None:
        async with AsyncClient(settings, LOG, current()) as client:
            await client.run(look(0))
            for moment in range(100):
                tasks = [asyncio.create_task(client.run(look(i))) for i in range(6)]
                await asyncio.sleep(moment * 0.0001)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            slow.faults.add(Fault("hang", times=None))
            tasks = [asyncio.create_task(client.run(look(1000 + i))) for i in range(6)]

            def there() -> list[Any]:
                return [request for request in slow.requests if len(request.query["keyword"]) == 4]

            assert await asyncio.to_thread(until, lambda: len(there()) == 4)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            slow.faults.clear()
            assert await all_of(*(client.run(look(i)) for i in range(6))) == list(range(6))

    asyncio.run(main())


def test_a_pause_ends_when_it_is_cancelled() -> None:
    def flow() -> Flow[None]:
        yield Pause(3600, "")

    async def main() -> None:
        task = asyncio.create_task(run_flow(flow(), Settings("http://127.0.0.1:1/v1", "dataset-0123456789"), LOG))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task], timeout=300)
        assert task.cancelled()

    with using(RealTime()):
        asyncio.run(main())


def test_the_first_user_is_cancelled_while_the_connections_are_made(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def open_slowly(settings: Settings) -> httpx.AsyncBaseTransport:
        made.append(1)
        time.sleep(0.1)
        return opening.open_transport(settings)

    monkeypatch.setattr(lines, "open_transport", open_slowly)

    async def main() -> list[int]:
        tasks = [asyncio.create_task(run_flow(look(i), settings_of(dify), LOG)) for i in range(4)]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        return await all_of(*tasks[1:])

    assert asyncio.run(main()) == [1, 2, 3]
    assert len(made) == 1


def test_all_are_cancelled_while_the_connections_are_made(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, begun, all_cancelled = [], threading.Event(), threading.Event()

    class Noting(httpx.AsyncHTTPTransport):
        async def aclose(self) -> None:
            await super().aclose()
            closed.append(self)

    def open_slowly(settings: Settings) -> httpx.AsyncBaseTransport:
        begun.set()
        all_cancelled.wait(300)
        return Noting()

    monkeypatch.setattr(lines, "open_transport", open_slowly)

    async def main() -> None:
        tasks = [asyncio.create_task(run_flow(look(i), settings_of(dify), LOG)) for i in range(4)]
        await asyncio.to_thread(begun.wait, 300)
        for _ in range(3):  # also while they clean up
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0.01)
        all_cancelled.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert await asyncio.to_thread(until, lambda: len(closed) == 1)

    asyncio.run(main())
    assert not lines._LINES
    assert not lines._CLOSING
    assert dify.connections == 0


def test_what_fails_while_it_is_cancelled_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The text of such an error may quote what was sent."""

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError("illegal header line: Bearer dataset-x") from None

    async def main() -> None:
        task = asyncio.create_task(cancel_gently(work))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()

    asyncio.run(main())
    assert not caplog.text
