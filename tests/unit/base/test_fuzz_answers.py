"""Whatever comes back from the network, only errors of this package are raised, and everything ends.

A small part always runs; ``make test ARGS="-m fuzz"`` tries 20,000 responses of each kind.
"""

from __future__ import annotations

import copy
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_dify import exceptions
from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge import api, documents, reading
from airflow_provider_dify.knowledge.flow import Flow, Measure, Pause, Request, Response, resumed
from airflow_provider_dify.knowledge.ingest import contents
from airflow_provider_dify.knowledge.metadata import fields as metadata_fields
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.knowledge.retrieval import search as retrieval
from airflow_provider_dify.knowledge.status import segments
from airflow_provider_dify.knowledge.status.samples import Sample
from airflow_provider_dify.transport import limits
from airflow_provider_dify.transport.settings import Settings
from tests.unit.base.driving import ID
from tests.unit.indexing.polling import document, state
from tests.unit.transport.sockets import Wire, wire
from tests.unit.transport.ways import WAYS

#: Of the many, each part is a test, so that they run on all processors and none looks as if it hangs.
PARTS = 100
FEW, MANY = 300, 20_000 // PARTS
LIMIT = 50_000

#: JSON texts that Python reads but nobody expects.
ODD = (
    "1e400", "-1e400", "NaN", "Infinity", "1" * 400, "-0", "0.1", '"\\ud800"', '"\\u0000"', '""', '"../.."', '"x/y?z"',
    "[" * 400 + "]" * 400, '{"a":' * 400 + "1" + "}" * 400, "[" * 100_000, "null", "true", '"true"', "[]", "{}", "[[]]",
    '{"id": 1}', '"' + "x" * 70_000 + '"', "5", '"5"', '["a"]', '{"name": "a"}', "9223372036854775808",
)  # fmt: skip
VALUE = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)

PAGE_OF_DOCUMENTS = {
    "data": [
        document(
            ID, "completed", single=False, doc_metadata=[{"id": ID, "name": "team", "type": "string", "value": "a"}]
        )
    ],
    "total": 1,
    "limit": 100,
    "page": 1,
    "has_more": False,
}
DATASET = {
    "id": ID,
    "name": "handbook",
    "indexing_technique": "high_quality",
    "document_count": 3,
    "total_available_documents": 3,
    "enable_api": True,
    "doc_form": "text_model",
    "doc_metadata": [{"id": ID, "name": "team", "type": "string"}],
    "retrieval_model_dict": {"search_method": "semantic_search", "weights": {"vector_setting": {"vector_weight": 0.7}}},
}
RECORD = {
    "segment": {
        "id": ID,
        "document_id": ID,
        "content": "About penguins.",
        "document": {"id": ID, "name": "page", "doc_metadata": {"team": "a"}},
    },
    "score": 0.9,
}
FIELD = {"id": ID, "name": "team", "type": "string", "count": 1}


def sendable(value: object) -> str:
    """Send as JSON what was read, as a search does with the settings of its knowledge base."""
    return json.dumps(value, allow_nan=False)


def used(flow: Flow[Any], use: Callable[[Any], object]) -> Flow[object]:
    return use((yield from flow))


def weighed(document: documents.Document) -> object:
    """Do with a document what this package does with documents."""
    return (
        {document.id, document.name},
        (document.created_at, document.hit_count, document.position, document.word_count or 0) > (0, 0, 0, 0),
        [action.reached(document) for action in documents.Action],
        sendable(dict(document.metadata)),
        document.name.encode(),
        document.indexed or document.failed or document.paused,
    )


