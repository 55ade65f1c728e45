"""Streams of events: read until there is enough of them, and their end says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyEndpointError, DifyTransportError
from airflow_provider_dify.knowledge.flow import Flow, Request, Response
from airflow_provider_dify.transport import limits
from airflow_provider_dify.transport.settings import Settings
from tests.unit.transport.sockets import Wire, answer, wire
from tests.unit.transport.ways import each_way

PING = b"event: ping\n\n"
STARTED = b'data: {"event":"workflow_started"}\n\n'
STREAM = "Content-Type: text/event-stream"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def head(*headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", STREAM, *headers, "", ""]
    return "\r\n".join(lines).encode()


def silence(server: list[Wire]) -> Iterator[bytes]:
    """The stream stays open until the test ends."""
    server[0].over.wait(60)
    yield b""


def ask(enough: Any = lambda body: b'started"}\n\n' in body) -> Flow[Response]:
    response = yield Request("POST", "/workflows/run", json={}, repeatable=False, enough=enough)
    assert response is not None
    return response


def settings_of(server: Wire, timeout: float = 30.0) -> Settings:
    return replace(Settings(server.url, "app-0123456789abcdef"), timeout=timeout)


@each_way
@pytest.mark.parametrize("chunked", [True, False])
def test_ends_when_there_is_enough(way: Any, chunked: bool) -> None:
    servers: list[Wire] = []

    def script(_: bytes) -> Iterator[bytes]:
        pieces = [PING, STARTED]
        yield head("Transfer-Encoding: chunked") if chunked else head("Connection: close")
        yield from (chunk(piece) if chunked else piece for piece in pieces)
        yield from silence(servers)

    with wire(script) as server:
        servers.append(server)
        got = way(settings_of(server), ask())
    assert got.status == 200
    assert got.body == PING + STARTED


@each_way
def test_the_end_of_a_stream_is_no_error(way: Any) -> None:
    def script(_: bytes) -> Iterator[bytes]:
        yield head("Transfer-Encoding: chunked")
        yield chunk(PING)  # and then it is cut

    with wire(script) as server:
        assert way(settings_of(server), ask()).body == PING


@each_way
def test_a_silent_stream_ends_with_the_timeout(way: Any) -> None:
    servers: list[Wire] = []

    def script(_: bytes) -> Iterator[bytes]:
        yield head("Transfer-Encoding: chunked")
        yield chunk(PING)
        yield from silence(servers)

    with wire(script) as server:
        servers.append(server)
        assert way(settings_of(server, timeout=0.3), ask()).body == PING


@each_way
def test_no_headers_are_no_stream(way: Any) -> None:
    def script(_: bytes) -> Iterator[bytes]:
        yield b""

    with wire(script) as server, pytest.raises(DifyTransportError) as caught:
        way(settings_of(server), ask())
    assert caught.value.reached


@each_way
def test_another_answer_is_read_as_a_whole(way: Any) -> None:
    def script(_: bytes) -> Iterator[bytes]:
        yield answer(b'{"code":"started"}', status="400 Bad Request")

    with wire(script) as server:
        got = way(settings_of(server), ask())
    assert (got.status, got.body) == (400, b'{"code":"started"}')


@each_way
def test_has_a_limit(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES", 200_000)

    def script(_: bytes) -> Iterator[bytes]:
        yield head("Transfer-Encoding: chunked")
        yield from (chunk(PING * 1000) for _i in range(60))

    with wire(script) as server, pytest.raises(DifyEndpointError):
        way(settings_of(server), ask())
