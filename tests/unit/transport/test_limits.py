"""A response ends: by the clock, and by its size, whatever a server or a proxy sends."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyEndpointError, DifyServerError, DifyTransportError
from airflow_provider_dify.knowledge.flow import Flow, Request, Response
from airflow_provider_dify.testing import FakeDify
from airflow_provider_dify.transport import limits
from airflow_provider_dify.transport.limits import Body, TooLarge, Undecodable
from airflow_provider_dify.transport.settings import Settings
from tests.unit.transport.sockets import Wire, answer, wire
from tests.unit.transport.ways import each_way, empty_list, run_blocking, settings_of

EMPTY = b'{"data": [], "total": 0}'
Way = Callable[..., Any]


def ask(way: Way, script: Callable[[Wire], Iterable[bytes]], timeout: float = 0.4) -> Any:
    """Ask a server that sends what a script says, once."""
    with wire(lambda _: ()) as server:
        server.script = lambda _: script(server)
        return way(Settings(server.url, "dataset-0123456789abcdef", timeout=timeout), empty_list())


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# Each of these comes to a good end after some seconds: without a limit, it would be a good answer.
def drips_head(server: Wire) -> Iterable[bytes]:
    return server.drip(one_by_one(answer(EMPTY)))


def drips_body(server: Wire) -> Iterable[bytes]:
    head, _, body = answer(EMPTY).partition(b"\r\n\r\n")
    return itertools.chain([head + b"\r\n\r\n"], server.drip(one_by_one(body), 0.1))


def drips_chunks(server: Wire) -> Iterable[bytes]:
    chunks = [b"1\r\n" + piece + b"\r\n" for piece in one_by_one(EMPTY)] + [b"0\r\n\r\n"]
    return itertools.chain([answer(b"", "Transfer-Encoding: chunked", length=False)], server.drip(chunks, 0.1))


def says_continue(server: Wire) -> Iterable[bytes]:
    return itertools.chain(server.drip([b"HTTP/1.1 100 Continue\r\n\r\n"] * 60), [answer(EMPTY)])


def drips_gzip(server: Wire) -> Iterable[bytes]:
    head, _, body = answer(gzip.compress(EMPTY), "Content-Encoding: gzip").partition(b"\r\n\r\n")
    return itertools.chain([head + b"\r\n\r\n"], server.drip(one_by_one(body), 0.1))


@each_way
@pytest.mark.parametrize("script", [drips_head, drips_body, drips_chunks, says_continue, drips_gzip])
def test_the_timeout_covers_the_whole_answer(way: Way, script: Callable[[Wire], Iterable[bytes]]) -> None:
    with pytest.raises(DifyTransportError, match="Check that Dify is up, and the timeout of the connection") as caught:
        ask(way, script)
    assert caught.value.reached


@each_way
def test_a_slow_answer_that_is_in_time_is_good(way: Way) -> None:
    def script(server: Wire) -> Iterable[bytes]:
        return server.drip([answer(EMPTY)[:40], answer(EMPTY)[40:]], 0.2)

    assert ask(way, script, timeout=30).total == 0


@each_way
def test_the_time_is_that_of_each_answer_and_not_of_the_connection(dify: FakeDify, way: Way) -> None:
    """One connection serves many requests, also where each left little time on its socket."""

    def many() -> Flow[int]:
        for _ in range(20):
            yield Request("GET", "/datasets")
        return len(dify.requests)

    assert way(settings_of(dify, timeout=5), many()) == 20


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let an answer have only a few bytes."""
    monkeypatch.setattr(limits, "MOST_BYTES", 10_000)
    return 10_000


def content(size: int) -> bytes:
    """A good answer of so many bytes."""
    return EMPTY + b" " * (size - len(EMPTY))


def plain(body: bytes, status: str) -> bytes:
    return answer(body, status=status)


def until_the_end(body: bytes, status: str) -> bytes:
    return answer(body, status=status, length=False)


def chunked(body: bytes, status: str) -> bytes:
    head = answer(b"", "Transfer-Encoding: chunked", status=status, length=False)
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def gzipped(body: bytes, status: str) -> bytes:
    return answer(gzip.compress(body), "Content-Encoding: gzip", status=status)


def in_members(body: bytes, status: str) -> bytes:
    return answer(gzip.compress(body[:30]) + gzip.compress(body[30:]), "Content-Encoding: x-gzip", status=status)


forms = pytest.mark.parametrize("form", [plain, until_the_end, chunked, gzipped, in_members])


@each_way
@forms
def test_an_answer_may_have_as_many_bytes_as_the_limit_says(way: Way, small: int, form: Any) -> None:
    assert ask(way, lambda _: [form(content(small), "200 OK")], timeout=30).total == 0


