"""Cancels httpx requests in such a way that their connections are released."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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