#: Each kind of response that is read: how to request it, and a good one.
READ: dict[str, tuple[Callable[[], Flow[Any]], Any]] = {
    "list": (
        lambda: used(api.document_page(ID, 1), lambda page: [*map(weighed, page.items), page.total + 1]),
        PAGE_OF_DOCUMENTS,
    ),
    "lists": (lambda: reading.read_documents(ID, [ID[:-1] + end for end in "0123456789abe"]), PAGE_OF_DOCUMENTS),
    "document": (lambda: used(api.get_document(ID, ID), weighed), document(ID, "completed")),
    "indexing of one": (lambda: api.document_indexing(ID, ID), document(ID, "indexing")),
    "indexing": (
        lambda: used(api.batch_indexing(ID, "1"), lambda found: [one.differs(one) for one in found[0]]),
        {"data": [state(ID, "indexing")]},
    ),
    "segments": (
        lambda: used(segments.until_enabled(ID, ID), lambda found: found[0] and Sample.of(*found, economy=True)),
        {"data": [{"id": ID, "content": "A walrus.", "keywords": ["walrus"], "enabled": True}], "total": 1},
    ),
    "knowledge base": (lambda: api.get_dataset(ID), DATASET),
    "knowledge bases": (lambda: api.dataset_page(1), {"data": [DATASET], "total": 1}),
    "settings": (
        lambda: used(retrieval.search_settings(ID), lambda own: sendable(own.request(5, None, None))),
        DATASET,
    ),
    "search": (
        lambda: used(retrieval.search(ID, "x", {}), lambda hits: {one.document_id: one.score > 0.5 for one in hits}),
        {"records": [RECORD]},
    ),
    "fields": (
        lambda: used(metadata_fields.list_fields(ID), lambda found: {one.name: one.count + 1 for one in found}),
        {"doc_metadata": [FIELD]},
    ),
    "field": (lambda: metadata_fields.create_field(ID, "team", metadata_fields.FieldType.STRING), FIELD),
    "status": (lambda: api.change_status(ID, documents.Action.ARCHIVE, [ID]), {"result": "success"}),
    "taken": (
        lambda: used(taken(), lambda made: {made.document_id, made.batch}),
        {"document": {"id": ID}, "batch": "20250101"},
    ),
    "error": (lambda: api.get_dataset(ID), {"code": "not_found", "message": "Dataset not found.", "status": 404}),
}


def taken() -> Flow[contents.Accepted]:
    """Send a content."""
    return api.read_answer((yield Request("POST", "/x", repeatable=False)), contents.Accepted.read)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an answer, itself included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


PLACES = [(name, place) for name, (_, good) in READ.items() for place in places(good)]


def changed(answer: Any, place: tuple[Any, ...], text: str | None) -> bytes:
    """A response with another JSON text in one place, or without the value there."""
    mark = "\0here\0"
    answer = {"answer": copy.deepcopy(answer)}
    *way, last = ("answer", *place)
    inner: Any = answer
    for step in way:
        inner = inner[step]
    if text is None:
        del inner[last]
    else:
        inner[last] = mark
    shown = json.dumps(answer.get("answer"))
    return shown.replace(json.dumps(mark), text or "null").encode()


def check_error(error: DifyError) -> None:
    """Check that an error is one of this package, short, and about the response."""
    assert type(error).__module__ == exceptions.__name__
    assert len(str(error)) < 3000
    assert "cannot be sent" not in str(error)
    json.dumps(error.to_json())


def finish(flow: Flow[Any], answer: Response, most: int = 200) -> None:
    """Run a flow to its end with one response for everything; only errors of this package may be raised."""
    got: Response | None = None
    for _ in range(most):
        try:
            step = resumed(flow, got, None)
        except StopIteration:
            return
        except DifyError as error:
            check_error(error)
            return
        got = answer if isinstance(step, Request) else None
        assert isinstance(step, (Request, Pause, Measure))
    pytest.fail(f"it asked {most} times, and did not end")


def check_fields(where: tuple[str, tuple[Any, ...]], text: str | None, status: int, headers: dict[str, str]) -> None:
    name, place = where
    make, good = READ[name]
    body = changed(good, place, text)
    finish(retrying(make(), Retries(max_retries=2)), Response(status, headers, body, at=0.0))


HEADER = st.dictionaries(
    st.sampled_from(["retry-after", "date", "x-version", "x-trace-id", "location", "content-type"]),
    st.text(max_size=40) | st.sampled_from(["9" * 400, "Thu, 99 Jan 2026 00:00:00 GMT", ",", "-5", "1e400", "\u0663"]),
    max_size=2,
)
FIELDS = {
    "where": st.sampled_from(PLACES),
    "text": st.none() | VALUE,
    "status": st.just(200)
    | st.sampled_from([200, 201, 204, 206, 301, 400, 401, 403, 404, 405, 429, 500, 501, 599, 999]),
    "headers": HEADER,
}
few = settings(max_examples=FEW, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=MANY, phases=[Phase.explicit, Phase.generate])


@few
@given(**FIELDS)
def test_any_value_in_any_field(**drawn: Any) -> None:
    check_fields(**drawn)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(PARTS))
@many
@given(**FIELDS)
def test_any_value_in_any_field_many(part: int, **drawn: Any) -> None:
    check_fields(**drawn)


