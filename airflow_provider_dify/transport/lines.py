"""One line to each Dify, shared by everything that runs in an event loop."""

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
#: What connections have in common that can be shared: the event loop, the server, TLS, proxies, and who they are for.
_Key: TypeAlias = (
    "tuple[asyncio.AbstractEventLoop, str, str, bool | str, frozenset[tuple[str, str]], Certificate | None]"
)


class Line:
    """The few connections of an event loop to one Dify. They hold no key: each request brings its own.

    :param settings: How to reach the Dify.
    """

    def __init__(self, settings: Settings) -> None:
        self.users = 0
        self.key = _key(settings)
        self._settings = settings
        self._opening: asyncio.Task[httpx.AsyncBaseTransport] | None = None
        # In front of httpx's own queue, which is walked from end to end for each request that comes or goes, and for
        # which a timeout would begin before the request has its turn.
        # Whoever enters waits until one of the connections is free: first come, first served.
        self.turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def transport(self) -> httpx.AsyncBaseTransport:
        """Return what sends requests; the first who asks has it made, and all who ask meanwhile wait for the same.

        :raises OSError, ValueError, ImportError: see :func:`~.opening.open_transport`. The next one tries again.
        """
        if self._opening is None or _failed(self._opening):
            self._opening = asyncio.create_task(asyncio.to_thread(open_transport, self._settings))
        # Shielded: the one who is cancelled is not the only one who waits.
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close the connections. That goes on to its end when the one who asks for it is cancelled."""
        if self._opening is not None:
            closing = asyncio.create_task(_close(self._opening))
            _CLOSING.add(closing)
            closing.add_done_callback(_CLOSING.discard)
            await asyncio.shield(closing)


_LINES: dict[_Key, Line] = {}
#: An event loop itself keeps no task alive.
_CLOSING: set[asyncio.Task[None]] = set()


def join(settings: Settings) -> Line:
    """Share the line to a Dify with all others in this event loop, until :func:`leave`."""
    _forget_closed_loops()
    line = _LINES.get(_key(settings)) or Line(settings)
    line.users += 1
    return _LINES.setdefault(line.key, line)


async def leave(line: Line) -> None:
    """Use a line no longer; the last one to leave closes it."""
    line.users -= 1
    if not line.users:
        del _LINES[line.key]
        await line.close()


async def cancel_gently(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do some work of httpx; when this is cancelled, the work is ended before this returns.

    A task's ``cancel()`` also strikes where httpcore gives a connection back, behind a shield of anyio that keeps off
    anyio's own cancellations only. The connection then counts as taken for ever; when all are, nobody gets an answer
    any more. So the work has a task to itself, and is cancelled by way of anyio.

    :param work: Begins the work.
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
            task.exception()  # nobody asks for it any more, and asyncio would log it with all that it quotes
        raise
    task.result()  # raises what the work has raised
    return done[0]


def _key(settings: Settings) -> _Key:
    parts = urlsplit(settings.base_url)
    proxies = frozenset(settings.proxies.items())
    return asyncio.get_running_loop(), parts.scheme, parts.netloc, settings.verify, proxies, settings.cert


def _forget_closed_loops() -> None:
    """Drop the lines of event loops that ended before their users: nobody can use or close them any more."""
    for key in list(_LINES):
        if key[0].is_closed():
            _LINES.pop(key, None)


def _failed(opening: asyncio.Task[httpx.AsyncBaseTransport]) -> bool:
    return opening.done() and (opening.cancelled() or opening.exception() is not None)


async def _close(opening: asyncio.Task[httpx.AsyncBaseTransport]) -> None:
    await asyncio.wait([opening])  # a thread cannot be stopped halfway
    if not _failed(opening):
        await opening.result().aclose()
