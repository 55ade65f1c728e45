"""TLS as in a connection, and the version of a server, which this one does not send."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAuthenticationError,
    DifyInputError,
    DifyTransportError,
)
from airflow_provider_dify.knowledge.flow import Request
from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.transport.common import not_answered
from airflow_provider_dify.transport.settings import Settings
from tests.unit.conftest import KEY, Connect


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unsigned certificate for 127.0.0.1 and its key, in one file."""
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
    """Certificates are checked unless the connection says otherwise."""

    def read(self, connect: Connect, host: str, **extra: object) -> int:
        with connect(host=host, extra={"max_retries": 0, **extra}) as hook:
            return len(list(hook.list_datasets()))

    def test_is_checked(self, connect: Connect, secure: str) -> None:
        with pytest.raises(DifyTransportError, match=r"(?s)TLS \('verify'\).*SSLError") as raised:
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


class TestAdvice:
    """What to do if Dify is not even reached."""

    @staticmethod
    def tried(connect: Connect, host: str) -> str:
        worked, text = connect(host=host).test_connection()
        assert not worked
        return text

    def test_a_certificate_that_nobody_trusts(self, connect: Connect, secure: str) -> None:
        assert "its certificate is not trusted here. Set the extra 'verify'" in self.tried(connect, secure)

    def test_a_certificate_for_another_name(
        self, connect: Connect, secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        text = self.tried(connect, secure.replace("127.0.0.1", "localhost"))
        assert "its certificate is for another name" in text

    def test_no_tls(self, dify: FakeDify, connect: Connect) -> None:
        assert "Start the host of the connection with http://" in self.tried(
            connect, dify.base_url.replace("http://", "https://")
        )

    def test_nobody_there(self, connect: Connect) -> None:
        assert "Nothing listens there" in self.tried(connect, "http://127.0.0.1:9")

    def test_no_such_host(self, connect: Connect) -> None:
        assert "cannot resolve the host" in self.tried(connect, "https://dify.invalid")

    def test_a_proxy_that_is_not_there(self, connect: Connect) -> None:
        worked, text = connect(
            host="https://dify.example.com", extra={"proxies": {"https": "http://127.0.0.1:9"}}
        ).test_connection()
        assert not worked
        assert "Nothing listens there, neither Dify nor a proxy" in text

    def test_a_wrong_path_is_shown_with_what_was_made_of_it(self, dify: FakeDify, connect: Connect) -> None:
        text = self.tried(connect, dify.base_url.replace("/v1", "/apps"))
        assert text.endswith(f"The base URL is {dify.base_url.replace('/v1', '/apps/v1')}.")

    @pytest.mark.parametrize(
        ("said", "advice"),
        [
            ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "not trusted here"),
            ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "renew"),
            (
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate",
                "other name",
            ),
            ("[SSL: RECORD_LAYER_FAILURE] record layer failure", "does not speak TLS"),
            ("All connection attempts failed", "Nothing listens"),
            ("[Errno -2] Name or service not known", "cannot resolve the host"),
            ("407 Proxy Authentication Required", "the user and password of the proxy"),
            ("something else", "Check the host of the connection, TLS ('verify') and proxies"),
        ],
    )
    def test_what_httpx_says_is_understood_too(self, said: str, advice: str) -> None:
        settings = Settings("https://dify.example.com/v1", KEY)
        error = not_answered(settings, Request("GET", "/datasets"), OSError(said), reached=False)
        assert advice in str(error)


class TestServerVersion:
    """``X-Version`` of the answers."""

    def test_is_asked_for_once(self, dify: FakeDify, reach: Connect) -> None:
        hook = reach()
        assert [hook.server_version, hook.server_version] == ["1.16.0", "1.16.0"]
        assert len(dify.requests) == 1

    def test_comes_with_any_answer(self, dify: FakeDify, kb: Dataset, reach: Connect) -> None:
        hook = reach()
        hook.get_dataset(kb.id)
        assert hook.server_version == "1.16.0"
        assert len(dify.requests) == 1

    def test_also_with_a_refusal(self, dify: FakeDify, kb: Dataset, reach: Connect) -> None:
        hook = reach(password=dify.add_key(dataset=kb))
        assert hook.server_version == "1.16.0"
        with pytest.raises(DifyAccessError):
            list(hook.list_datasets())

    def test_not_with_a_wrong_key(self, reach: Connect) -> None:
        with pytest.raises(DifyAuthenticationError):
            _ = reach(password=KEY).server_version

    def test_may_be_unknown(self, connect: Connect, secure: str, certificate: Path) -> None:
        assert connect(host=secure, extra={"verify": str(certificate)}).server_version is None
        text = connect(host=secure, extra={"verify": str(certificate)}).test_connection()[1]
        assert text == "Dify of unknown version answered: the key can access 0 knowledge bases."