@pytest.mark.parametrize("text", [None, *ODD], ids=lambda text: str(text)[:20])
def test_odd_values_in_every_field(text: str | None) -> None:
    for where in PLACES:
        check_fields(where, text, 200, {})


# --- what goes over the wire ------------------------------------------------------------------------------------------


BODIES = st.one_of(
    st.builds(changed, st.just(PAGE_OF_DOCUMENTS), st.sampled_from(list(places(PAGE_OF_DOCUMENTS))), VALUE),
    st.binary(max_size=200),
    st.text(max_size=200).flatmap(lambda text: st.sampled_from(["utf-8", "utf-16", "latin-1"]).map(
        lambda code: text.encode(code, "replace"))),
    st.just(bytes(2 * LIMIT)),
    st.sampled_from([b"", b"{", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"[" * 10_000]),
)  # fmt: skip
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": bytes,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "br": bytes,
    "\x00": bytes,
}
LINES = st.sampled_from([
    "X-Version: 1.14.1", "Retry-After: 0", "Location: http://[", "Location: //", "Set-Cookie: a=b; Max-Age=x; Path",
    "Content-Type: application/json", "Content-Type: text/html; charset=nonsense", "Date: ,", "Connection: close",
    "Transfer-Encoding: gzip", "Content-Length: -1", "Content-Length: 7, 7", "no colon", ": no name",
    "X" * 3000 + ": y", "X-Odd: \xff\xfe", " folded", "Trailer: X", "Upgrade: h2c", "Content-Range: bytes */*",
])  # fmt: skip
STATUS = st.sampled_from([
    "HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 302 Found", "HTTP/1.1 404",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK", "HTTP/2 200",
    "HTTP/1.1 000 None", "HTTP/1.1 two OK", "HTTP/1.1 502 Bad Gateway", "HTTP/1.1 101 Switching", "", "200 OK",
    "HTTP/1.1 304 Not Modified", "HTTP/1.1 429 Slow down", "HTTP/9.9 200 OK", "HTTP/1.1 999 Odd", "SSH-2.0-OpenSSH",
])  # fmt: skip


@st.composite
def on_the_wire(draw: st.DrawFn) -> bytes:
    """A response: good, odd, or cut off anywhere."""
    encoding = draw(st.sampled_from(list(ENCODERS)))
    body = ENCODERS[encoding](draw(BODIES))
    lines = [draw(STATUS), *draw(st.lists(LINES, max_size=3))]
    if encoding:
        lines.append(f"Content-Encoding: {encoding}")
    match draw(st.sampled_from(["length", "chunked", "none", "odd chunks", "wrong length"])):
        case "length":
            lines.append(f"Content-Length: {len(body)}")
        case "chunked":
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        case "odd chunks":
            lines.append("Transfer-Encoding: chunked")
            body = draw(st.sampled_from([b"zz\r\n", b"-5\r\n", b"5\r\n", b"1;" + b"x" * 200, b"ffffffffff\r\n"])) + body
        case "wrong length":
            lines.append(f"Content-Length: {draw(st.sampled_from([0, 1, len(body) + 5, 10**30]))}")
    sent = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
    return sent[: draw(st.integers(0, len(sent)))] if draw(st.booleans()) else sent


@pytest.fixture(scope="module")
def server() -> Iterator[Wire]:
    with wire(lambda _: ()) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _small_limit() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(limits, "MOST_BYTES", LIMIT)
    yield
    patch.undo()


def check_wire(server: Wire, sent: bytes, way: str) -> None:
    server.script = lambda _: [sent]

    def flow() -> Flow[int]:
        answer = yield Request("GET", "/datasets")
        assert answer is not None
        assert len(answer.body) <= 4 * LIMIT  # a byte that is not UTF-8 needs more characters
        return answer.status

    connection = Settings(server.url, "dataset-0123456789abcdef", timeout=5.0)
    for make in (flow, lambda: retrying(api.document_page(ID, 1), Retries(max_retries=0))):
        try:
            WAYS[way](connection, make())
        except DifyError as error:
            check_error(error)


@settings(few, max_examples=80)
@given(sent=on_the_wire(), way=st.sampled_from(list(WAYS)))
def test_anything_on_the_wire(server: Wire, sent: bytes, way: str) -> None:
    check_wire(server, sent, way)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(PARTS))
@many
@given(sent=on_the_wire(), way=st.sampled_from(list(WAYS)))
def test_anything_on_the_wire_many(server: Wire, part: int, sent: bytes, way: str) -> None:
    check_wire(server, sent, way)
