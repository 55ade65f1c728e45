"""Clocks, costs, and the fixture."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dify.testing import MEASURED, MEASURED_1_16_0, Clock, Costs, FakeDify, SystemClock, VirtualClock
from airflow_provider_dify.testing.web.costs import interpolate
from tests.testing.conftest import Client

Start = Callable[..., FakeDify]


def test_a_virtual_clock_jumps() -> None:
    clock = VirtualClock(start=1000.0)
    clock.sleep(600)
    clock.advance(5)
    asyncio.run(clock.asleep(1.5))
    assert (clock.time(), clock.monotonic(), clock.slept) == (1606.5, 606.5, [600, 1.5])


def test_time_never_runs_backwards() -> None:
    clock = VirtualClock()
    clock.sleep(-5)
    assert clock.monotonic() == 0


def test_the_system_clock_is_real() -> None:
    clock: Clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.002)
    asyncio.run(clock.asleep(0.002))
    clock.advance(0.002)
    assert clock.monotonic() - before >= 0.006
    assert clock.slept == [0.002, 0.002]


def test_it_works_in_real_time_too(start: Start) -> None:
    dify = start(clock=SystemClock(), lock_race="never")
    document = dify.add_dataset("kb").add_document("one")
    dify.worker.seconds_per_job = 0.02
    before = dify.clock.monotonic()
    assert Client(dify).change("disable", document).ok
    dify.settle()
    assert not document.in_search
    assert dify.clock.monotonic() - before >= 0.02


@pytest.mark.parametrize(
    ("kind", "size", "seconds"),
    [
        ("changed", 1, 0.029),
        ("changed", 100, 0.363),
        ("changed", 1000, 3.3),
        ("changed", 2000, 6.5),
        ("nothing", 10, 0.016),
        ("refused", 500, 0.022),
        ("page", 0, 0.012),
        ("page", 20, 0.040),
        ("page", 100, 0.110),
        ("document", 1, 0.013),
    ],
)
def test_measured_costs(kind: str, size: int, seconds: float) -> None:
    assert MEASURED.of(kind, size) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kind", "size", "least", "most"),
    [
        ("segments", 10, 0.032, 0.044),
        ("retrieve", 5, 0.062, 0.068),
        ("retrieve", 176, 0.092, 0.118),
        ("retrieve", 400, 0.150, 0.190),
        ("retrieve", 1000, 0.340, 0.390),
        ("retrieve", 2540, 0.8, 1.5),
        ("retrieve", 3000, 0.8, 1.5),
    ],
)
def test_costs_of_1_16_0_are_within_what_was_measured(kind: str, size: int, least: float, most: float) -> None:
    assert least <= MEASURED_1_16_0.of(kind, size) <= most


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_more_never_costs_less(one: int, other: int) -> None:
    for kind in ("changed", "nothing", "refused", "page", "segments", "retrieve"):
        low, high = sorted((one, other))
        for costs in (MEASURED, MEASURED_1_16_0):
            assert interpolate(getattr(costs, kind), low) <= interpolate(getattr(costs, kind), high)


def test_calls_take_their_time(start: Start) -> None:
    dify = start(costs=MEASURED, lock_race="never")
    kb, client = dify.add_dataset("kb"), Client(dify)
    documents = kb.add_documents(100)
    assert client.change("disable", *documents).ok
    opened = MEASURED.new_connection + 0.363
    assert dify.clock.monotonic() == pytest.approx(opened)
    client.get(f"/datasets/{kb.id}/documents?limit=100")
    assert dify.clock.monotonic() == pytest.approx(opened + 0.110)
    dify.costs = MEASURED.with_flat_reads()
    client.get(f"/datasets/{kb.id}/documents?limit=100")
    assert dify.clock.monotonic() == pytest.approx(opened + 0.110 + 0.017)
    dify.costs = Costs(broker_down=2.0)
    dify.broker.stop()
    dify.clock.advance(600)
    before = dify.clock.monotonic()
    client.change("enable", documents[0])
    assert dify.clock.monotonic() - before == pytest.approx(2.029)


def test_calls_wait_for_each_other_in_real_time(start: Start) -> None:
    slow = Costs(dataset=((0, 0.03),))
    dify = start(clock=SystemClock(), costs=slow)
    kb, clients = dify.add_dataset("kb"), [Client(dify) for _ in range(3)]

    async def together() -> None:
        await asyncio.gather(*(asyncio.to_thread(one.get, f"/datasets/{kb.id}") for one in clients))

    before = dify.clock.monotonic()
    asyncio.run(together())
    assert dify.clock.monotonic() - before >= 0.09


def test_settling_takes_no_more_time_than_needed(start: Start) -> None:
    dify = start()
    document = dify.add_dataset("kb").add_document("one", indexing_status="waiting")
    document.fail_indexing("broken", after=7)
    dify.settle()
    assert (document.indexing_status, document.error) == ("error", "broken")
    assert dify.clock.monotonic() == pytest.approx(7.0)


def test_the_connection(start: Start) -> None:
    dify = start()
    plain = json.loads(dify.airflow_connection())
    assert plain == {"conn_type": "dify", "host": dify.base_url, "password": dify.api_key}
    assert json.loads(dify.airflow_connection({"timeout": 5}))["extra"] == {"timeout": 5}


def test_the_fixture(dify: FakeDify) -> None:
    from airflow_provider_dify.transport.clock import current

    assert isinstance(dify.clock, VirtualClock)
    assert current() is dify.clock
    assert json.loads(os.environ["AIRFLOW_CONN_DIFY_DEFAULT"])["host"] == dify.base_url


def test_importing_costs_little() -> None:
    code = (
        "import sys, airflow_provider_dify.testing, airflow_provider_dify.testing.pytest_plugin as plugin\n"
        "heavy = {'airflow', 'starlette', 'uvicorn', 'requests', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_has_to_be_started() -> None:
    with pytest.raises(RuntimeError, match="does not listen yet"):
        _ = FakeDify().base_url
