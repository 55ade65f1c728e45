"""TLS and proxies: the same rules in an event loop as in a worker."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import ipaddress
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyInputError,
    DifyTransportError,
)
from airflow_provider_dify.testing import FakeDify
from airflow_provider_dify.transport.settings import Settings
from tests.unit.transport.ways import (
    each_way,
    empty_list,
    run_async,
    settings_of,
)


class Answer(http.server.BaseHTTPRequestHandler):
    """An empty list for every request, also as a proxy; a tunnel is refused."""

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
    """A self-signed certificate for 127.0.0.1 with its key."""
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
@pytest.mark.parametrize("where", ["extra", "environment"])
def test_a_proxy_that_cannot_be_resolved(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch, way: Callable[..., Any], where: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128" if where == "environment" else "")
    proxies = {"http": "http://me:p4ssword@proxy.invalid:3128"} if where == "extra" else {}
    with pytest.raises(DifyTransportError) as caught:
        way(settings_of(dify, proxies=proxies), empty_list())
    assert "This machine cannot resolve the proxy. Check the extra 'proxies'" in str(caught.value)
    assert "cannot resolve the host" not in str(caught.value)
    assert "p4ssword" not in str(caught.value)
    assert caught.value.reached is False


@each_way
def test_the_url_is_told_once(way: Callable[..., Any]) -> None:
    with pytest.raises(DifyTransportError) as caught:
        way(Settings("http://127.0.0.1:9/v1", "dataset-0123456789"), empty_list())
    text = str(caught.value)
    assert text.count("/v1") == 1
    assert "Max retries" not in text
    assert "Nothing listens there" in text
    assert len(text) < 300


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
