"""Whose clock it is: real time for a client in any process, a virtual one only for the process that moves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import requests

from airflow_provider_dify.exceptions import DifyIndexingTimeout
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import Costs, Dataset, FakeDify, SystemClock, VirtualClock
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from airflow_provider_dify.testing.web import peers
from airflow_provider_dify.transport.clock import current, using
from tests.waiting import until


def test_real_time_unless_somebody_asks_for_a_virtual_clock() -> None:
    assert isinstance(FakeDify().clock, SystemClock)


def test_a_client_in_another_process_is_refused_by_a_virtual_clock(sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("page")
    url = f"{sim.base_url}/datasets/{kb.id}/documents/status/archive"
    sent = {"json": {"document_ids": [document.id]}, "headers": {"Authorization": f"Bearer {sim.api_key}"}}
    program = f"import requests; r = requests.patch({url!r}, **{sent!r}); print(r.status_code, r.text)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith('400 {"code":"virtual_clock"')
    assert "which only its own process can move" in done.stdout
    assert not document.archived
    assert requests.patch(url, timeout=5, **sent).ok  # type: ignore[arg-type]
    assert document.archived


def test_who_is_at_the_other_end(sim: FakeDify) -> None:
    port = int(sim.console_url.rpartition(":")[2])
    with requests.Session() as session:
        session.get(sim.console_url, timeout=5)
        command = [sys.executable, "-c", f"import socket; s = socket.create_connection(('127.0.0.1', {port})); input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
            assert until(lambda: sim.open_connections == 2)
            running = sim._server
            assert running is not None
            ports = [peer[1] for peer in running.connections.open]
            assert [peers.is_foreign(one, port) for one in ports] == [False, True]
            other.communicate(b"\n")
        assert not peers.is_foreign(ports[1], port)


def test_a_hook_keeps_its_clock(dify: FakeDify) -> None:
    document = dify.add_dataset("kb").add_document("page", indexing_status="indexing")
    document.finish_indexing(after=3600)
    with DifyHook() as hook:
        hook.get_dataset(document.dataset.id)
        with FakeDify(clock=VirtualClock()) as other, using(other.clock), pytest.raises(DifyIndexingTimeout):
            hook.wait_until_indexed(document.dataset.id, document_ids=[document.id], timeout=5, stall_timeout=None)
    assert dify.clock.monotonic() == pytest.approx(5, abs=1)
    assert other.clock.monotonic() == 0


def test_clocks_that_overlap() -> None:
    before, one, two = current(), VirtualClock(), VirtualClock()
    first, second = using(one), using(two)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert current() is two
    second.__exit__(None, None, None)
    assert current() is before


def test_a_replaced_clock_is_used_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = VirtualClock(), VirtualClock()
    monkeypatch.setattr("airflow_provider_dify.transport.clock.clock", one)
    assert current() is one
    with using(two):
        assert current() is two
    assert current() is one


class TestFactory:
    def test_options(self, dify_factory: DifyFactory) -> None:
        dify = dify_factory(version="1.14.1", costs=Costs(dataset=((0, 5.0),)), lost_keywords=0.5, lock_race="never")
        with DifyHook() as hook:
            assert hook.test_connection()[1].startswith("Dify 1.14.1 answered")
        assert dify.clock.monotonic() == 5
        assert dify.worker.lost_keywords == 0.5

    def test_a_second_dify_shares_the_clock(self, dify: FakeDify, dify_factory: DifyFactory) -> None:
        other = dify_factory("dify_other", version="1.12.1", extra={"timeout": 7})
        assert other.clock is dify.clock
        with DifyHook("dify_other") as hook:
            assert hook.settings.base_url == other.base_url
        assert json.loads(os.environ["AIRFLOW_CONN_DIFY_OTHER"])["extra"] == {"timeout": 7}
        assert json.loads(os.environ["AIRFLOW_CONN_DIFY_DEFAULT"])["host"] == dify.base_url

    def test_each_has_a_connection_of_its_own(self, dify: FakeDify, dify_factory: DifyFactory) -> None:
        with pytest.raises(ValueError, match="'dify_default' leads to another Dify already"):
            dify_factory()
        assert dify.connections == 0

    def test_real_time_leaves_the_clock_of_the_provider_alone(self, dify_factory: DifyFactory) -> None:
        before = current()
        assert isinstance(dify_factory(clock=SystemClock()).clock, SystemClock)
        assert current() is before

    def test_they_stop_with_the_test(self, monkeypatch: pytest.MonkeyPatch) -> None:
        factory = DifyFactory(monkeypatch)
        url = factory().console_url
        factory.stop()
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
