"""What the fields of a connection mean, and the errors about wrong ones."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_dify.exceptions import (
    DifyInputError,
)
from airflow_provider_dify.testing import FakeDify
from airflow_provider_dify.transport.settings import Settings
from tests.unit.conftest import CLOUD, CONN_ID, KEY, READS_ODD_EXTRAS, Connect

#: Headers that say how a request is sent.
OURS = ("Content-Type", "content-length", "HOST", "Transfer-Encoding", "Accept-Encoding", "Expect", "Connection")


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
            ({"host": "https://api.dify.ai/v1", "port": 443}, CLOUD),
            ({"host": "api.dify.ai:443"}, CLOUD),
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
            # the usual port is none
            ({"host": "http://dify", "port": 80}, "http://dify/v1"),
            ({"host": "https://[::1]:443/ai"}, "https://[::1]/ai/v1"),
            ({"host": "http://dify:443"}, "http://dify:443/v1"),
            ({"host": "dify:80"}, "https://dify:80/v1"),
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
            ({"host": "https://me:secret@dify"}, "contains a user or a password"),
            ({"host": "https://me@dify"}, "contains a user or a password"),
            ({"host": f"{KEY}@dify"}, "contains a user or a password"),
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
            ({"host": f"https://dify/{KEY}"}, "contains an API key"),
            ({"host": f"https://dify/{KEY}/v1", "password": "another"}, "contains an API key"),
            ({"host": "dify", "schema": KEY, "password": "another"}, "contains an API key"),
            ({"host": "https://dify:8443", "port": 443}, "two ports: 8443 in the host and 443 in the port"),
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
            (None, "is empty. Put Dify's Knowledge API key there"),
            ("", "is empty"),
            ("  \n", "is empty"),
            (f"{KEY[:20]}\n{KEY[20:]}", "has characters that no API key has"),
            (f"Bearer {KEY}", "starts with 'Bearer '. Put only the key there"),
            ("dataset-••••••••••••", "has characters that no API key has, such as spaces or bullets"),
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
            ({"console_url": " HTTPS://dify.example.com/\n"}, "console_url", "HTTPS://dify.example.com"),
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
            ({"verify": "maybe"}, "must be true, false, or the path of a CA bundle on this machine"),
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
            ({"proxies": "http://proxy:3128"}, "must be a JSON object with text values"),
            ({"proxies": ["http://proxy:3128"]}, "must be a JSON object with text values"),
            ({"proxies": {"http": 3128}}, "must be a JSON object with text values"),
            ({"proxies": {"http": "http://user:team-secret@[::1"}}, "the proxy for 'http' is not a URL"),
            ({"proxies": {"all": "[::1"}}, "the proxy for 'all' is not a URL"),
            ({"proxies": {"http": "http://user:team-secret@"}}, "the proxy for 'http' is not a URL"),
            ({"proxies": {"http": "http://user:team-secret@pro xy"}}, "the proxy for 'http' is not a URL"),
            ({"proxies": {"http": ""}}, "the proxy for 'http' is not a URL"),
            ({"proxies": {"https": "proxy:port"}}, "the proxy for 'https' is not a URL"),
            ({"headers": "X-Team: search"}, "must be a JSON object with text values"),
            ({"headers": {"X-Team": 1}}, "must be a JSON object with text values"),
            ({"headers": {"authorization": f"Bearer {KEY}"}}, "sets Authorization. Put the key into the password"),
            *(({"headers": {name: "team-secret"}}, f"sets {name}, which would break requests") for name in OURS),
            ({"headers": {"X-Team": "a\r\nX-Evil: team-secret"}}, "characters that a header cannot have"),
            ({"headers": {"X-Team": "\u2013 team-secret"}}, "characters that a header cannot have"),
            ({"headers": {"X Team": "team-secret"}}, "'X Team' is not a valid header name"),
            ({"console_url": "dify.example.com"}, "must be a URL such as https://dify.example.com, not 'dify.ex"),
            (
                {"console_url": "https://dify.example.com/ x"},
                "must be a URL such as https://dify.example.com, not 'https://d",
            ),
            *(
                ({"console_url": f"https://{rest}"}, "must be a URL without a user, a password, or a query")
                for rest in ("me:team-secret@dify", "dify?token=team-secret", "dify/#team-secret")
            ),
            ({"console_url": 1}, "must be a URL such as https://dify.example.com, not 1"),
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
            ({"host": "https://api.dify.ai/v1", "port": 443}, "https://cloud.dify.ai"),
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
