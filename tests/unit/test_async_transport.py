"""The asynchronous client does what the blocking one does, for many flows at once, over few connections."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import gc
import http.server
import ipaddress
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyEndpointError,
    DifyError,
    DifyInputError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Pause, Request, Response
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.knowledge.status import StatusChange
from airflow_provider_dify.testing import FakeDify, Fault, SystemClock
from airflow_provider_dify.transport import clock as clocks
from airflow_provider_dify.transport import lines, opening
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import SystemClock as RealTime
from airflow_provider_dify.transport.settings import Settings
from airflow_provider_dify.transport.sync import Client

T = TypeVar("T")
LOG = logging.getLogger(__name__)
#: One try more, and no chance in how long it takes to come.
ONE_MORE = Retries(max_retries=1, jitter=lambda: 1.0)


def settings_of(dify: FakeDify, **changes: Any) -> Settings:
    return replace(Settings(dify.base_url, dify.api_key), **changes)


async def arun(settings: Settings, flow: Flow[T]) -> T:
    async with AsyncClient(settings, LOG) as client:
        return await client.run(flow)


def run_blocking(settings: Settings, flow: Flow[T]) -> T:
    client = Client(settings, LOG)
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
    own_words = re.sub(r"(?<=\().*(?=\)\. Check)", "...", error.message)
    return {**vars(error), "type": type(error), "message": own_words, "args": None}


def sent(dify: FakeDify) -> list[tuple[object, ...]]:
    """All that the server got to see, but for what depends on the HTTP library."""
    shown = ("authorization", "user-agent", "accept", "content-type", "x-team", "cookie", "host")
    return [
        (r.method, r.path, r.query, r.json, r.status, {name: r.headers.get(name) for name in shown})
        for r in dify.requests
    ]


def both_ways(dify: FakeDify, settings: Settings, flow: Callable[[], Flow[Any]], *faults: Fault) -> object:
    """Run a flow both ways, each with the same faults; check that all is equal, and return what came of it."""
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


def until(condition: Callable[[], bool]) -> bool:
    """Wait for what happens in another thread."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


# --- The same, both ways


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("reset_before"), None),
        (Fault("reset_before", times=None), DifyTransportError),
        (Fault("reset_after"), None),
        (Fault("reset_after", times=None), DifyTransportError),
        (Fault("hang"), None),
        (Fault("hang", times=None), DifyTransportError),
        (Fault("status", status=500), None),
        (Fault("status", status=500, times=None), DifyServerError),
        (Fault("status", status=503, times=None, retry_after=7), DifyServerError),
        (Fault("status_after", status=504, times=None), DifyServerError),
        (Fault("status", status=429, retry_after=7), None),
        (Fault("status", status=429, retry_after=7, times=None), DifyRateLimitError),
        (Fault("status", status=429, retry_after=7, retry_after_as="date"), None),
        (Fault("status", status=429, retry_after=3600, retry_after_as="date"), DifyRateLimitError),
        (Fault("plan_limit", times=None), DifyPlanLimitError),
        (Fault("page", status=502, times=None), DifyServerError),
        (Fault("page", status=200), DifyEndpointError),
        (Fault("page", status=404), DifyEndpointError),
        (Fault("redirect", body="http://127.0.0.1:1/v1"), DifyEndpointError),
        (Fault("redirect", status=307, body="/v1/datasets"), DifyEndpointError),
        (Fault("echo_key"), DifyRequestError),
        (Fault("echo_key", headers={"Set-Cookie": "session=1", "X-Trace-Id": "t1"}), DifyRequestError),
        (Fault("truncated"), None),
        (Fault("truncated", times=9), DifyServerError),
    ],
    ids=lambda value: f"{value.kind}-{value.status}-{value.times}" if isinstance(value, Fault) else "",
)
def test_faults_are_the_same_both_ways(dify: FakeDify, fault: Fault, kind: type[DifyError] | None) -> None:
    kb = dify.add_dataset("handbook")
    kb.add_documents(3)
    settings = settings_of(dify, timeout=0.3)
    result = both_ways(dify, settings, lambda: retrying(api.document_page(kb.id, 1), ONE_MORE), fault)
    if kind is None:
        assert isinstance(result, api.Page)
        assert len(dify.requests) == 2
    else:
        assert type(result) is kind
        assert dify.api_key not in str(result)


