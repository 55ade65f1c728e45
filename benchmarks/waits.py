"""What it costs to wait in an event loop, measured for each way in a fresh process that runs this module."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks import clients
from benchmarks.server import Setup, Target, running
from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress

if TYPE_CHECKING:
    from airflow_provider_dify.triggers.conversation import DifyConversationTrigger

_POLL_INTERVAL = 10.0
_TICK = 0.001
_Wait: TypeAlias = "Coroutine[Any, Any, None]"


@dataclass(frozen=True)
class Cost:
    """The cost of one way to wait.

    :param cpu_share: Share of one processor.
    :param longest_pause: Longest time in which the event loop did nothing else, in seconds.
    :param longest_work: Longest time in which it had the processor meanwhile, in seconds; during the rest of a pause,
        another process had it.
    :param memory: Bytes for each wait.
    :param connections: TCP connections that Dify has seen.
    :param requests: Requests that Dify has seen.
    """

    cpu_share: float
    longest_pause: float
    longest_work: float
    memory: float
    connections: int
    requests: int


def measure(sizes: Sizes) -> Section:
    """Wait for many documents at once, with this provider and in two other ways; and for as many app runs."""
    ours, runs, own, thread = (cost_of(way, sizes) for way in ("trigger", "app runs", "own client", "thread"))
    return Section(
        f"5. Waiting: {sizes.waits:,} deferred tasks in one event loop, a look every {_POLL_INTERVAL:g} s, for "
        f"{sizes.wait_seconds:g} s",
        [
            *_bounded("wait", "longest pause of the loop", ours),
            *_bounded("wait_run", "app runs instead of documents: longest pause of the loop", runs),
            *_other("own", "a client of its own for each wait", own),
            *_other("thread", "asyncio.to_thread over requests", thread),
        ],
    )


_BELOW_50 = Bound("below", 50)


def _bounded(name: str, what: str, cost: Cost) -> list[Line]:
    return [
        Line(f"{name}_pause", what, cost.longest_pause * 1000, "ms", _told(cost), _BELOW_50),
        Line(
            f"{name}_work",
            "longest stretch of work in it",
            cost.longest_work * 1000,
            "ms",
            "By processor time: what a pause takes beyond it, other processes took.",
        ),
        Line(
            f"{name}_memory",
            "memory",
            cost.memory / 1000,
            "kB a wait",
            "Growth of the process, all included.",
            _BELOW_50,
        ),
        Line(f"{name}_cpu", "processor", cost.cpu_share * 100, "%", "Of one, for all of them together."),
    ]


def _other(name: str, what: str, cost: Cost) -> list[Line]:
    return [
        Line(f"wait_{name}_pause", f"beside it, {what}", cost.longest_pause * 1000, "ms", _told(cost)),
        Line(
            f"wait_{name}_memory",
            "    memory",
            cost.memory / 1000,
            "kB a wait",
            f"{cost.cpu_share:.0%} of a processor.",
        ),
    ]


def _told(cost: Cost) -> str:
    seen = f"{cost.requests:,} requests over {cost.connections:,} connections."
    return f"Python's garbage collector is spared Airflow's own objects. {seen}"


def cost_of(way: str, sizes: Sizes) -> Cost:
    """Measure a way to wait."""
    progress(f"waiting for {sizes.waits:,} at once: {way}")
    is_run = way == "app runs"
    with running(Setup(1 if is_run else sizes.waits, costs=None, locked=True, runs=sizes.waits * is_run)) as dify:
        process = subprocess.run(
            [sys.executable, "-m", __name__, way, str(sizes.wait_seconds)],
            input=json.dumps(asdict(dify.target)),
            env={**os.environ, **clients.connection(dify.target)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        tally = dify.expect(archived=0)
        return Cost(
            **json.loads(process.stdout.splitlines()[-1]), connections=tally.connections, requests=tally.requests
        )


async def wait_in_trigger(target: Target, document_id: str) -> None:
    """Wait for one document with this provider, forever."""
    async for _ in _status_trigger(target, document_id).run():
        raise RuntimeError("A document that is locked for an hour cannot be done.")


def _status_trigger(target: Target, document_id: str) -> DifyConversationTrigger:
    """Return what a triggerer makes of the row that a worker left: nothing of the worker's objects is kept."""
    from airflow_provider_dify.knowledge.status.change import StatusChange
    from airflow_provider_dify.knowledge.status.options import StatusOptions
    from airflow_provider_dify.triggers.conversation import DifyConversationTrigger

    options = StatusOptions(poll_interval=_POLL_INTERVAL)
    return DifyConversationTrigger(
        kind=StatusChange.kind,
        state=StatusChange(target.dataset_id, [document_id], "archive", options).to_json(),
        dify_conn_id=clients.CONNECTION_ID,
        started=time.time(),
        timeout=3600.0,
    )