@each_way
@forms
@pytest.mark.parametrize(("status", "kind"), [("200 OK", DifyEndpointError), ("502 Bad Gateway", DifyServerError)])
def test_and_not_one_more(way: Way, small: int, form: Any, status: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="no answer of Dify is that large") as caught:
        ask(way, lambda _: [form(content(small + 1), status)], timeout=30)
    assert type(caught.value) is kind


@each_way
def test_a_redirect_is_not_read_beyond_the_limit_either(way: Way, small: int) -> None:
    """To find out where it leads, requests would read all of it."""
    with pytest.raises(DifyEndpointError, match="no answer of Dify is that large"):
        ask(way, lambda _: [answer(content(small + 1), "Location: /v1/x", status="302 Found")], timeout=30)


def test_what_comes_before_an_answer_has_an_end_too(small: int) -> None:
    """A worker has no time limit for all of its requests; what a server sends quickly must end as well."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * (small // 5)
    with pytest.raises(DifyTransportError, match="more than"):
        ask(run_blocking, lambda _: [interim, answer(EMPTY)], timeout=30)


@each_way
@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",  # the length of a chunk does not end
        b"",  # the status line
        b"HTTP/1.1 200 OK\r\nX: ",  # a header
    ],
)
def test_a_line_that_does_not_end_is_not_kept(way: Way, small: int, start: bytes) -> None:
    def script(_: Wire) -> Iterable[bytes]:
        return itertools.chain([start], itertools.repeat(b"1" * 4096, 200))

    # Which of them says it depends on where a library itself has a limit.
    with pytest.raises((DifyTransportError, DifyEndpointError)) as caught:
        ask(way, script, timeout=30)
    assert len(str(caught.value)) < 1000


@each_way
def test_a_line_that_a_library_quotes_is_cut(way: Way) -> None:
    body = answer(b"x" * 20_000 + b"\r\n", "Transfer-Encoding: chunked", length=False)
    with pytest.raises(DifyTransportError) as caught:
        ask(way, lambda _: [body], timeout=30)
    assert len(str(caught.value)) < 1000


@each_way
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", EMPTY),
        ("deflate", zlib.compress(EMPTY)),
        ("gzip, gzip", gzip.compress(gzip.compress(EMPTY))),
        ("gzip", EMPTY),
        ("gzip", gzip.compress(EMPTY)[:-9]),
        ("gzip", gzip.compress(EMPTY) + gzip.compress(EMPTY)[:12]),
        ("gzip", gzip.compress(EMPTY)[:12] + b"\xff" * 20),
        ("x" * 5000, EMPTY),
    ],
    ids=["br", "deflate", "twice", "plain", "cut off", "cut off in its second part", "broken", "long"],
)
def test_what_cannot_be_decoded_is_an_error_of_the_transport(way: Way, encoding: str, body: bytes) -> None:
    with pytest.raises(DifyTransportError, match=r"its (encoded )?body") as caught:
        ask(way, lambda _: [answer(body, f"Content-Encoding: {encoding}")], timeout=30)
    assert caught.value.reached
    assert len(str(caught.value)) < 400


@each_way
@pytest.mark.parametrize(
    ("encoding", "body"),
    [("identity", EMPTY), ("", EMPTY), ("GZIP", gzip.compress(EMPTY)), ("gzip", gzip.compress(EMPTY) + b"\0" * 512)],
    ids=["identity", "empty", "upper case", "padded"],
)
def test_what_can_be_is_decoded(way: Way, encoding: str, body: bytes) -> None:
    assert ask(way, lambda _: [answer(body, f"Content-Encoding: {encoding}")], timeout=30).total == 0


def test_a_bomb_takes_no_more_memory_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES", 2**20)
    bomb = gzip.compress(bytes(2**26))
    body = Body("gzip", 200)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            body.add(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_piece_by_piece_it_is_the_same() -> None:
    sent = gzip.compress(b"first ") + gzip.compress(b"second") + b"\0\0"
    body = Body("gzip", 200)
    for piece in one_by_one(sent):
        body.add(piece)
    assert body.content() == b"first second"


def test_an_encoding_that_was_not_asked_for_is_named_and_cut() -> None:
    with pytest.raises(Undecodable, match="'zstd'"):
        Body("zstd", 200)


@each_way
def test_reads_ask_caches_for_what_is_true_now(dify: FakeDify, way: Way) -> None:
    def flow() -> Flow[Response | None]:
        yield Request("GET", "/datasets")
        return (yield Request("PATCH", "/datasets"))

    way(settings_of(dify, headers={"cache-control": "max-age=600"}), flow())
    read, changed = dify.requests
    assert read.headers["cache-control"] == "no-cache"
    assert changed.headers["cache-control"] == "max-age=600"
    assert read.headers["accept-encoding"] == "gzip"
