"""Faults on demand, connections, and what the record says about them."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.testing.web import server
from tests.testing.conftest import Client


@pytest.mark.parametrize(("kind", "carried_out"), [("reset_before", False), ("reset_after", True)])
def test_connections_are_really_cut(client: Client, sim: FakeDify, kb: Dataset, kind: str, carried_out: bool) -> None:
    document = kb.add_document("one")
    sim.faults.add(Fault(kind))  # type: ignore[arg-type]
    with pytest.raises(requests.ConnectionError):
        client.change("archive", document)
    assert document.archived == carried_out
    assert sim.requests[-1].status is None
    assert client.change("archive", document).ok == (not carried_out), "the lock of the first one, if it was"
    assert sim.connections == 2


def test_a_server_that_never_answers(client: Client, sim: FakeDify, kb: Dataset) -> None:
    sim.faults.add(Fault("hang"))
    with pytest.raises(requests.ReadTimeout):
        client.session.get(f"{sim.base_url}/datasets", timeout=(60, 0.05))
    assert client.get("/datasets").ok


def test_an_error_with_retry_after(client: Client, sim: FakeDify) -> None:
    sim.faults.add(
        Fault("status", status=429, retry_after=30), Fault("status", status=503, retry_after=30, retry_after_as="date")
    )
    first, second = client.get("/datasets"), client.get("/datasets")
    assert (first.status_code, first.headers["Retry-After"]) == (429, "30")
    assert parsedate_to_datetime(second.headers["Retry-After"]).timestamp() == sim.clock.time() + 30
    assert client.get("/datasets").ok


def test_an_error_after_the_deed(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    sim.faults.add(Fault("status_after", status=504))
    assert client.change("archive", document).status_code == 504
    assert document.archived


def test_pages_of_a_proxy_say_nothing_of_dify(client: Client, sim: FakeDify) -> None:
    sim.faults.add(Fault("page"), Fault("page", status=200, body="<html>login</html>"))
    first, second = client.get("/datasets"), client.get("/datasets")
    assert (first.status_code, second.status_code, second.text) == (502, 200, "<html>login</html>")
    assert "X-Version" not in first.headers
    assert first.headers["Content-Type"].startswith("text/html")


def test_the_other_kinds(client: Client, sim: FakeDify) -> None:
    sim.faults.add(
        Fault("plan_limit"),
        Fault("echo_key"),
        Fault("redirect", body="http://elsewhere.test/v1"),
        Fault("truncated"),
    )
    limit, echo, moved, broken = (client.get("/datasets") for _ in range(4))
    assert (limit.status_code, limit.json()["code"]) == (403, "forbidden")
    assert "request rate limit" in limit.json()["message"]
    assert sim.api_key in echo.json()["message"]
    assert (moved.status_code, moved.headers["Location"]) == (302, "http://elsewhere.test/v1")
    assert broken.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        broken.json()


def test_which_requests_are_hit(client: Client, sim: FakeDify, kb: Dataset) -> None:
    sim.faults.add(Fault("status", method="get", path=r"/documents$", after=1, times=2))
    path = f"/datasets/{kb.id}/documents"
    assert client.get("/datasets").ok
    assert [client.get(path).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert sim.faults.pending == []


def test_a_fault_without_end(client: Client, sim: FakeDify) -> None:
    sim.faults.add(Fault("status", times=None))
    assert {client.get("/datasets").status_code for _ in range(5)} == {500}
    sim.faults.clear()
    assert client.get("/datasets").ok


def test_latency_passes_on_the_clock(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    client.change("disable", document)
    sim.faults.add(Fault("latency", seconds=12.5), Fault("status", status=502, seconds=2.5))
    assert client.get("/datasets").status_code == 502
    assert sim.clock.monotonic() == 15.0
    assert sim.clock.slept == []
    assert not document.in_search, "the worker went on meanwhile"


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind of fault 'nonsense'"):
        Fault("nonsense")  # type: ignore[arg-type]


def test_the_record(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    sim.clock.advance(3)
    client.change("disable", document)
    client.get(f"/datasets/{kb.id}/documents?limit=5")
    change, read = sim.requests
    assert (change.method, change.json, change.status) == ("PATCH", {"document_ids": [document.id]}, 200)
    assert (change.connection, read.connection, read.at) == (1, 1, 3.0)
    assert (read.path, read.query) == (f"/v1/datasets/{kb.id}/documents", {"limit": "5"})
    assert read.headers["authorization"] == f"Bearer {sim.api_key}"


def test_the_eleventh_connection_waits(start: Callable[..., FakeDify], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE", 300)  # so that none is closed while the others are opened
    sim = start()
    clients = [Client(sim) for _ in range(10)]
    for one in clients:
        assert one.get("/datasets").ok
    assert sim.open_connections == 10
    late = Client(sim)
    with pytest.raises(requests.ReadTimeout):
        late.session.get(f"{sim.base_url}/datasets", timeout=(60, 0.05))
    clients[0].session.close()
    assert late.get("/datasets").ok
    for one in [*clients, late]:
        one.session.close()


def test_idle_connections_are_closed(start: Callable[..., FakeDify], monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.KEEP_ALIVE == 2, "as Dify's own server does"
    monkeypatch.setattr(server, "KEEP_ALIVE", 0.01)
    dify = start()
    connection = http.client.HTTPConnection(dify.base_url.split("/")[2], timeout=60)
    connection.request("GET", "/v1/datasets")
    assert connection.getresponse().read()
    assert connection.sock.recv(1) == b"", "closed by the other side"
    connection.close()


def test_down_and_up_again_on_the_same_port(start: Callable[..., FakeDify]) -> None:
    dify = start()
    kb, client = dify.add_dataset("kb"), Client(dify)
    assert client.get("/datasets").ok
    url = dify.base_url
    dify.stop()
    with pytest.raises(requests.ConnectionError):
        client.get("/datasets")
    dify.start()
    assert dify.base_url == url
    assert client.get(f"/datasets/{kb.id}").ok
    assert dify.connections == 2
