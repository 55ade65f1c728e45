"""A client certificate for gateways that require one (mTLS), in a worker and in an event loop."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError, DifyTransportError
from airflow_provider_dify.transport.settings import Certificate
from tests.unit.conftest import KEY, Connect
from tests.unit.transport import certificates
from tests.unit.transport.test_async_tls import serve
from tests.unit.transport.ways import each_way, empty_list

PASSWORD = "certificate-password-7d1e"
Way = Callable[..., Any]
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mtls")


@pytest.fixture(scope="module")
def server(folder: Path) -> Pair:
    return certificates.make(folder, "server")


@pytest.fixture(scope="module")
def client(folder: Path) -> Pair:
    return certificates.make(folder, "client")


@pytest.fixture(scope="module")
def locked(folder: Path) -> Pair:
    """One whose key has a password."""
    return certificates.make(folder, "locked", PASSWORD)


@pytest.fixture(scope="module")
def gateway(server: Pair, client: Pair, locked: Pair) -> Iterator[str]:
    """A server that lets two clients in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    context.verify_mode = ssl.CERT_REQUIRED
    for trusted in (client, locked):
        context.load_verify_locations(trusted[0])
    with serve(context) as (url, _):
        yield f"{url}/v1"


def in_one_file(pair: Pair) -> str:
    path = pair[0].with_suffix(".both")
    path.write_bytes(b"".join(one.read_bytes() for one in pair))
    return str(path)


FORMS: dict[str, Callable[[Pair, Pair], object]] = {
    "a path": lambda client, _: in_one_file(client),
    "a list": lambda client, _: [str(client[0]), str(client[1])],
    "a list with a password": lambda _, locked: [*map(str, locked), PASSWORD],
    "an object": lambda client, _: {"cert": str(client[0]), "key": str(client[1])},
    "an object with a password": lambda _, locked: {"cert": in_one_file(locked), "password": PASSWORD},
    "an object as a text": lambda client, _: f'{{"cert": "{client[0]}", "key": "{client[1]}"}}',
}


@each_way
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_lets_in(
    connect: Connect, gateway: str, server: Pair, client: Pair, locked: Pair, way: Way, form: Callable[..., object]
) -> None:
    hook = connect(host=gateway, extra={"cert": form(client, locked), "verify": str(server[0])})
    assert way(hook.settings, empty_list()).total == 0


@each_way
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_also_if_nobody_checks_the_server(connect: Connect, gateway: str, client: Pair, way: Way) -> None:
    hook = connect(host=gateway, extra={"cert": in_one_file(client), "verify": False})
    assert way(hook.settings, empty_list()).total == 0


@each_way
def test_without_one_nobody_gets_in(connect: Connect, gateway: str, server: Pair, way: Way) -> None:
    with pytest.raises(DifyTransportError):
        way(connect(host=gateway, extra={"verify": str(server[0])}).settings, empty_list())


@each_way
def test_connections_are_not_shared_with_somebody_else(
    connect: Connect, gateway: str, server: Pair, client: Pair, way: Way
) -> None:
    known = connect(host=gateway, extra={"cert": in_one_file(client), "verify": str(server[0])}).settings
    stranger = connect(host=gateway, extra={"verify": str(server[0])}).settings
    for _ in range(2):
        assert way(known, empty_list()).total == 0
        with pytest.raises(DifyTransportError):
            way(stranger, empty_list())


@each_way
@pytest.mark.parametrize("password", ["wrong-password-51ac", None], ids=["wrong", "none"])
def test_a_key_that_cannot_be_opened(
    connect: Connect, gateway: str, locked: Pair, way: Way, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a password, OpenSSL would ask for it in the terminal of the worker, and wait."""
    caplog.set_level(logging.DEBUG)
    hook = connect(host=gateway, extra={"cert": [*map(str, locked), password], "max_retries": 0})
    with pytest.raises(DifyInputError, match=r"client certificate of the extra 'cert', .*locked\.pem") as caught:
        way(hook.settings, empty_list())
    worked, text = hook.test_connection()
    assert not worked
    assert "extra 'cert'" in text
    for said in (str(caught.value), text, caplog.text):
        assert "wrong-password" not in said


@each_way
def test_a_file_that_holds_none(connect: Connect, gateway: str, way: Way) -> None:
    with pytest.raises(DifyInputError, match="extra 'cert'"):
        way(connect(host=gateway, extra={"cert": __file__}).settings, empty_list())


@pytest.mark.parametrize(
    "cert",
    [
        "/no/such/file.pem",
        str(Path(__file__).parent),
        5,
        True,
        [],
        [__file__, "/no/such.key"],
        [__file__, __file__, PASSWORD, PASSWORD],
        {"cert": __file__, "passphrase": PASSWORD},
        {"key": __file__, "password": PASSWORD},
        {"cert": {"password": PASSWORD}},
        {"cert": __file__, "password": [PASSWORD]},
        '{"cert": ' + PASSWORD,
        "-----BEGIN CERTIFICATE-----\n" + "MIIC" * 2000 + PASSWORD,
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_none_is_said_without_showing_it(connect: Connect, cert: object) -> None:
    with pytest.raises(DifyInputError, match=r"[eE]xtra 'cert'") as caught:
        _ = connect(extra={"cert": cert}).settings
    assert PASSWORD not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_password_is_in_no_repr(connect: Connect, locked: Pair) -> None:
    settings = connect(extra={"cert": [*map(str, locked), PASSWORD]}).settings
    assert settings.cert == Certificate(str(locked[0]), str(locked[1]), PASSWORD)
    assert PASSWORD not in f"{settings!r} {settings.cert!r}"
    assert settings.masked(f"{PASSWORD} {KEY}") == "*** ***"
