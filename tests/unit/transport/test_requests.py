"""What is sent to a connection's Dify, and what happens to the responses."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_dify.exceptions import (
    DifyEndpointError,
    DifyKilledError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport import metrics
from airflow_provider_dify.transport.settings import USER_AGENT
from tests.unit.conftest import CONN_ID, Change, Connect, patches
from tests.waiting import until


class TestWhatIsSent:
    """The settings at work, seen from Dify's side."""

    def test_headers_key_and_user_agent(self, dify: FakeDify, reach: Connect) -> None:
        list(reach(extra={"headers": {"X-Team": "search"}}).list_datasets())
        (request,) = dify.requests
        assert request.headers["x-team"] == "search"
        assert request.headers["authorization"] == f"Bearer {dify.api_key}"
        assert request.headers["user-agent"] == USER_AGENT
        assert request.path == "/v1/datasets"

    @pytest.mark.parametrize("max_retries", [0, 1, 3])
    def test_max_retries(self, dify: FakeDify, reach: Connect, max_retries: int) -> None:
        dify.faults.add(Fault("status", status=503, times=None))
        with pytest.raises(DifyServerError):
            list(reach(extra={"max_retries": max_retries}).list_datasets())
        assert len(dify.requests) == 1 + max_retries
        assert len(dify.clock.slept) == max_retries

    def test_timeout(self, dify: FakeDify, reach: Connect) -> None:
        dify.faults.add(Fault("hang"))
        hook = reach(extra={"timeout": 0.2, "max_retries": 0})
        with pytest.raises(DifyTransportError, match="timeout of the connection") as raised:
            list(hook.list_datasets())
        assert raised.value.reached
        assert raised.value.retryable

    def test_netrc_does_not_replace_the_key(
        self, dify: FakeDify, reach: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login someone password else\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        list(reach().list_datasets())
        assert dify.requests[0].headers["authorization"] == f"Bearer {dify.api_key}"

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "NO_PROXY"])
    @pytest.mark.parametrize("name", ["http", "all"])
    def test_proxies_of_the_extras_go_before_those_of_the_environment(
        self, dify: FakeDify, connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "*" if variable == "NO_PROXY" else "http://127.0.0.1:9")
        proxy = dify.base_url.removesuffix("/v1")
        hook = connect(host="http://dify.invalid", extra={"proxies": {name: proxy}, "max_retries": 0})
        with pytest.raises(DifyRequestError):  # the built-in Dify does not pass it on
            list(hook.list_datasets())
        assert [request.headers["host"] for request in dify.requests] == ["dify.invalid"]

    def test_without_them_the_environment_says(
        self, dify: FakeDify, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", dify.base_url.removesuffix("/v1"))
        with pytest.raises(DifyRequestError):
            list(connect(host="http://dify.invalid").list_datasets())
        assert dify.requests[0].headers["host"] == "dify.invalid"

    def test_a_proxy_that_is_down_is_named_and_its_password_is_not(self, connect: Connect) -> None:
        proxies = {"http": "http://user:proxy-secret@127.0.0.1:9"}
        hook = connect(host="http://dify.invalid", extra={"proxies": proxies, "max_retries": 0})
        with pytest.raises(DifyTransportError, match="ProxyError") as raised:
            list(hook.list_datasets())
        assert not raised.value.reached
        assert "proxies" in str(raised.value)
        assert "proxy-secret" not in str(raised.value)


class TestRedirect:
    """Another host never sees the key."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_is_not_followed(self, dify: FakeDify, reach: Connect, status: int) -> None:
        with FakeDify(clock=dify.clock) as other:
            dify.faults.add(Fault("redirect", status=status, body=other.base_url + "/datasets", times=None))
            with pytest.raises(DifyEndpointError, match="Redirects are not followed") as raised:
                list(reach().list_datasets())
            assert other.requests == []
            assert other.base_url in str(raised.value)
            assert raised.value.status == status
        assert len(dify.requests) == 1

    def test_nor_is_that_of_a_change(self, dify: FakeDify, kb: Dataset, change: Change) -> None:
        page = kb.add_document("page")
        with FakeDify(clock=dify.clock) as other:
            dify.faults.add(Fault("redirect", status=307, method="PATCH", body=other.base_url, times=None))
            run = change("archive", [page])
            assert other.requests == []
        assert isinstance(run.error, DifyEndpointError)
        assert run.not_empty == {"not_attempted": ["page"]}
        assert len(patches(dify)) == 1

    def test_one_with_json_in_it_is_one_too(self, dify: FakeDify, reach: Connect) -> None:
        headers = {"Location": "https://sso.example.com/"}
        dify.faults.add(Fault("status", status=302, body={"message": "log in first"}, headers=headers))
        with pytest.raises(DifyEndpointError, match=r"https://sso\.example\.com/"):
            list(reach().list_datasets())


class TestEcho:
    """A server that shows what it was sent does not make this provider show the key."""

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502])
    def test_in_an_error(self, dify: FakeDify, reach: Connect, status: int) -> None:
        dify.faults.add(Fault("echo_key", status=status, times=None))
        with pytest.raises(DifyRequestError, match=r"Authorization: Bearer \*\*\*") as raised:
            list(reach().list_datasets())
        assert dify.api_key not in f"{raised.value} {raised.value!r} {vars(raised.value)}"

    @pytest.mark.parametrize("status", [200, 404, 502])
    def test_in_a_page(self, dify: FakeDify, reach: Connect, status: int) -> None:
        page = f"<title>Sent: Bearer {dify.api_key}</title>"
        dify.faults.add(Fault("page", status=status, body=page, times=None))
        with pytest.raises(DifyRequestError, match=r"Bearer \*\*\*") as raised:
            list(reach().list_datasets())
        assert dify.api_key not in f"{raised.value} {vars(raised.value)}"

    def test_in_a_header(self, dify: FakeDify, reach: Connect) -> None:
        headers = {"X-Trace-Id": dify.api_key}
        dify.faults.add(Fault("redirect", body=f"http://other.invalid/?key={dify.api_key}", headers=headers))
        with pytest.raises(DifyEndpointError) as raised:
            list(reach().list_datasets())
        assert raised.value.trace_id == "***"
        assert "other.invalid/?key=***" in str(raised.value)

    @pytest.mark.parametrize("proxy", ["http://u:proxy%21secret@p", "u:proxy%21secret@p:3128"])
    def test_of_other_secrets(self, dify: FakeDify, reach: Connect, proxy: str) -> None:
        hook = reach(extra={"headers": {"X-Token": "team-secret"}, "proxies": {"https": proxy}})
        text = "X-Token team-secret, proxy%21secret, proxy!secret."
        dify.faults.add(Fault("status", status=400, body={"code": "odd", "message": text}))
        with pytest.raises(DifyRequestError, match=r"X-Token \*\*\*, \*\*\*, \*\*\*\."):
            list(hook.list_datasets())


class TestTestConnection:
    """The button in Airflow's form."""

    def test_right_key(self, dify: FakeDify, reach: Connect) -> None:
        dify.add_dataset("one")
        dify.add_dataset("two")
        assert reach().test_connection() == (True, "Dify 1.16.0 answered: the key can access 2 knowledge bases.")
        (request,) = dify.requests
        assert (request.method, request.path, request.query["limit"]) == ("GET", "/v1/datasets", "1")

    def test_key_bound_to_one_knowledge_base(self, dify: FakeDify, reach: Connect) -> None:
        worked, text = reach(password=dify.add_key(dataset=dify.add_dataset("one"))).test_connection()
        assert worked
        assert text.startswith("Dify 1.16.0 answered: the key is accepted, but may not list all knowledge bases")

    def test_says_the_version(self, monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
        with FakeDify(clock=VirtualClock(), version="1.12.1") as old:
            assert "Dify 1.12.1 answered" in connect(host=old.base_url, password=old.api_key).test_connection()[1]
            worked, text = connect(host=old.base_url).test_connection()
            assert not worked
            assert "(Dify 1.12.1)" in text

    @pytest.mark.parametrize(
        ("fields", "phrases"),
        [
            ({"password": "dataset-0123456789abcdef"}, ["401", "Access token is invalid", "Put a Knowledge API key"]),
            ({"password": "app-0123456789abcdef"}, ["401", "Put the API key of the app"]),
            ({"password": "dataset-***cdef"}, ["401", "is a masked key ('***')", "Create a new key"]),
            ({"password": "datas...cdef"}, ["401", "is a masked key ('...'), as in Dify's list", "Create a new key"]),
            ({"password": "ds-0123456789abcdefghijk"}, ["401", "Put a Knowledge API key"]),
            ({"password": "0123456789abcdef"}, ["401", "start with 'dataset-' or 'ds-'; the password of the conn"]),
            ({"password": ""}, [f"The password of connection '{CONN_ID}' is empty"]),
            ({"schema": "elsewhere"}, ["404", "Check the host of the connection", "/v1", "Dify 1.5.0"]),
            ({"host": "ftp://dify"}, ["its scheme is 'ftp'"]),
            ({"extra": {"timeout": "soon"}}, ["Extra 'timeout'"]),
        ],
        ids=["wrong", "app", "masked", "dots", "limited", "no prefix", "empty", "wrong path", "scheme", "extra"],
    )
    def test_what_is_wrong(self, dify: FakeDify, reach: Connect, fields: dict[str, Any], phrases: list[str]) -> None:
        worked, text = reach(**fields).test_connection()
        assert not worked
        assert [phrase for phrase in phrases if phrase not in text] == []
        assert fields.get("password") or dify.api_key not in text

    def test_the_key_of_an_app_that_was_deleted(self, dify: FakeDify, reach: Connect) -> None:
        worked, text = reach(password=dify.app_key).test_connection()
        assert not worked
        assert "A Knowledge API key ('dataset-') does not work for apps" in text
        assert dify.app_key not in text

    def test_nobody_there(self, dify: FakeDify, reach: Connect) -> None:
        hook = reach()
        dify.stop()
        worked, text = hook.test_connection()
        assert not worked
        assert "was not answered" in text
        assert "refused" in text
        assert "Check the host of the connection" in text

    @pytest.mark.parametrize("kind", ["page", "status", "reset_before", "plan_limit"])
    def test_it_tries_once_and_does_not_wait(self, dify: FakeDify, reach: Connect, kind: Any) -> None:
        dify.faults.add(Fault(kind, times=None, retry_after=30))
        assert reach().test_connection()[0] is False
        assert len(dify.requests) == 1
        assert dify.clock.slept == []

    def test_it_gives_up_soon(self, dify: FakeDify, reach: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow_provider_dify.hooks.dify._SECONDS_FOR_A_TEST", 0.2)
        dify.faults.add(Fault("hang"))
        worked, text = reach(extra={"timeout": 3600}).test_connection()
        assert not worked
        assert "timed out" in text

    def test_it_leaves_no_connection_open(self, dify: FakeDify, reach: Connect) -> None:
        for fields in ({}, {"password": "dataset-wrong"}):
            reach(**fields).test_connection()
        assert len(dify.requests) == 2
        assert until(lambda: dify.open_connections == 0)


@pytest.mark.usefixtures("never_idle")
def test_one_connection_serves_many_requests_until_closed(dify: FakeDify, kb: Dataset, reach: Connect) -> None:
    with reach() as hook:
        for _ in range(3):
            hook.get_dataset(kb.id)
        assert dify.connections == 1
    hook.get_dataset(kb.id)
    assert dify.connections == 2
    hook.close()
    hook.close()


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    dify: FakeDify, kb: Dataset, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dify closes it at about that time: a request that is sent at the same moment is lost."""
    monkeypatch.setattr("airflow_provider_dify.transport.common.KEEP_ALIVE", -1.0)
    with reach() as hook:
        for _ in range(3):
            hook.get_dataset(kb.id)
    assert dify.connections == len(dify.requests) == 3


def test_the_environment_is_read_once(
    dify: FakeDify, kb: Dataset, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it for each request would double what a request costs."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with reach(extra={"max_retries": 0}) as hook:
        hook.get_dataset(kb.id)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        hook.get_dataset(kb.id)
    assert len(dify.requests) == 2


def test_what_is_read_after_a_stop_is_not_used(
    dify: FakeDify, kb: Dataset, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may already show what the stop did."""
    with reach() as hook:
        monkeypatch.setattr(metrics.load(), "incr", lambda *_: hook.stop())  # called when an answer has arrived
        with pytest.raises(DifyKilledError):
            hook.get_dataset(kb.id)
    assert len(dify.requests) == 1


def test_nothing_is_read_or_opened_before_the_first_call(dify: FakeDify) -> None:
    hook = DifyHook("there_is_no_such_connection")
    hook.close()
    assert dify.connections == 0


def test_the_port_of_the_built_in_dify_in_every_place(dify: FakeDify, reach: Connect) -> None:
    """The forms that the table has, spoken over a real socket."""
    port = urlsplit(dify.base_url).port
    forms: list[dict[str, Any]] = [
        {"host": f"http://127.0.0.1:{port}"},
        {"host": "http://127.0.0.1", "port": port},
        {"host": "127.0.0.1", "port": port, "schema": "http"},
        {"host": f"127.0.0.1:{port}/", "schema": "http"},
        {"host": "http://127.0.0.1", "port": port, "schema": "v1"},
    ]
    assert [reach(**form).test_connection()[0] for form in forms] == [True] * 5
    assert {request.path for request in dify.requests} == {"/v1/datasets"}