async def wait_for_run(_: Target, run_id: str) -> None:
    """Wait for one run of a workflow with this provider, forever."""
    async for _event in _run_trigger(run_id).run():
        raise RuntimeError("A run that never ends cannot be done.")


def _run_trigger(run_id: str) -> DifyConversationTrigger:
    from airflow_provider_dify.knowledge.apps.options import RunOptions
    from airflow_provider_dify.knowledge.apps.run import WorkflowRun
    from airflow_provider_dify.knowledge.apps.tries import single_try
    from airflow_provider_dify.triggers.conversation import DifyConversationTrigger

    run = WorkflowRun(single_try("benchmark"), None, options=RunOptions(poll_interval=_POLL_INTERVAL))
    run.run_id = run_id
    return DifyConversationTrigger(
        kind=WorkflowRun.kind,
        state=run.to_json(),
        dify_conn_id=clients.CONNECTION_ID,
        started=time.time(),
        timeout=3600.0,
    )


async def _wait_with_own_client(target: Target, document_id: str) -> None:
    import httpx

    headers = {"Authorization": f"Bearer {target.api_key}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        while True:
            await client.get(_document(target, document_id))
            await client.patch(_change(target), json={"document_ids": [document_id]})
            await asyncio.sleep(_POLL_INTERVAL)


async def _wait_in_threads(target: Target, document_id: str) -> None:
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {target.api_key}"
    while True:
        await asyncio.to_thread(session.get, _document(target, document_id), timeout=60)
        await asyncio.to_thread(session.patch, _change(target), json={"document_ids": [document_id]}, timeout=60)
        await asyncio.sleep(_POLL_INTERVAL)


def _document(target: Target, document_id: str) -> str:
    return f"{target.base_url}/datasets/{target.dataset_id}/documents/{document_id}?metadata=without"


def _change(target: Target) -> str:
    return f"{target.base_url}/datasets/{target.dataset_id}/documents/status/archive"


_WAYS: dict[str, Callable[[Target, str], _Wait]] = {
    "trigger": wait_in_trigger,
    "app runs": wait_for_run,
    "own client": _wait_with_own_client,
    "thread": _wait_in_threads,
}


async def _measure(wait: Callable[[Target, str], _Wait], target: Target, seconds: float) -> dict[str, float]:
    # Load everything that waits share first: Airflow takes seconds, and only then does a trigger's first wait begin.
    things = target.run_ids or target.document_ids
    for moment in (0.1, 8.0):
        await _for_a_moment(wait(target, things[0]), moment)
    loaded = set(sys.modules)
    gc.collect()
    gc.freeze()  # scanning all of Airflow's own objects takes a quarter of a second, which is not caused by the waits
    memory, cpu, began = _resident(), time.process_time(), time.monotonic()
    ticker = asyncio.create_task(_longest_pause(began + seconds))
    waits = []
    for thing in things:
        waits.append(asyncio.create_task(wait(target, thing)))
        await asyncio.sleep(0)  # as the triggerer does between two of its triggers
    pause, work = await ticker
    cost = {
        "cpu_share": (time.process_time() - cpu) / (time.monotonic() - began),
        "longest_pause": pause,
        "longest_work": work,
        "memory": (_resident() - memory) / len(waits),
    }
    broken = [task for task in waits if task.done()]
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    if broken:
        raise RuntimeError(f"{len(broken)} waits ended: this measures nothing.") from broken[0].exception()
    if late := sys.modules.keys() - loaded:
        raise RuntimeError(f"{len(late)} modules were loaded meanwhile, such as {min(late)}: this measures that, too.")
    return cost


async def _for_a_moment(wait: _Wait, seconds: float) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(wait, seconds)


async def _longest_pause(end: float) -> tuple[float, float]:
    """Return the longest pause of the loop until then, and the longest time in which this process was at work."""
    pause = work = 0.0
    before, worked_before = time.monotonic(), time.process_time()
    while before < end:
        await asyncio.sleep(_TICK)
        now, worked = time.monotonic(), time.process_time()
        pause, work = max(pause, now - before - _TICK), max(work, worked - worked_before)
        before, worked_before = now, worked
    return pause, work


def _resident() -> int:
    """Bytes that this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _main(way: str, seconds: str) -> None:
    import logging

    logging.disable(logging.INFO)
    target = Target(**json.load(sys.stdin))
    cost: Any = asyncio.run(_measure(_WAYS[way], target, float(seconds)))
    print(json.dumps(cost))


if __name__ == "__main__":
    _main(*sys.argv[1:])
