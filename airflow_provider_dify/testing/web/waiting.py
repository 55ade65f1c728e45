"""Clients that wait: for the response of a blocking request, or for the next event of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_dify.testing.api.replies import Later, LaterReply, Reply, Stream
from airflow_provider_dify.testing.model.clock import VirtualClock
from airflow_provider_dify.testing.model.site import Site

#: Maximum jump of a virtual clock, in seconds, before which a stream does not wait.
SHORT = 1.0
#: Real seconds in which the client may close the stream before a longer jump: the first one, and later ones.
PATIENCE, LITTLE_PATIENCE = 0.5, 0.002

#: Done when the client has disconnected.
Gone = asyncio.Future[None]


class Waiting:
    """Lets time pass for clients that wait.

    A virtual clock moves when somebody sleeps, and waiting for a response is like sleeping: the clock jumps to the next
    due event. The client of a stream may want to close it early, so it gets a moment before the first longer jump.
    """

    def __init__(self, world: Site) -> None:
        self._world = world
        self._holds_clock = False
        self._wakers: list[Callable[[], None]] = []
        if isinstance(world.clock, VirtualClock):
            world.clock.on_advance(self._moved)

    @property
    def holds_clock(self) -> bool:
        """Whether only its owner moves a virtual clock, never a client that waits for a run."""
        return self._holds_clock

    @holds_clock.setter
    def holds_clock(self, held: bool) -> None:
        self._holds_clock = held
        self._wake_all()

    def _moved(self) -> None:
        """The clock was moved. Only clients that do not move it themselves have to know."""
        if self._holds_clock:
            self._wake_all()

    def _wake_all(self) -> None:
        for wake in list(self._wakers):
            wake()

    @contextmanager
    def _told(self, later: Later, woken: asyncio.Event) -> Iterator[None]:
        """Set ``woken`` after each change."""
        wake = _waker(woken)
        forget = later.listen(wake)
        self._wakers.append(wake)
        try:
            yield
        finally:
            forget()
            self._wakers.remove(wake)

    async def for_reply(self, later: LaterReply, gone: Gone) -> Reply | None:
        """The response; ``None``: there will be none, or the client has disconnected."""
        woken = asyncio.Event()
        with self._told(later, woken):
            while not gone.done():
                woken.clear()
                with self._world.guard:
                    self._world.tick()
                    reply = later.take()
                if reply is not None or later.lost:
                    return reply
                await self._for_news(later, woken, gone, 0.0)
        return None

    async def through(self, stream: Stream, send: Callable[[str], Awaitable[None]], gone: Gone) -> None:
        """Send the blocks of a stream as they come, until its end or until the client disconnects."""
        woken, patience = asyncio.Event(), PATIENCE
        with self._told(stream, woken):
            while not gone.done():
                woken.clear()
                with self._world.guard:
                    self._world.tick()
                    blocks = stream.take()
                if blocks:
                    await send("".join(blocks))
                if stream.ended:
                    return
                if await self._for_news(stream, woken, gone, patience):
                    patience = LITTLE_PATIENCE
        with self._world.guard:
            stream.left()

    async def _for_news(self, later: Later, woken: asyncio.Event, gone: Gone, patience: float) -> bool:
        """Wait until there may be news. :return: whether that was a longer jump of a virtual clock."""
        clock = self._world.clock
        moving = isinstance(clock, VirtualClock) and not self._holds_clock
        due = later.due(moving=moving)
        ahead = None if due is None else max(0.0, due - clock.monotonic())
        if not isinstance(clock, VirtualClock):
            await _first(woken, gone, ahead)
            return False
        if self._holds_clock or due is None or ahead is None:
            await _first(woken, gone, None)
            return False
        if patience and ahead > SHORT and await _first(woken, gone, patience):
            return False
        # Let other tasks run, such as the one that sends.
        await asyncio.sleep(0)
        if not gone.done():
            clock.advance_to(due)
        return ahead > SHORT


def _waker(woken: asyncio.Event) -> Callable[[], None]:
    """A function that sets the event of this event loop, from any thread."""
    loop = asyncio.get_running_loop()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(woken.set)
        except RuntimeError:  # the server has stopped
            return

    return wake


async def _first(woken: asyncio.Event, gone: Gone, seconds: float | None) -> bool:
    """Wait for either, for a limited time. :return: whether one of them happened."""
    waiter = asyncio.ensure_future(woken.wait())
    try:
        both: set[asyncio.Future[Any]] = {waiter, gone}
        done, _ = await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    return bool(done)
