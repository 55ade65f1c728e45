"""What blocking and asynchronous clients share: headers, reading responses, texts of failures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from airflow_provider_dify.exceptions import (
    DifyEndpointError,
    DifyInputError,
    DifyKilledError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.knowledge.flow import Measure, Note, Pause, Request, Response
from airflow_provider_dify.transport import metrics
from airflow_provider_dify.transport.limits import TooLarge
from airflow_provider_dify.transport.settings import USER_AGENT, Settings

#: Seconds after which an idle connection is not reused: Dify's server closes it after 2 s.
KEEP_ALIVE = 1.8
#: Maximum number of characters quoted from a library's error.
_LONGEST_TEXT = 600
#: What requests and httpx report if a name cannot be resolved.
_UNRESOLVED = (
    r"failed to resolve|name or service|name resolution|nodename nor servname|getaddrinfo|no address associated"
)
_PROXY_UNRESOLVED = (
    "This machine cannot resolve the proxy. Check the extra 'proxies' of the connection for typos, or HTTP_PROXY and "
    "HTTPS_PROXY in the environment of this machine."
)
#: Advice by what requests, httpx or OpenSSL report.
_UNREACHED = {
    "407 proxy authentication": "Put the user and password of the proxy into the extra 'proxies' of the connection.",
    r"hostname mismatch|doesn't match|not valid for": (
        "Check TLS: its certificate is for another name. Use that name as the host of the connection."
    ),
    r"certificate has expired|not yet valid": "Check TLS: renew its certificate, or fix the clock of this machine.",
    "certificate.verify.failed": (
        "Check TLS ('verify'): its certificate is not trusted here. Set the extra 'verify' to the path of a bundle "
        "with the CA that signed it."
    ),
    r"wrong.version.number|record.layer.failure": (
        "That port does not speak TLS ('verify' would not help). Start the host of the connection with http://, or "
        "use the TLS port."
    ),
    _UNRESOLVED: "This machine cannot resolve the host. Check the host of the connection for typos.",
    r"connection refused|connection attempts failed": (
        "Nothing listens there, neither Dify nor a proxy. Check the host of the connection, its port and proxies, and "
        "that Dify is up."
    ),
}


class Log(Protocol):
    """The methods that Airflow's loggers have in all versions."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Log a message."""

    def log(self, level: int, msg: str, /, *args: Any) -> Any:
        """Log a message at a level."""


def say(step: Pause | Note | Measure, log: Log) -> None:
    """Log the text of a step, if it has one, or send a metric."""
    if isinstance(step, Measure):
        metrics.send(step)
    elif isinstance(step, Note):
        log.log(step.level, "%s", step.text)
    elif step.reason:
        log.log(step.level, "%s", step.reason)


def require_alive(stopped: bool) -> None:
    """End a flow whose task was killed, before its next request. A request under way is not interrupted.

    :raises DifyKilledError: It was. Flows rely on it that nothing was sent.
    """
    if stopped:
        raise DifyKilledError("The task was killed: nothing more is sent.")


def headers_for(settings: Settings) -> dict[str, str]:
    """Return the headers to send with every request, without the key."""
    return {**settings.headers, "User-Agent": USER_AGENT}


def headers_of(request: Request) -> dict[str, str]:
    """Return the headers for one request."""
    # A cache in between must not answer with an old state.
    return {"Cache-Control": "no-cache"} if request.method == "GET" else {}


def authorization(settings: Settings) -> str:
    """Return the Authorization header. It contains the key: do not log it."""
    return f"Bearer {settings.api_key}"


def proxies_of(settings: Settings) -> dict[str, str]:
    """Return the proxies in the form in which they take precedence over the environment in requests."""
    # requests ignores the password of a proxy without a scheme.
    proxies = {name: url if "://" in url else f"http://{url}" for name, url in settings.proxies.items()}
    if "all" in proxies:  # on its own, it would come after the environment's proxy for a scheme
        proxies = {"http": proxies["all"], "https": proxies["all"], **proxies}
    return proxies