@pytest.mark.parametrize(
    ("change", "kind", "reached"),
    [
        ({"api_key": "dataset-wrong-0123456789"}, DifyAuthenticationError, None),
        ({"base_url": "http://127.0.0.1:{port}/v2"}, DifyEndpointError, None),
        ({"base_url": "https://127.0.0.1:{port}/v1"}, DifyTransportError, False),
        ({"base_url": "http://127.0.0.1:1/v1"}, DifyTransportError, False),
        ({"base_url": "http://127.0.0.1:{port}/v1", "proxies": {"all": "127.0.0.1:1"}}, DifyTransportError, False),
        ({"base_url": "https://127.0.0.1:{port}/v1", "proxies": {"https": "http://127.0.0.1:1"}},
         DifyTransportError, False),
        ({"base_url": "https://127.0.0.1:{port}/v1", "verify": "/no/such/bundle.pem"}, DifyInputError, None),
        ({"base_url": "ftp://127.0.0.1/v1"}, DifyInputError, None),
        ({"headers": {"X-Team": "a\nb"}}, DifyInputError, None),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_wrong_with_the_connection_is_the_same_both_ways(
    dify: FakeDify, change: dict[str, Any], kind: type[DifyError], reached: bool | None
) -> None:
    port = httpx.URL(dify.base_url).port
    change = {name: value.format(port=port) if isinstance(value, str) else value for name, value in change.items()}
    result = both_ways(dify, settings_of(dify, **change), lambda: retrying(api.dataset_page(1), ONE_MORE))
    assert type(result) is kind
    assert getattr(result, "reached", None) is reached


def test_a_request_looks_the_same_both_ways(dify: FakeDify) -> None:
    kb = dify.add_dataset("handbook")
    headers = {"x-team": "search", "user-agent": "mine", "X-Team": "docs"}
    settings = settings_of(dify, headers=headers)

    def flow() -> Flow[list[int]]:
        read = yield Request("GET", "/datasets", query=(("keyword", "50% & \u00fc /?#+_"), ("page", 1)))
        made = yield Request(
            "POST", f"/datasets/{kb.id}/document/create-by-text", json={"name": "\u00fc\u20ac", "text": "\U0001f600"}
        )
        assert read is not None
        assert made is not None
        return [read.status, made.status]

    both_ways(dify, settings, flow)
    query, header = dify.requests[0].query, dify.requests[0].headers
    assert query == {"keyword": "50% & \u00fc /?#+_", "page": "1"}
    assert dify.requests[1].json == {"name": "\u00fc\u20ac", "text": "\U0001f600"}
    assert header["authorization"] == f"Bearer {dify.api_key}"
    assert header["x-team"] == "docs"
    assert header["user-agent"].startswith("airflow-provider-dify/")


def test_an_answer_looks_the_same_both_ways(dify: FakeDify) -> None:
    def flow() -> Flow[Response]:
        answer = yield Request("GET", "/datasets")
        assert answer is not None
        return answer

    fault = Fault("page", body=f"<p>{dify.api_key}</p>", headers={"X-Echo": f"Bearer {dify.api_key}", "A": "\u00fc"})
    answers = []
    for faults in [(), (fault,)]:
        answer = both_ways(dify, settings_of(dify), flow, *faults)
        assert isinstance(answer, Response)
        assert answer.at == dify.clock.time()
        answers.append(answer)
    assert answers[0].headers["x-version"] == "1.14.1"
    assert answers[1].body == b"<p>***</p>"
    assert answers[1].headers["x-echo"] == "Bearer ***"


def test_a_change_of_status_is_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for way in WAYS.values():
        with FakeDify(seed=3) as dify:
            monkeypatch.setattr(clocks, "clock", dify.clock)
            pages = dify.add_dataset("handbook").add_documents(250)
            pages[7].lock(100)
            dify.faults.add(
                Fault("reset_after", method="PATCH", after=1),
                Fault("status", method="PATCH", after=2, status=429, retry_after=3),
                Fault("hang", method="GET", after=3),
            )
            change = StatusChange(pages[0].dataset.id, [page.id for page in pages], "archive")
            flow = retrying(change.flow(Deadline(900, dify.clock.monotonic), ONE_MORE), ONE_MORE)
            report = way(settings_of(dify, timeout=0.3), flow).to_json()
            assert report["counts"]["changed"] == 250
            requests = [(r.method, r.path, r.query, r.json, r.status) for r in dify.requests]
            seen.append((report, requests, dify.clock.slept))
    assert seen[0] == seen[1]


@each_way
def test_a_netrc_does_not_replace_the_key(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: Callable[..., Any]
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    way(settings_of(dify), retrying(api.dataset_page(1), ONE_MORE))
    assert dify.requests[0].headers["authorization"] == f"Bearer {dify.api_key}"


def test_cookies_do_not_travel_from_one_key_to_another(dify: FakeDify) -> None:
    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG) as one:
            dify.faults.add(Fault("status", headers={"Set-Cookie": "who=one; Path=/"}))
            await one.run(retrying(api.dataset_page(1), ONE_MORE))
            await arun(settings_of(dify, api_key=dify.add_key()), retrying(api.dataset_page(1), ONE_MORE))

    asyncio.run(main())
    assert len(dify.requests) == 3
    assert not any("cookie" in request.headers for request in dify.requests)


# --- TLS and proxies


class Answer(http.server.BaseHTTPRequestHandler):
    """An empty list to whatever is asked, also as a proxy; a tunnel is refused."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Proxy-Authorization")))  # type: ignore[attr-defined]
        body = b'{"data": [], "total": 0}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Proxy-Authorization")))  # type: ignore[attr-defined]
        self.send_error(403, "No tunnels here")

    def log_message(self, *args: object) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *args: object) -> None:
        """A client that hangs up during the handshake is what some tests are about."""


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve :class:`Answer`, and give the address and the list of what is asked."""
    server = Quiet(("127.0.0.1", 0), Answer)
    asked: list[tuple[str, str | None]] = []
    server.asked = asked  # type: ignore[attr-defined]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    day = dt.timedelta(days=1)
    now = dt.datetime.now(dt.timezone.utc)
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(public, False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Settings]:
    """Settings for a server that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(context) as (url, _):
        yield Settings(f"{url}/v1", "dataset-0123456789")


def empty_list() -> Flow[api.Page[Any]]:
    return retrying(api.dataset_page(1), Retries(max_retries=0))


@each_way
@pytest.mark.parametrize(
    ("variable", "verify", "trusted"),
    [
        (None, True, False),
        (None, False, True),
        (None, "its own", True),
        ("REQUESTS_CA_BUNDLE", True, True),
        ("CURL_CA_BUNDLE", True, True),
        ("REQUESTS_CA_BUNDLE", "another", False),
        ("SSL_CERT_FILE", True, False),  # requests does not read it, so httpx must not either
    ],
)
def test_certificates_are_checked(
    secure: Settings,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[..., Any],
    variable: str | None,
    verify: bool | str,
    trusted: bool,
) -> None:
    import certifi

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(certificate))
    bundles = {"its own": str(certificate), "another": certifi.where()}
    settings = replace(secure, verify=bundles.get(str(verify), verify))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # urllib3 warns of verify=False
        if trusted:
            assert way(settings, empty_list()).total == 0
        else:
            with pytest.raises(DifyTransportError) as caught:
                way(settings, empty_list())
            assert caught.value.reached is False
            assert "certificate" in str(caught.value).lower()


@each_way
def test_a_certificate_must_be_for_the_host(secure: Settings, certificate: Path, way: Callable[..., Any]) -> None:
    settings = replace(secure, base_url=secure.base_url.replace("127.0.0.1", "localhost"), verify=str(certificate))
    with pytest.raises(DifyTransportError, match=r"(?i)certificate"):
        way(settings, empty_list())


@each_way
@pytest.mark.parametrize(
    ("environment", "proxies", "through"),
    [
        ({"HTTP_PROXY": "{proxy}"}, {}, True),
        ({"ALL_PROXY": "{proxy}"}, {}, True),
        ({"HTTP_PROXY": "{proxy}", "NO_PROXY": "127.0.0.0/8"}, {}, False),
        ({"HTTP_PROXY": "http://127.0.0.1:1"}, {"http": "{proxy}"}, True),
        ({"HTTP_PROXY": "http://127.0.0.1:1"}, {"all": "{proxy}"}, True),
        ({"NO_PROXY": "*"}, {"http": "{proxy}"}, True),
        ({}, {"https": "{proxy}"}, False),
        ({}, {"http://127.0.0.1": "{proxy}"}, True),
    ],
)
def test_proxies(
    dify: FakeDify,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[..., Any],
    environment: dict[str, str],
    proxies: dict[str, str],
    through: bool,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with serve() as (url, asked):
        for name, value in environment.items():
            monkeypatch.setenv(name.lower(), value.format(proxy=url))
        proxies = {name: value.format(proxy=url) for name, value in proxies.items()}
        way(settings_of(dify, proxies=proxies), empty_list())
        assert [path.split("?")[0] for path, _ in asked] == ([f"{dify.base_url}/datasets"] if through else [])
    assert len(dify.requests) == (0 if through else 1)


@each_way
def test_a_proxy_gets_its_password_and_shows_it_nowhere(way: Callable[..., Any]) -> None:
    with serve() as (url, asked):
        proxy = url.replace("://", "://me:p%40ssword@").removeprefix("http://")
        with pytest.raises(DifyTransportError) as caught:
            way(Settings("https://dify.example.com/v1", "dataset-0123456789", proxies={"https": proxy}), empty_list())
    assert asked == [("dify.example.com:443", "Basic bWU6cEBzc3dvcmQ=")]
    assert caught.value.reached is False
    assert "ssword" not in str(caught.value)


def test_a_proxy_that_speaks_tls_is_checked_by_the_same_rules(
    dify: FakeDify, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(context) as (url, asked):
        settings = settings_of(dify, proxies={"all": url}, verify=str(certificate))
        run_async(settings, empty_list())
        assert len(asked) == 1
        with pytest.raises(DifyTransportError, match=r"(?i)certificate"):
            run_async(replace(settings, verify=True), empty_list())


def test_a_proxy_that_cannot_be_used_is_an_input_error(dify: FakeDify) -> None:
    with pytest.raises(DifyInputError, match="cannot be sent"):
        run_async(settings_of(dify, proxies={"all": "gopher://127.0.0.1:1"}), empty_list())


def test_a_file_that_is_no_ca_bundle_is_named(secure: Settings, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text("nothing of the kind")
    for path in (tmp_path / "bundle.pem", tmp_path / "missing.pem"):
        with pytest.raises(DifyInputError, match=path.name):
            run_async(replace(secure, verify=str(path)), empty_list())


# --- Many at once


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[httpx.AsyncBaseTransport]:
    """The transports of httpx that were made."""
    made: list[httpx.AsyncBaseTransport] = []

    def open_and_note(settings: Settings) -> httpx.AsyncBaseTransport:
        made.append(opening.open_transport(settings))
        return made[-1]

    monkeypatch.setattr(lines, "open_transport", open_and_note)
    return made


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDify]:
    """A Dify in real time that takes 50 ms for each answer."""
    monkeypatch.setattr(clocks, "clock", RealTime())
    with FakeDify(clock=SystemClock()) as running:
        running.faults.add(Fault("latency", seconds=0.05, times=None))
        yield running


def look(number: int, times: int = 1) -> Flow[int]:
    """Ask a few times for a list, so that the server sees who asks."""
    for _ in range(times):
        yield from retrying(api.dataset_page(1, keyword=str(number)), ONE_MORE)
        yield Pause(0.001, "")
    return number


async def all_of(*flows: Awaitable[T]) -> list[T]:
    return list(await asyncio.gather(*flows))


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


def test_they_stay_open_while_anybody_uses_them(dify: FakeDify, opened: list[httpx.AsyncBaseTransport]) -> None:
    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG) as client:
            for i in range(5):
                await run_flow(look(i), settings_of(dify), LOG)
            await client.run(look(5))
            assert dify.open_connections == 1
        assert not lines._LINES
        await run_flow(look(6), settings_of(dify), LOG)

    asyncio.run(main())
    assert len(opened) == 2
    assert dify.connections == 2


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
        async with AsyncClient(replace(settings, timeout=30), LOG) as patient:
            hanging = [asyncio.create_task(patient.run(look(i))) for i in range(4)]
            assert await asyncio.to_thread(until, lambda: len(dify.requests) == 4)
            passed = Deadline(1, lambda: 100, start=0)
            late = [run_flow(look(10 + i), settings, LOG, passed) for i in range(3)]
            told: list[object] = list(await asyncio.gather(*late, return_exceptions=True))
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            # Those who gave up have taken no turn with them.
            assert await all_of(*(run_flow(look(i), settings, LOG, passed) for i in range(6))) == list(range(6))
        return told

    for error in asyncio.run(main()):
        assert isinstance(error, DifyTransportError)
        assert not error.reached
        assert "had no turn for 0 s" in str(error)


def test_an_idle_connection_is_not_used_again(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_dify.testing import server

    assert 1 < opening.KEEP_ALIVE < server.KEEP_ALIVE
    monkeypatch.setattr(opening, "KEEP_ALIVE", 0.1)

    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG) as client:
            for pause in (0, 0.2):
                await client.run(look(1, 2))
                await asyncio.sleep(pause)
            await client.run(look(1))

    asyncio.run(main())
    assert [request.connection for request in dify.requests] == [1, 1, 1, 1, 2]


def test_a_connection_that_the_server_has_closed_costs_no_try(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with AsyncClient(settings_of(dify), LOG) as client:
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
        [(logging.WARNING, f"{i} begins"), (logging.INFO, f"{i} waits. Next look in 2.0 s.")] for i in range(2)
    ]


def test_nothing_is_logged_for_each_request(dify: FakeDify, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run_async(settings_of(dify), look(1))
    assert [record for record in caplog.records if not record.name.startswith("uvicorn")] == []


def test_the_version_of_the_server_is_known(dify: FakeDify) -> None:
    async def main() -> list[str | None]:
        async with AsyncClient(settings_of(dify), LOG) as client:
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

    assert asyncio.run(main()) == [None, None, "1.14.1"]


# --- Several loops, errors, cancellation


def test_each_event_loop_has_its_own_connections(dify: FakeDify, opened: list[object]) -> None:
    meet = threading.Barrier(3)
    results: list[int] = []

    async def main(number: int) -> None:
        async with AsyncClient(settings_of(dify), LOG) as client:
            results.append(await client.run(look(number)))
            await asyncio.to_thread(meet.wait, 5)
            results.append(await client.run(look(number)))

    threads = [threading.Thread(target=lambda i=i: asyncio.run(main(i))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [0, 0, 1, 1, 2, 2]
    assert len(opened) == 3
    assert not lines._LINES


def test_a_loop_that_ended_halfway_is_forgotten(dify: FakeDify) -> None:
    loop = asyncio.new_event_loop()
    left_open = AsyncClient(settings_of(dify), LOG)
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
        async with AsyncClient(settings_of(dify), LOG) as client:
            flows = [client.run(look(i)) for i in range(8)]
            failed = list(await asyncio.gather(*flows, return_exceptions=True))
            return [*failed, await client.run(look(9))]

    results = asyncio.run(main())
    assert [type(result) for result in results] == [DifyInputError] * 8 + [int]
    assert "no descriptors left" in str(results[0])
    assert len({id(result) for result in results}) == 9  # nobody gets an error that another one changes
    assert len(attempts) == 2


def test_one_of_many_is_cancelled(dify: FakeDify, opened: list[object]) -> None:
    """While it is answered, while it waits for its turn, while it pauses: the others do not notice."""
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
    """Whenever it strikes, and httpcore has places where it must not: turns and connections are there for the next."""
    settings = settings_of(slow, max_retries=0, timeout=5)
    slow.faults.clear()
    slow.faults.add(Fault("latency", seconds=0.003, times=None))

    async def main() -> None:
        async with AsyncClient(settings, LOG) as client:
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


def test_a_pause_ends_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "clock", RealTime())

    def flow() -> Flow[None]:
        yield Pause(60, "")

    async def main() -> None:
        task = asyncio.create_task(run_flow(flow(), Settings("http://127.0.0.1:1/v1", "dataset-0123456789"), LOG))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    begin = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begin < 5


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
    closed = []

    class Noting(httpx.AsyncHTTPTransport):
        async def aclose(self) -> None:
            await super().aclose()
            closed.append(self)

    def open_slowly(settings: Settings) -> httpx.AsyncBaseTransport:
        time.sleep(0.1)
        return Noting()

    monkeypatch.setattr(lines, "open_transport", open_slowly)

    async def main() -> None:
        tasks = [asyncio.create_task(run_flow(look(i), settings_of(dify), LOG)) for i in range(4)]
        await asyncio.sleep(0.02)
        for _ in range(3):  # also while they clean up
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert await asyncio.to_thread(until, lambda: len(closed) == 1)

    asyncio.run(main())
    assert not lines._LINES
    assert not lines._CLOSING
    assert dify.connections == 0


# --- The loop, and time


def test_a_wait_of_a_quarter_of_an_hour_takes_no_time(dify: FakeDify) -> None:
    def flow() -> Flow[float]:
        begin = dify.clock.monotonic()
        yield Pause(900, "Waiting.")
        return dify.clock.monotonic() - begin

    begin = time.monotonic()
    assert run_async(settings_of(dify), flow()) == 900
    assert time.monotonic() - begin < 0.5
    assert dify.clock.slept == [900]


def test_a_pause_does_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "clock", RealTime())

    def flow() -> Flow[None]:
        yield Pause(0.1, "")

    async def main() -> None:
        await all_of(*(run_flow(flow(), Settings("http://127.0.0.1:1/v1", "key"), LOG) for _ in range(100)))

    begin = time.monotonic()
    asyncio.run(main())
    assert 0.1 <= time.monotonic() - begin < 2


MEASURE = """
import asyncio, gc, logging, sys, threading, time
import concurrent.futures.thread  # asyncio's own, for any to_thread: a triggerer has it long since
from pathlib import Path

from airflow_provider_dify.hooks.asynchronous import run_flow
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.transport.settings import Settings

longest, imported = 0.0, set()

def in_line():
    # Seconds that this thread was ready and the machine had no processor for it; Linux tells.
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0

async def tick():
    global longest
    last, waited = time.perf_counter(), in_line()
    while True:
        await asyncio.sleep(0.001)
        now, then = time.perf_counter(), in_line()
        longest = max(longest, (now - last) - (then - waited))
        last, waited = now, then

def note(event, args):
    if event == "import" and threading.current_thread() is threading.main_thread():
        imported.add(args[0])

def flow():
    for page in range(1, 3):
        yield from api.document_page(sys.argv[3], page)
    return 1

async def main():
    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    settings = Settings(sys.argv[1], sys.argv[2])
    done = await asyncio.gather(*(run_flow(flow(), settings, logging.getLogger()) for _ in range(200)))
    ticker.cancel()
    print("measured", sum(done), longest)

# A round of the collector over all that Airflow has loaded takes 100 ms, whoever causes it.
gc.collect()
gc.freeze()
sys.addaudithook(note)
asyncio.run(main())
# httpcore asks each time for sniffio, which need not be there.
print("imported", *(name for name in imported if name in sys.modules))
"""


def test_the_loop_is_never_held_up(dify: FakeDify, tmp_path: Path) -> None:
    """From the first import of httpx on: in a process of its own, since this one is busy with being Dify."""
    kb = dify.add_dataset("handbook")
    kb.add_documents(250)
    # Modules are compiled once in the life of an installation; nothing can interrupt the compiler.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    gaps = []
    for _ in range(8):  # the machine may be busy with other tests
        command = [sys.executable, "-c", MEASURE, dify.base_url, dify.api_key, kb.id]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
        assert ran.returncode == 0, ran.stderr
        printed = {words[0]: words[1:] for words in map(str.split, ran.stdout.splitlines()) if words}
        done, longest = printed["measured"]
        assert done == "200"
        assert printed["imported"] == []
        gaps.append(float(longest))
        if gaps[-1] < 0.05:
            return
    pytest.fail(f"the loop was held up for {min(gaps):.3f} s at least: {gaps}")


# --- In a trigger


def test_the_connection_of_a_trigger(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", dify.airflow_connection({"timeout": 7, "headers": {"X-Team": "docs"}}))

    async def main() -> Settings:
        return (await all_of(async_settings("mine"), async_settings("mine")))[0]

    settings = asyncio.run(main())
    assert settings == DifyHook("mine").settings
    assert (settings.timeout, settings.headers, settings.api_key) == (7, {"X-Team": "docs"}, dify.api_key)


def test_its_extras_are_read_without_an_event_loop_where_airflow_cannot_do_it_in_one(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat import connection as compat
    from airflow.providers.common.compat.sdk import Connection

    threads = []

    class Noting(Connection):
        @property
        def extra_dejson(self) -> dict[str, Any]:
            threads.append(threading.current_thread())
            return {"timeout": 7}

    async def get(conn_id: str) -> Connection:
        return Noting(conn_id=conn_id, conn_type="dify", host=dify.base_url, password=dify.api_key)

    monkeypatch.setattr(compat, "get_async_connection", get)
    monkeypatch.delattr(compat, "get_async_extra_dejson", raising=False)
    assert asyncio.run(async_settings("mine")).timeout == 7
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_a_wrong_field_of_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", '{"conn_type": "dify", "password": "dataset-1", "extra": {"timeout": 0}}')
    with pytest.raises(DifyInputError, match="timeout"):
        asyncio.run(async_settings("mine"))


@pytest.mark.parametrize("key", ["app-0123456789", "dataset-wrong-0123456789"])
def test_a_trigger_says_the_same_about_a_key_as_the_hook(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    dify.api_key = key
    monkeypatch.setenv("AIRFLOW_CONN_MINE", dify.airflow_connection())
    dify.world.keys.pop(key, None)

    async def main() -> None:
        await run_flow(api.dataset_page(1), await async_settings("mine"), LOG)

    with pytest.raises(AirflowFailException) as asynchronous:
        asyncio.run(main())
    with pytest.raises(AirflowFailException) as blocking, DifyHook("mine") as hook:
        hook.run(api.dataset_page(1))
    assert str(asynchronous.value) == str(blocking.value)
    assert ("is an app key" in str(asynchronous.value)) == key.startswith("app-")
    assert "knowledge/" not in "".join(traceback.format_exception(asynchronous.value))


def test_the_retries_of_a_trigger_are_those_of_the_connection(dify: FakeDify) -> None:
    dify.faults.add(Fault("status", status=503, times=None))
    with pytest.raises(DifyServerError):
        asyncio.run(run_flow(api.dataset_page(1), settings_of(dify, max_retries=2), LOG))
    assert len(dify.requests) == 3
    dify.faults.clear()
    dify.faults.add(Fault("status", status=429, retry_after=50))
    deadline = Deadline(20, dify.clock.monotonic)
    with pytest.raises(DifyRateLimitError):
        asyncio.run(run_flow(api.dataset_page(1), settings_of(dify), LOG, deadline))


def test_no_secret_is_in_any_text(dify: FakeDify, caplog: pytest.LogCaptureFixture) -> None:
    token = "team-token-5f2c9a"
    secrets = (dify.api_key, token, "proxy-word-81b3")
    good = settings_of(dify, headers={"X-Team": token}, max_retries=1, timeout=0.2)
    closed = f"me:{secrets[2]}@127.0.0.1:1"
    cases: list[tuple[Settings, list[Fault]]] = [
        (good, [Fault("echo_key")]),
        (good, [Fault("echo_key", status=500, times=None)]),
        (good, [Fault("page", status=502, body=f"<title>{token} {dify.api_key}</title>", times=None)]),
        (good, [Fault("redirect", body=f"http://else.where/{dify.api_key}?{token}")]),
        (good, [Fault("hang", times=None)]),
        (replace(good, proxies={"all": closed}), []),
        (replace(good, proxies={"all": f"http://{closed}"}), []),
        (replace(good, proxies={"all": f"gopher://{closed}"}), []),
        (replace(good, verify=f"/no/{dify.api_key}", base_url="https://127.0.0.1:1/v1"), []),
    ]
    said = []
    with caplog.at_level(logging.DEBUG):
        for settings, faults in cases:
            dify.faults.clear()
            dify.faults.add(*faults)
            with pytest.raises(DifyError) as caught:
                asyncio.run(run_flow(api.dataset_page(1), settings, LOG))
            said += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
    said += [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert len(said) > 2 * len(cases)
    for text in said:
        assert not any(secret in text for secret in secrets), text


@pytest.mark.parametrize(("way", "library"), [(run_blocking, "urllib3"), (run_async, "httpcore")])
def test_the_libraries_below_do_not_log_what_a_server_echoes(
    dify: FakeDify, caplog: pytest.LogCaptureFixture, way: Callable[..., Any], library: str
) -> None:
    dify.faults.add(Fault("page", status=404, headers={"X-Echo": dify.api_key}))
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DifyEndpointError):
        way(settings_of(dify), retrying(empty_list(), ONE_MORE))
    logged = [record for record in caplog.records if record.name.startswith(library)]
    assert logged
    assert dify.api_key not in caplog.text
    assert library != "httpcore" or "***" in caplog.text
    # What others do with the library is shown as it is.
    logging.getLogger(logged[0].name).debug("others %s", dify.api_key)
    assert f"others {dify.api_key}" in caplog.text


def test_headers_that_cannot_be_read_are_not_logged_with_the_key(caplog: pytest.LogCaptureFixture) -> None:
    key = "dataset-0123456789abcdef"
    answer = f"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\nkey {key} echoed\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:

        def serve_one() -> None:
            with server.accept()[0] as connection:
                connection.recv(10_000)
                connection.sendall(answer.encode())

        served = pool.submit(serve_one)
        settings = Settings(f"http://127.0.0.1:{server.getsockname()[1]}/v1", key)
        with pytest.raises(DifyEndpointError):
            run_blocking(settings, retrying(empty_list(), ONE_MORE))
        served.result()
    assert "Failed to parse headers" in caplog.text
    assert key not in caplog.text


def test_importing_it_does_not_import_httpx() -> None:
    code = "import sys, airflow_provider_dify.transport.{} as m; sys.exit('httpcore' in sys.modules)"
    bare = "import sys, airflow_provider_dify.exceptions; sys.exit('httpcore' in sys.modules)"
    if subprocess.run([sys.executable, "-c", bare], timeout=100, check=False).returncode == 0:
        for module in ("asynchronous", "lines", "opening"):
            subprocess.run([sys.executable, "-c", code.format(module)], timeout=100, check=True)


def test_connections_that_take_too_long_did_not_reach_dify(dify: FakeDify) -> None:
    """A server whose queue of new connections is full takes none: the SYN is dropped."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        settings = settings_of(dify, base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", timeout=0.3)
        result = both_ways(dify, settings, empty_list)
        for filler in fillers:
            filler.close()
    assert isinstance(result, DifyTransportError)
    assert result.reached is False
