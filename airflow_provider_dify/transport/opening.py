"""Creates the transport of httpx or httpx2 for one Dify, with the same rules for TLS and proxies as requests.

httpx's own rules for the environment differ: other variables for the CA bundle, and no networks in NO_PROXY. A task
must not reach another Dify, or none, when it moves from the worker to the triggerer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.transport import common, metrics
from airflow_provider_dify.transport.settings import Certificate, Settings

if TYPE_CHECKING:
    import ssl

    import httpx

#: Connections to one Dify from one process. Dify's API process serves 10 in total.
MOST_CONNECTIONS = 4


@cache
def library() -> Any:
    """Return the HTTP library that Airflow brings: httpx2 since 3.4, httpx before. They differ in nothing used here."""
    names = ("httpx2", "httpx") if _airflow_uses_httpx2() else ("httpx", "httpx2")
    try:
        return import_module(names[0])
    except ImportError:
        return import_module(names[1])


def _airflow_uses_httpx2() -> bool:
    with suppress(PackageNotFoundError):  # Airflow 2 has no SDK
        return any(re.match(r"httpx2\b", one) for one in requires("apache-airflow-task-sdk") or ())
    return False


def open_transport(settings: Settings) -> httpx.AsyncBaseTransport:
    """Return a transport for a Dify; no connection is opened yet.

    This blocks for 20 ms, and for half a second the first time (imports and trusted certificates), so do not call it in
    the thread of an event loop.

    :raises OSError: A CA bundle or the client certificate is missing or invalid.
    :raises ValueError: A proxy is not a URL, or its kind is unknown.
    :raises ImportError: A package for this kind of proxy is missing.
    """
    http = library()
    _load_backend()
    verify, proxy = _with_environment(settings)
    transport: httpx.AsyncBaseTransport = http.AsyncHTTPTransport(
        verify=_tls(verify if settings.base_url.startswith("https") else False, settings.cert),
        trust_env=False,
        proxy=_proxy(proxy, verify) if proxy else None,
        limits=http.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=common.KEEP_ALIVE),
    )
    return transport


def has_proxy(settings: Settings) -> bool:
    """Whether requests go through a proxy."""
    return _with_environment(settings)[1] is not None


def _load_backend() -> None:
    """Import what the first connection and metric would load: 80 ms that would block every trigger of the process."""
    import anyio
    import anyio.streams.tls
    from anyio import connect_tcp  # noqa: F401 - it is loaded when it is looked up

    with suppress(ImportError):
        import sniffio  # noqa: F401 - httpcore uses it if it is installed

    with suppress(ImportError):
        metrics.load()
    anyio.run(anyio.sleep, 0)


def _with_environment(settings: Settings) -> tuple[bool | str, str | None]:
    """Return how to verify certificates, and the proxy, as requests would in this environment."""
    import requests
    from requests.utils import select_proxy

    url = settings.base_url
    with requests.Session() as session:
        merged = session.merge_environment_settings(url, common.proxies_of(settings), None, settings.verify, None)
    proxy: str | None = select_proxy(url, merged["proxies"])
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return merged["verify"] or False, proxy


def load_certificate(settings: Settings) -> None:
    """Check that the client certificate can be used, if there is one.

    :raises OSError: It cannot be used; the text names the file.
    """
    if settings.cert:
        _tls(False, settings.cert)


def _tls(verify: bool | str, cert: Certificate | None = None) -> ssl.SSLContext:
    import ssl
    from pathlib import Path

    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    if cert:
        _load(context, cert)
    context.check_hostname = verify is not False  # first, since it must be off before the next one may be
    context.verify_mode = ssl.CERT_NONE if verify is False else ssl.CERT_REQUIRED
    if verify is False:
        return context
    bundle = DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
    try:
        context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
    except OSError as error:  # it does not say which file
        raise OSError(f"cannot use the CA bundle {bundle}: {error}") from None
    return context


def _load(context: ssl.SSLContext, cert: Certificate) -> None:
    try:
        # Always pass a password, even an empty one: OpenSSL would ask for it in the terminal.
        context.load_cert_chain(cert.path, cert.key_path, cert.password or "")
    except (OSError, ValueError) as error:  # its errors are OSErrors; a too long password is a ValueError, for example
        files = " and ".join(dict.fromkeys((cert.path, cert.key_path)))
        why = f"{error}. Is its password right?" if "PEM" in str(error) else str(error)
        raise OSError(f"cannot use the client certificate of the extra 'cert', {files}: {why}") from None


def _proxy(url: str, verify: bool | str) -> httpx.Proxy:
    http = library()
    try:
        # Without this context, httpx would create one for each connection, in the event loop.
        made: httpx.Proxy = http.Proxy(url, ssl_context=_tls(verify) if url.startswith("https") else None)
    except http.InvalidURL as error:  # it is not a ValueError
        raise ValueError(str(error)) from None
    return made
