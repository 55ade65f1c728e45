"""Cancelling what httpx does, so that it lets go of its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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