def response_from(settings: Settings, status: int, headers: Mapping[str, str], body: bytes, at: float) -> Response:
    """Return a response for a flow.

    :param body: The body, decoded from its content encoding.
    :param at: When it was complete, in seconds since the epoch.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    # Some proxies repeat what they received in their headers and pages.
    if status >= 300 or "json" not in headers.get("content-type", ""):
        body = settings.masked(body.decode(errors="replace")).encode()
    headers = {name: settings.masked(value) for name, value in headers.items()}
    return Response(status, headers, body, at=at, masked=settings.masked)


def not_sendable(settings: Settings, request: Request, error: Exception) -> DifyInputError:
    """Return the error for a request that can never be sent."""
    advice = "Check the host and the extras of the connection."
    return DifyInputError(f"{_where(settings, request)} cannot be sent. {advice} ({_text(settings, error)})")


def not_answered(
    settings: Settings, request: Request, error: Exception, *, reached: bool, by_proxy: bool = False
) -> DifyTransportError:
    """Return the error for a request without a response.

    :param reached: Whether Dify may have received it.
    :param by_proxy: Whether it had to go through a proxy.
    """
    detail = _text(settings, error)
    advice = "Check that Dify is up, and the timeout of the connection." if reached else _advice(detail, by_proxy)
    return DifyTransportError(f"{_where(settings, request)} was not answered. {advice} ({detail})", reached=reached)


def too_large(settings: Settings, request: Request, error: TooLarge) -> DifyRequestError | DifyTransportError:
    """Return the error for a response that is larger than any of Dify's and was not read to its end."""
    if error.status is None:  # its headers did not end
        return not_answered(settings, request, error, reached=True)
    kind = DifyServerError if error.status >= 500 else DifyEndpointError
    return kind(
        f"{_where(settings, request)} was answered with {error}, and no answer of Dify is that large. Check the host "
        "of the connection, and what is between Airflow and Dify.",
        status=error.status,
    )


def _advice(detail: str, by_proxy: bool) -> str:
    """Say what to do if Dify was not even reached."""
    if by_proxy and re.search(_UNRESOLVED, detail, re.IGNORECASE):
        return _PROXY_UNRESOLVED
    for signs, advice in _UNREACHED.items():
        if re.search(signs, detail, re.IGNORECASE):
            return advice
    return "Check the host of the connection, TLS ('verify') and proxies, and that Dify is up."


def no_turn(settings: Settings, request: Request, seconds: float) -> DifyTransportError:
    """Return the error for a request that was never sent because others used all connections."""
    return DifyTransportError(
        f"{_where(settings, request)} got no connection for {seconds:.0f} s. Everything in this process that waits "
        "for this Dify shares a few connections. Dify is too slow, or too many tasks wait for it: poll it less often.",
        reached=False,
    )


def _cause_of(error: BaseException) -> object:
    """Return why urllib3 has given up; it also repeats the URL, which is in the message already."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    while isinstance(reason, Exception):
        inner = getattr(reason, "original_error", None) or (reason.args[0] if reason.args else None)
        if not isinstance(inner, Exception):
            # Either "HTTPConnection(host=…, port=…): Failed to …", or the connection and its text.
            return re.sub(r"^<?[\w.]+\(.*?\)[^:]*: ", "", str(reason.args[-1] if reason.args else reason))
        reason = inner
    return error


def _where(settings: Settings, request: Request) -> str:
    return f"{request.method} {settings.base_url}{request.path}"


def _text(settings: Settings, error: Exception) -> str:
    """Return the text of a library's error. It may quote the request, and so the key."""
    name, detail = type(error).__name__, str(_cause_of(error))
    # Mask first, then cut: half a secret would not be found. A library may quote a line of megabytes.
    text = settings.masked(f"{name}: {detail}" if detail else name)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
