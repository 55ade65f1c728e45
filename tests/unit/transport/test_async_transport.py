"""The asynchronous client does what the blocking one does."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Request, Response
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.testing import FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import current, using
from tests.unit.transport.ways import (
    LOG,
    ONE_MORE,
    WAYS,
    arun,
    both_ways,
    each_way,
    empty_list,
    settings_of,
)


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
    settings = settings_of(dify, timeout=0.5)
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
    assert answers[0].headers["x-version"] == "1.16.0"
    assert answers[1].body == b"<p>***</p>"
    assert answers[1].headers["x-echo"] == "Bearer ***"


def test_a_change_of_status_is_the_same_both_ways() -> None:
    seen = []
    for way in WAYS.values():
        with FakeDify(clock=VirtualClock(), seed=3) as dify, using(dify.clock):
            pages = dify.add_dataset("handbook").add_documents(250)
            pages[7].lock(100)
            dify.faults.add(
                Fault("reset_after", method="PATCH", after=1),
                Fault("status", method="PATCH", after=2, status=429, retry_after=3),
                Fault("hang", method="GET", after=3),
            )
            change = StatusChange(pages[0].dataset.id, [page.id for page in pages], "archive")
            flow = retrying(change.flow(Deadline(900, dify.clock.monotonic), ONE_MORE), ONE_MORE)
            report = way(settings_of(dify, timeout=0.5), flow).to_json()
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
        async with AsyncClient(settings_of(dify), LOG, current()) as one:
            dify.faults.add(Fault("status", headers={"Set-Cookie": "who=one; Path=/"}))
            await one.run(retrying(api.dataset_page(1), ONE_MORE))
            await arun(settings_of(dify, api_key=dify.add_key()), retrying(api.dataset_page(1), ONE_MORE))

    asyncio.run(main())
    assert len(dify.requests) == 3
    assert not any("cookie" in request.headers for request in dify.requests)


@pytest.mark.program
def test_importing_it_does_not_import_httpx() -> None:
    code = "import sys, airflow_provider_dify.transport.{} as m; sys.exit('httpcore' in sys.modules)"
    bare = "import sys, airflow_provider_dify.exceptions; sys.exit('httpcore' in sys.modules)"
    if subprocess.run([sys.executable, "-c", bare], timeout=300, check=False).returncode == 0:
        for module in ("asynchronous", "lines", "opening"):
            subprocess.run([sys.executable, "-c", code.format(module)], timeout=300, check=True)


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
