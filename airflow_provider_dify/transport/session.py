"""A requests session that ends slow responses and supports passwords of client certificates.

A timeout of requests covers one ``recv`` only: a server that sends a byte now and then would block a task forever.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from http.client import HTTPException, HTTPResponse
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from airflow_provider_dify.knowledge.flow import Download
from airflow_provider_dify.transport import common, limits
from airflow_provider_dify.transport.opening import load_certificate
from airflow_provider_dify.transport.settings import Settings

_PIECE = 65_536


def open_session(settings: Settings) -> requests.Session:
    """Return a session for a Dify; no connection is opened yet.

    :raises OSError: The client certificate cannot be used.
    """
    load_certificate(settings)  # here, to distinguish it from a server that rejects it
    session = _Session()
    session.headers.update({**common.headers_for(settings), "Accept-Encoding": limits.ACCEPTED})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(settings))
    return session


def body_of(answer: requests.Response) -> bytes:
    """Read the body of a response, and release its connection.

    :raises requests.RequestException: It breaks off.
    :raises TooLarge, Undecodable: see :class:`~.limits.Body`.
    """
    return _filled(answer, limits.Body).content()


def save_body(answer: requests.Response, download: Download) -> None:
    """Write the body of a response to a file, and release its connection.

    :raises requests.RequestException: It breaks off.
    :raises TooLarge, Undecodable: see :class:`~.limits.Body`.
    """
    whole = getattr(answer.raw, "_original_response", None)
    if isinstance(whole, _Answer):
        whole.allow(download.seconds, download.limit)
    _filled(answer, partial(limits.FileBody, file=download.file, limit=download.limit)).content()


def _filled(answer: requests.Response, body_for: Callable[[str, int], limits.Body]) -> limits.Body:
    """Read a response into a body, and release its connection.

    :param body_for: Creates the body from an encoding and a status.
    """
    try:
        body = body_for(answer.headers.get("Content-Encoding", ""), answer.status_code)
        for piece in answer.raw.stream(_PIECE, decode_content=False):
            body.add(piece)
    except limits.TooLarge:
        raise limits.TooLarge(answer.status_code) from None
    except (urllib3.exceptions.HTTPError, HTTPException, ValueError) as error:  # for example, an invalid length
        raise requests.ConnectionError(error) from None
    finally:
        answer.close()
    return body


def events_of(answer: requests.Response, enough: Callable[[bytes], bool]) -> bytes:
    """Read a stream of events until it is enough, and close its connection.

    If the stream breaks off or the timeout passes, this returns what has arrived so far, without an error.

    :raises TooLarge, Undecodable: see :class:`~.limits.Body`.
    """
    # Without chunks, this is the only way to read what has arrived without waiting for more.
    size = _PIECE if answer.raw.chunked else 1
    body = limits.Body(answer.headers.get("Content-Encoding", ""), answer.status_code)
    try:
        for piece in answer.raw.stream(size, decode_content=False):
            body.add(piece)
            if b"\n" in piece and enough(body.so_far):  # an event ends with an empty line
                break
    except limits.TooLarge:
        raise limits.TooLarge(answer.status_code) from None
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
        pass
    finally:
        answer.close()
    return body.so_far


class _Session(requests.Session):
    _merged: dict[str, Any] | None = None

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        # Read once, because all requests have the same host and settings; requests would read the whole environment
        # for each of them.
        if self._merged is None:
            self._merged = {**super().merge_environment_settings(*args, **kwargs)}
        return dict(self._merged)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        # Redirects are not followed. To find the next one, requests would read the whole body, however long it is.
        return None


class _Adapter(HTTPAdapter):
    def __init__(self, settings: Settings) -> None:
        self._cert = settings.cert
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _with_end(pool.ConnectionCls)
        if self._cert:
            pool.cert_file, pool.key_file = self._cert.path, self._cert.key_path
            pool.key_password = self._cert.password
        return pool


@lru_cache(maxsize=16)
def _with_end(connection: type[Any]) -> type[Any]:
    """Return urllib3's class of connections (http, https, or proxy) with responses that end in time."""
    if issubclass(getattr(connection, "response_class", object), _Answer):
        return connection
    return type(connection.__name__, (connection,), {"response_class": _Answer})


class _Answer(HTTPResponse):
    """A response that has to be complete within the timeout of its socket."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._bounds = _Bounded(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._bounds, _PIECE)

    def allow(self, seconds: float, size: int) -> None:
        """Let the rest of it take longer, and be larger."""
        self._bounds.allow(seconds, size)


class _Bounded(io.RawIOBase):
    """The response of a server, limited in time and size."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._until = time.monotonic() + (self._timeout or float("inf"))
        # Headers and chunk lengths come on top of the body, and their number is not limited otherwise.
        self._left = 2 * limits.MOST_BYTES

    def allow(self, seconds: float, size: int) -> None:
        self._until = time.monotonic() + seconds
        self._left = 2 * size + limits.MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        if self._timeout is not None:
            self._sock.settimeout(min(seconds, self._timeout))
        read: int | None = self._raw.readinto(buffer)
        self._left -= read or 0
        if self._left < 0:
            raise limits.TooLarge
        return read

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # it may be closed already
                self._sock.settimeout(self._timeout)
            self._raw.close()
        super().close()
