"""What each form of an Airflow Connection becomes, and that nothing but the key's own Dify ever sees the key."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAuthenticationError,
    DifyEndpointError,
    DifyInputError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.transport.settings import USER_AGENT, Settings
from tests.unit.conftest import READS_ODD_EXTRAS, Change, patches

CONN_ID = "dify_test"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"
CLOUD = "https://api.dify.ai/v1"

Connect = Callable[..., DifyHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a hook for a connection that comes through Airflow: in its JSON form from fields, or from an URI."""

    def made(uri: str | None = None, **fields: Any) -> DifyHook:
        value = uri or json.dumps({"conn_type": "dify", "password": KEY, **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", value)
        return DifyHook(CONN_ID)

    return made


@pytest.fixture
def reach(dify: FakeDify, connect: Connect) -> Connect:
    """The same for the built-in Dify, unless a field says otherwise."""
    return lambda **fields: connect(**{"host": dify.base_url, "password": dify.api_key, **fields})


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle", "netrc")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestBaseUrl:
    """Host, port and schema become one base URL."""

    @pytest.mark.parametrize(
        ("fields", "base_url"),
        [
            # Dify Cloud
            ({}, CLOUD),
            ({"host": None}, CLOUD),
            ({"host": ""}, CLOUD),
            ({"host": "  "}, CLOUD),
            ({"host": "api.dify.ai"}, CLOUD),
            ({"host": "https://api.dify.ai/v1"}, CLOUD),
            # with and without /v1, slashes at the end
            ({"host": "https://dify.example.com"}, "https://dify.example.com/v1"),
            ({"host": "https://dify.example.com/"}, "https://dify.example.com/v1"),
            ({"host": "https://dify.example.com/v1"}, "https://dify.example.com/v1"),
            ({"host": "https://dify.example.com/v1/"}, "https://dify.example.com/v1"),
            ({"host": "https://dify.example.com//v1//"}, "https://dify.example.com/v1"),
            ({"host": " https://dify.example.com/v1\n"}, "https://dify.example.com/v1"),
            # a path prefix
            ({"host": "https://example.com/ai"}, "https://example.com/ai/v1"),
            ({"host": "https://example.com/ai/dify/v1/"}, "https://example.com/ai/dify/v1"),
            ({"host": "https://example.com/v1/dify"}, "https://example.com/v1/dify/v1"),
            # no scheme is https
            ({"host": "dify.example.com"}, "https://dify.example.com/v1"),
            ({"host": "dify.example.com/ai/v1"}, "https://dify.example.com/ai/v1"),
            ({"host": "dify.example.com:8443"}, "https://dify.example.com:8443/v1"),
            ({"host": "localhost"}, "https://localhost/v1"),
            ({"host": "HTTPS://Dify.Example.COM/v1"}, "https://dify.example.com/v1"),
            ({"host": "HTTP://dify"}, "http://dify/v1"),
            # the port in the host, as port, as both
            ({"host": "http://dify:5001"}, "http://dify:5001/v1"),
            ({"host": "http://dify:5001/v1"}, "http://dify:5001/v1"),
            ({"host": "http://dify", "port": 5001}, "http://dify:5001/v1"),
            ({"host": "http://dify/ai/v1", "port": 5001}, "http://dify:5001/ai/v1"),
            ({"host": "dify", "port": 8443}, "https://dify:8443/v1"),
            ({"host": "dify:8443", "port": 8443}, "https://dify:8443/v1"),
            # schema: http and https as Airflow's own HTTP type has it ...
            ({"host": "dify", "schema": "http"}, "http://dify/v1"),
            ({"host": "dify", "schema": "HTTP", "port": 5001}, "http://dify:5001/v1"),
            ({"host": "dify/ai", "schema": "https"}, "https://dify/ai/v1"),
            ({"host": "http://dify", "schema": "https"}, "http://dify/v1"),
            # ... or a path
            ({"host": "dify", "schema": "v1"}, "https://dify/v1"),
            ({"host": "dify", "schema": "ai"}, "https://dify/ai/v1"),
            ({"host": "http://dify", "port": 5001, "schema": "/ai/v1/"}, "http://dify:5001/ai/v1"),
            # IPv6
            ({"host": "http://[::1]:5001/v1"}, "http://[::1]:5001/v1"),
            ({"host": "http://[fd00::7]", "port": 5001}, "http://[fd00::7]:5001/v1"),
            ({"host": "[::1]:5001"}, "https://[::1]:5001/v1"),
            ({"host": "[::1]"}, "https://[::1]/v1"),
            ({"host": "::1", "port": 5001, "schema": "http"}, "http://[::1]:5001/v1"),
            ({"host": "fd00::7"}, "https://[fd00::7]/v1"),
        ],
        ids=str,
    )
    def test_from_the_json_form(self, connect: Connect, fields: dict[str, Any], base_url: str) -> None:
        assert connect(**fields).settings.base_url == base_url

    @pytest.mark.parametrize(
        ("rest", "base_url"),
        [
            ("dify://:{key}@https%3A%2F%2Fh%2Fv1", "https://h/v1"),
            ("dify://:{key}@http%3A%2F%2Fh%3A5001%2Fai%2Fv1", "http://h:5001/ai/v1"),
            ("dify://:{key}@h", "https://h/v1"),
            ("dify://:{key}@h:8443", "https://h:8443/v1"),
            ("dify://:{key}@h:8443/v1", "https://h:8443/v1"),
            ("dify://:{key}@h/v1", "https://h/v1"),
            ("dify://:{key}@h/ai/v1", "https://h/ai/v1"),
            ("dify://:{key}@h/ai%2Fv1", "https://h/ai/v1"),
            ("dify://:{key}@h:5001/http", "http://h:5001/v1"),
            ("dify://http://:{key}@h", "http://h/v1"),
            ("dify://http://:{key}@h:5001/v1", "http://h:5001/v1"),
            ("dify://https://:{key}@h:8443/v1", "https://h:8443/v1"),
            ("dify://:{key}@[::1]:5001/v1", "https://[::1]:5001/v1"),
            ("dify://http://:{key}@[::1]:5001/v1", "http://[::1]:5001/v1"),
            ("dify://:{key}@http%3A%2F%2F%5B%3A%3A1%5D%3A5001%2Fv1", "http://[::1]:5001/v1"),
            ("dify://:{key}@", CLOUD),
            ("dify://:{key}@/?timeout=5", CLOUD),
        ],
    )
    def test_from_the_uri_form(self, connect: Connect, rest: str, base_url: str) -> None:
        settings = connect(rest.format(key=KEY)).settings
        assert settings.base_url == base_url
        assert settings.api_key == KEY

    @pytest.mark.parametrize(
        ("fields", "phrase"),
        [
            ({"host": "ftp://dify"}, "its scheme is 'ftp', not http or https"),
            ({"host": "file:///etc/passwd"}, "its scheme is 'file'"),
            ({"host": "https://me:secret@dify"}, "holds a user or a password"),
            ({"host": "https://me@dify"}, "holds a user or a password"),
            ({"host": f"{KEY}@dify"}, "holds a user or a password"),
            ({"host": "https://dify/v1?page=1"}, "It looks like https://dify.example.com/v1"),
            ({"host": f"https://dify/v1?key={KEY}"}, "It looks like"),
            ({"host": "https://dify/v1#top"}, "It looks like"),
            ({"host": "https://dify example.com"}, "It looks like"),
            ({"host": "https:\\\\dify"}, "It looks like"),
            ({"host": "https://"}, "It looks like"),
            ({"host": "//dify/v1"}, "It looks like"),
            ({"host": "http:/dify/v1"}, "It looks like"),
            ({"host": "https://https://dify/v1"}, "It looks like"),
            ({"host": "dify", "schema": "v1?page=1"}, "It looks like"),
            ({"host": "dify", "schema": "https://"}, "It looks like"),
            ({"host": "https://[::1/v1"}, "IPv6"),
            ({"host": "https://dify:port"}, "'port'"),
            ({"host": f"https://dify:{KEY}"}, "***"),
            ({"host": "https://dify:123456"}, "out of range"),
            ({"host": "https://dify:8443", "port": 443}, "two ports: 8443 in the host and 443 as port"),
        ],
        ids=str,
    )
    def test_what_is_no_base_url_names_the_host(self, connect: Connect, fields: dict[str, Any], phrase: str) -> None:
        with pytest.raises(DifyInputError) as raised:
            _ = connect(**fields).settings
        text = str(raised.value)
        assert phrase in text
        assert "host" in text
        assert f"'{CONN_ID}'" in text
        assert KEY not in text
        assert "secret" not in text


class TestKey:
    """The password."""

    @pytest.mark.parametrize("password", [KEY, f"  {KEY}\n", f"\t{KEY}\r\n"])
    def test_blanks_around_it_are_from_copying(self, connect: Connect, password: str) -> None:
        assert connect(password=password).settings.api_key == KEY

    @pytest.mark.parametrize(
        ("password", "phrase"),
        [
            (None, "is empty: put the Knowledge API key of Dify there"),
            ("", "is empty"),
            ("  \n", "is empty"),
            (f"{KEY[:20]}\n{KEY[20:]}", "has characters that no API key has"),
            (f"Bearer {KEY}", "has characters that no API key has"),
            ("dataset-••••••••••••", "has characters that no API key has, such as blanks or bullets"),
            ("dataset-кириллица", "has characters that no API key has"),
        ],
        ids=["none", "empty", "blank", "newline", "bearer", "bullets", "letters"],
    )
    def test_what_cannot_be_one_is_refused(self, connect: Connect, password: str | None, phrase: str) -> None:
        with pytest.raises(DifyInputError) as raised:
            _ = connect(password=password).settings
        assert f"The password of connection '{CONN_ID}' {phrase}" in str(raised.value)
        assert KEY[8:20] not in str(raised.value)

    def test_is_in_no_repr(self, connect: Connect) -> None:
        settings = connect(extra={"headers": {"X-Team": "team-secret"}, "proxies": {"http": "http://u:pw1@p"}}).settings
        assert KEY not in f"{settings!r} {settings}"
        assert "team-secret" not in repr(settings)
        assert "pw1" not in repr(settings)


class TestExtras:
    """What the extras become, in every way in which Airflow can store them."""

    def test_none_at_all(self, connect: Connect) -> None:
        assert connect().settings == Settings(CLOUD, KEY, console_url="https://cloud.dify.ai")

    @pytest.mark.parametrize(
        "extra",
        [
            *(None, "", "{}", {}, {"timeout": None, "verify": "", "headers": ""}),
            pytest.param("null", marks=pytest.mark.skipif(not READS_ODD_EXTRAS, reason="Airflow does not read it")),
        ],
    )
    def test_empty_ones_are_the_defaults(self, connect: Connect, extra: object) -> None:
        assert connect(extra=extra).settings == connect().settings

    @pytest.mark.parametrize(
        ("extra", "field", "value"),
        [
            ({"verify": False}, "verify", False),
            ({"verify": "false"}, "verify", False),
            ({"verify": "False"}, "verify", False),
            ({"verify": "no"}, "verify", False),
            ({"verify": "0"}, "verify", False),
            ({"verify": 0}, "verify", False),
            ({"verify": True}, "verify", True),
            ({"verify": " TRUE "}, "verify", True),
            ({"verify": "on"}, "verify", True),
            ({"verify": 1}, "verify", True),
            ({"verify": __file__}, "verify", __file__),
            ({"verify": str(Path(__file__).parent)}, "verify", str(Path(__file__).parent)),
            ({"timeout": 5}, "timeout", 5.0),
            ({"timeout": 0.5}, "timeout", 0.5),
            ({"timeout": " 7.5 "}, "timeout", 7.5),
            ({"max_retries": 0}, "max_retries", 0),
            ({"max_retries": "7"}, "max_retries", 7),
            ({"proxies": {"https": "http://proxy:3128"}}, "proxies", {"https": "http://proxy:3128"}),
            ({"proxies": '{"https": "http://proxy:3128"}'}, "proxies", {"https": "http://proxy:3128"}),
            ({"headers": {"X-Team": "search"}}, "headers", {"X-Team": "search"}),
            ({"headers": '{"X-Team": "search"}'}, "headers", {"X-Team": "search"}),
            ({"console_url": "https://dify.example.com/"}, "console_url", "https://dify.example.com"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("stored", ["object", "text"])
    def test_right_values(
        self, connect: Connect, extra: dict[str, Any], field: str, value: object, stored: str
    ) -> None:
        got = getattr(connect(extra=extra if stored == "object" else json.dumps(extra)).settings, field)
        assert got == value
        assert type(got) is type(value)

    def test_the_uri_form_has_texts_only(self, connect: Connect) -> None:
        query = "verify=false&timeout=5&max_retries=1&headers=%7B%22X-Team%22%3A+%22search%22%7D"
        settings = connect(f"dify://:{KEY}@h?{query}").settings
        assert (settings.verify, settings.timeout, settings.max_retries) == (False, 5.0, 1)
        assert settings.headers == {"X-Team": "search"}

    def test_going_through_the_uri_form_and_back_changes_nothing(self, connect: Connect) -> None:
        extra = {"verify": False, "timeout": 2.5, "max_retries": 2, "headers": {"X-Team": "search & find"}}
        first = connect(host="http://[::1]/ai", port=5001, extra=extra).settings
        uri = BaseHook.get_connection(CONN_ID).get_uri()
        assert uri.startswith("dify://")
        assert connect(uri).settings == first

    @pytest.mark.parametrize(
        ("extra", "phrase"),
        [
            ({"verify": "maybe"}, "must be true, false, or the path of a CA bundle that is on this machine"),
            ({"verify": "/no/such/bundle.pem"}, "not '/no/such/bundle.pem'"),
            ({"verify": "-----BEGIN CERTIFICATE-----\n" + "MIIC" * 500}, "must be true, false, or the path"),
            ({"verify": 2}, "not 2"),
            ({"verify": ["false"]}, "not ['false']"),
            ({"timeout": 0}, "must be a number above 0, not 0"),
            ({"timeout": -1}, "must be a number above 0, not -1"),
            ({"timeout": "soon"}, "must be a number above 0, not 'soon'"),
            ({"timeout": "nan"}, "must be a number above 0, not 'nan'"),
            ({"timeout": "inf"}, "must be a number above 0, not 'inf'"),
            ({"timeout": True}, "must be a number above 0, not True"),
            ({"timeout": [5]}, "must be a number above 0, not [5]"),
            ({"timeout": KEY}, "must be a number above 0, not 'dataset-***'"),
            ({"max_retries": -1}, "must be a whole number of at least 0, not -1"),
            ({"max_retries": 1.5}, "must be a whole number of at least 0, not 1.5"),
            ({"max_retries": "many"}, "must be a whole number of at least 0, not 'many'"),
            ({"max_retries": True}, "must be a whole number of at least 0, not True"),
            ({"proxies": "http://proxy:3128"}, "must be a JSON object of texts"),
            ({"proxies": ["http://proxy:3128"]}, "must be a JSON object of texts"),
            ({"proxies": {"http": 3128}}, "must be a JSON object of texts"),
            ({"proxies": {"http": "http://user:team-secret@[::1"}}, "the proxy for 'http' is no URL"),
            ({"proxies": {"all": "[::1"}}, "the proxy for 'all' is no URL"),
            ({"proxies": {"http": "http://user:team-secret@"}}, "the proxy for 'http' is no URL"),
            ({"proxies": {"http": "http://user:team-secret@pro xy"}}, "the proxy for 'http' is no URL"),
            ({"proxies": {"http": ""}}, "the proxy for 'http' is no URL"),
            ({"proxies": {"https": "proxy:port"}}, "the proxy for 'https' is no URL"),
            ({"headers": "X-Team: search"}, "must be a JSON object of texts"),
            ({"headers": {"X-Team": 1}}, "must be a JSON object of texts"),
            ({"headers": {"authorization": f"Bearer {KEY}"}}, "sets Authorization: the key goes into the password"),
            ({"headers": {"X-Team": "a\r\nX-Evil: team-secret"}}, "characters that a header cannot have"),
            ({"headers": {"X-Team": "\u2013 team-secret"}}, "characters that a header cannot have"),
            ({"headers": {"X Team": "team-secret"}}, "'X Team' is no name of a header"),
            ({"console_url": "dify.example.com"}, "must be an URL such as https://dify.example.com, not 'dify.ex"),
            ({"console_url": 1}, "must be an URL such as https://dify.example.com, not 1"),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_a_wrong_value_names_the_key(self, connect: Connect, extra: dict[str, Any], phrase: str) -> None:
        with pytest.raises(DifyInputError) as raised:
            _ = connect(extra=extra).settings
        text = str(raised.value)
        assert f"Extra '{next(iter(extra))}' of connection '{CONN_ID}'" in text
        assert phrase in text
        assert KEY not in text
        assert "team-secret" not in text
        assert len(text) < 400

    @pytest.mark.skipif(not READS_ODD_EXTRAS, reason="Airflow does not read them")
    @pytest.mark.parametrize("extra", ["[1]", '"text"', "5"])
    def test_extras_that_are_no_object(self, connect: Connect, extra: str) -> None:
        with pytest.raises(DifyInputError, match=f"The extras of connection '{CONN_ID}' must be a JSON object"):
            _ = connect(extra=extra).settings

    def test_an_unknown_one_is_a_warning_and_is_not_sent(
        self, dify: FakeDify, reach: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        hook = reach(extra={"X-Unknown": "never-sent", "retries": 3, "timeout": 5})
        list(hook.list_datasets())
        (record,) = (one for one in caplog.records if one.name.startswith("airflow_provider_dify"))
        text = record.getMessage()
        assert "X-Unknown, retries" in text
        assert CONN_ID in text
        assert "timeout" not in text
        assert "never-sent" not in text
        (request,) = dify.requests
        assert "x-unknown" not in request.headers
        assert "never-sent" not in str(request)

    @pytest.mark.parametrize(
        ("fields", "console_url"),
        [
            ({}, "https://cloud.dify.ai"),
            ({"host": "https://api.dify.ai/v1"}, "https://cloud.dify.ai"),
            ({"host": "https://dify.example.com/v1"}, "https://dify.example.com"),
            ({"host": "http://dify", "port": 8080}, "http://dify:8080"),
            ({"host": "https://example.com/ai/v1"}, "https://example.com/ai"),
            (
                {"host": "https://a.example.com", "extra": {"console_url": "http://b.example.com/"}},
                "http://b.example.com",
            ),
        ],
        ids=str,
    )
    def test_console_url_is_worked_out(self, connect: Connect, fields: dict[str, Any], console_url: str) -> None:
        assert connect(**fields).settings.console_url == console_url


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody signed, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dify")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "dify.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class _EmptyDify(http.server.BaseHTTPRequestHandler):
    """A Dify without knowledge bases."""

    def do_GET(self) -> None:
        body = b'{"data": [], "total": 0, "has_more": false}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def secure(certificate: Path) -> Iterator[str]:
    """Base URL of a server that speaks TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.HTTPServer(("127.0.0.1", 0), _EmptyDify) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


class TestTls:
    """Certificates are checked unless somebody says otherwise, and what is said holds."""

    def read(self, connect: Connect, host: str, **extra: object) -> int:
        with connect(host=host, extra={"max_retries": 0, **extra}) as hook:
            return len(list(hook.list_datasets()))

    def test_is_checked(self, connect: Connect, secure: str) -> None:
        with pytest.raises(DifyTransportError, match=r"(?s)SSLError.*TLS \('verify'\)") as raised:
            self.read(connect, secure)
        assert not raised.value.reached

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    @pytest.mark.parametrize("verify", [False, "false"])
    def test_can_be_switched_off(
        self, connect: Connect, secure: str, monkeypatch: pytest.MonkeyPatch, verify: object
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        assert self.read(connect, secure, verify=verify) == 0

    def test_a_bundle_of_the_extras_goes_before_that_of_the_environment(
        self, connect: Connect, secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        assert self.read(connect, secure, verify=str(certificate)) == 0

    def test_the_environment_may_bring_a_bundle(
        self, connect: Connect, secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert self.read(connect, secure) == 0

    def test_a_bundle_of_the_environment_that_is_not_there_is_an_error_of_ours(
        self, connect: Connect, secure: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        with pytest.raises(DifyInputError, match=r"/no/such/bundle\.pem"):
            self.read(connect, secure)
        worked, text = connect(host=secure).test_connection()
        assert not worked
        assert "/no/such/bundle.pem" in text

    def test_a_file_that_is_no_bundle(self, connect: Connect, secure: str) -> None:
        with pytest.raises(DifyTransportError, match="verify"):
            self.read(connect, secure, verify=__file__)

    def test_http_where_tls_is_spoken(self, dify: FakeDify, connect: Connect) -> None:
        with pytest.raises(DifyTransportError, match="TLS") as raised:
            self.read(connect, dify.base_url.replace("http://", "https://"))
        assert not raised.value.reached


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
        assert reach().test_connection() == (True, "Dify 1.14.1 answered: the key opens 2 knowledge bases.")
        (request,) = dify.requests
        assert (request.method, request.path, request.query["limit"]) == ("GET", "/v1/datasets", "1")

    def test_key_bound_to_one_knowledge_base(self, dify: FakeDify, reach: Connect) -> None:
        worked, text = reach(password=dify.add_key(dataset=dify.add_dataset("one"))).test_connection()
        assert worked
        assert text == "Dify 1.14.1 answered: the key is accepted; it may not list all knowledge bases."

    def test_says_the_version(self, monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
        with FakeDify(version="1.12.1") as old:
            assert "Dify 1.12.1 answered" in connect(host=old.base_url, password=old.api_key).test_connection()[1]
            worked, text = connect(host=old.base_url).test_connection()
            assert not worked
            assert "(Dify 1.12.1)" in text

    @pytest.mark.parametrize(
        ("fields", "phrases"),
        [
            ({"password": "dataset-0123456789abcdef"}, ["401", "Access token is invalid", "Put a Knowledge API key"]),
            ({"password": "app-0123456789abcdef"}, ["401", "is an app key ('app-'): it opens an app"]),
            ({"password": "dataset-***cdef"}, ["401", "is a masked key ('***')", "create a new key"]),
            ({"password": "0123456789abcdef"}, ["401", "begin with 'dataset-'; the password of the connection does"]),
            ({"password": ""}, [f"The password of connection '{CONN_ID}' is empty"]),
            ({"schema": "elsewhere"}, ["404", "Check the host of the connection", "/v1", "Dify 1.5.0"]),
            ({"host": "ftp://dify"}, ["its scheme is 'ftp'"]),
            ({"extra": {"timeout": "soon"}}, ["Extra 'timeout'"]),
        ],
        ids=["wrong", "app", "masked", "no prefix", "empty", "wrong path", "scheme", "extra"],
    )
    def test_what_is_wrong(self, dify: FakeDify, reach: Connect, fields: dict[str, Any], phrases: list[str]) -> None:
        worked, text = reach(**fields).test_connection()
        assert not worked
        assert [phrase for phrase in phrases if phrase not in text] == []
        assert fields.get("password") or dify.api_key not in text

    def test_the_app_key_of_that_dify(self, dify: FakeDify, reach: Connect) -> None:
        worked, text = reach(password=dify.app_key).test_connection()
        assert not worked
        assert "is an app key" in text
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
        for _ in range(100):
            if not dify.open_connections:
                return
            threading.Event().wait(0.01)
        pytest.fail("A connection is still open.")


class TestServerVersion:
    """``X-Version`` of the answers."""

    def test_is_asked_for_once(self, dify: FakeDify, reach: Connect) -> None:
        hook = reach()
        assert [hook.server_version, hook.server_version] == ["1.14.1", "1.14.1"]
        assert len(dify.requests) == 1

    def test_comes_with_any_answer(self, dify: FakeDify, kb: Dataset, reach: Connect) -> None:
        hook = reach()
        hook.get_dataset(kb.id)
        assert hook.server_version == "1.14.1"
        assert len(dify.requests) == 1

    def test_also_with_a_refusal(self, dify: FakeDify, kb: Dataset, reach: Connect) -> None:
        hook = reach(password=dify.add_key(dataset=kb))
        assert hook.server_version == "1.14.1"
        with pytest.raises(DifyAccessError):
            list(hook.list_datasets())

    def test_not_with_a_wrong_key(self, reach: Connect) -> None:
        with pytest.raises(DifyAuthenticationError):
            _ = reach(password=KEY).server_version

    def test_may_be_unknown(self, connect: Connect, secure: str, certificate: Path) -> None:
        assert connect(host=secure, extra={"verify": str(certificate)}).server_version is None
        text = connect(host=secure, extra={"verify": str(certificate)}).test_connection()[1]
        assert text == "Dify of unknown version answered: the key opens 0 knowledge bases."


def test_one_connection_serves_many_requests_until_closed(dify: FakeDify, kb: Dataset, reach: Connect) -> None:
    with reach() as hook:
        for _ in range(3):
            hook.get_dataset(kb.id)
        assert dify.connections == 1
    hook.get_dataset(kb.id)
    assert dify.connections == 2
    hook.close()
    hook.close()


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
