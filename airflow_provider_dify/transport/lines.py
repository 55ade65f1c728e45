"""The few connections to each Dify, shared by everything in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from airflow_provider_dify.transport.opening import MOST_CONNECTIONS, open_transport
from airflow_provider_dify.transport.settings import Certificate, Settings

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
#: Connections can be shared if these are equal: event loop, server, TLS, proxies.
_Key: TypeAlias = (
    "tuple[asyncio.AbstractEventLoop, str, str, bool | str, frozenset[tuple[str, str]], Certificate | None]"
)


class Line:
    """The few connections of an event loop to one Dify. They do not store a key: each request sends its own.

    :param settings: How to reach Dify.
    """

    def __init__(self, settings: Settings) -> None:
        self.users = 0
        self.key = _key(settings)
        self._settings = settings
        self._opening: asyncio.Task[httpx.AsyncBaseTransport] | None = None
        # This comes before httpx's own queue, which is scanned completely for each request and in which a timeout would
        # start before the request has a connection. Whoever enters waits for a free connection, first come, first
        # served.
        self.turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def transport(self) -> httpx.AsyncBaseTransport:
        """Return the transport. The first caller creates it; others wait for the same one.

        :raises OSError, ValueError, ImportError: see :func:`~.opening.open_transport`. The next caller tries again.
        """
        if self._opening is None or _failed(self._opening):
            self._opening = asyncio.create_task(asyncio.to_thread(open_transport, self._settings))
        # Shielded: the cancelled caller may not be the only one that waits.
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close the connections. This continues even if the caller is cancelled."""
        if self._opening is not None:
            closing = asyncio.create_task(_close(self._opening))
            _CLOSING.add(closing)
            closing.add_done_callback(_CLOSING.discard)
            await asyncio.shield(closing)


_LINES: dict[_Key, Line] = {}
#: An event loop itself keeps no task alive.
_CLOSING: set[asyncio.Task[None]] = set()


def join(settings: Settings) -> Line:
    """Share the connections to a Dify with all others in this event loop, until :func:`leave`."""
    _forget_closed_loops()
    line = _LINES.get(_key(settings)) or Line(settings)
    line.users += 1
    return _LINES.setdefault(line.key, line)


async def leave(line: Line) -> None:
    """Stop using the connections. The last user closes them."""
    line.users -= 1
    if not line.users:
        del _LINES[line.key]
        await line.close()


async def cancel_gently(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do some work of httpx. On cancellation, finish the work's cleanup before returning.

    A task's ``cancel()`` also strikes where httpcore returns a connection, behind an anyio shield that only holds off
    anyio's own cancellations. The connection would then stay in use forever, and after a few of them no request would
    get one. So the work runs in its own task, which anyio cancels.

    :param work: Starts the work.
    """
    import anyio

    scope = anyio.CancelScope()
    done: list[T] = []

    async def in_scope() -> None:
        with scope:
            done.append(await work())

    task = asyncio.create_task(in_scope())
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        scope.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody needs it any more, and asyncio would log it with everything that it quotes
        raise
    task.result()  # raises what the work raised
    return done[0]


def _key(settings: Settings) -> _Key:
    parts = urlsplit(settings.base_url)
    proxies = frozenset(settings.proxies.items())
    return asyncio.get_running_loop(), parts.scheme, parts.netloc, settings.verify, proxies, settings.cert


def _forget_closed_loops() -> None:
    """Drop the connections of event loops that ended before their users: nobody can use or close them any more."""
    for key in list(_LINES):
        if key[0].is_closed():
            _LINES.pop(key, None)


def _failed(opening: asyncio.Task[httpx.AsyncBaseTransport]) -> bool:
    return opening.done() and (opening.cancelled() or opening.exception() is not None)


async def _close(opening: asyncio.Task[httpx.AsyncBaseTransport]) -> None:
    await asyncio.wait([opening])  # a thread cannot be stopped halfway
    if not _failed(opening):
        await opening.result().aclose()
