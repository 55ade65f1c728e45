"""Mapped tasks that run a workflow, whose workers are killed at random points of their code, and tried again.

By hand, for as many as you like:   python -m tests.unit.apps.sigkills --items 50 --kills 200
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import IO, Any, NoReturn

from airflow_provider_dify.exceptions import DifyError, DifyRunUnknown
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.operators.apps import DifyWorkflowRunOperator
from airflow_provider_dify.testing import FakeDify
from tests.unit.conftest import TaskInstance

GREEN, UNKNOWN, RED = 0, 3, 4
#: An item to find out how many calls of functions a try makes, and to load all that it needs.
FIRST = -1
#: What begins a line that says how a try ended. Airflow writes its log beside it.
_ENDED = "ended "


class Kept(dict[str, Any]):
    """What a task keeps for its later tries, in a file: a killed worker leaves the whole of it or none."""

    def __init__(self, path: Path) -> None:
        super().__init__(json.loads(path.read_text()) if path.exists() else {})
        self._path = path

    def set(self, key: str, value: Any) -> None:
        self[key] = value
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(self))
        new.replace(self._path)


class Calls:
    """Counts the calls of functions, and ends the process by SIGKILL at one of them.

    :param last: Which one; 0: none.
    """

    def __init__(self, last: int = 0) -> None:
        self.count = 0
        self._last = last

    def __call__(self, _: object, event: str, __: object) -> None:
        self.count += event == "call"
        if self._last and self.count >= self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def execute(folder: Path, order: dict[str, Any], calls: Calls) -> int:
    """Run one try of one item."""
    instance = TaskInstance()
    instance.map_index, instance.try_number = order["item"], order["number"]
    task = DifyWorkflowRunOperator(
        task_id="change",
        inputs={"text": str(order["item"])},
        rerun=order["rerun"],
        poll_interval=0.05,
        appear_timeout=0.5,
        timeout=60,
    )
    context: Any = {"ti": instance, "task_state_store": Kept(folder / f"{order['item']}.json")}
    sys.setprofile(calls)
    try:
        returned = task.execute(context)
    except DifyRunUnknown:
        return UNKNOWN
    except DifyError:
        return RED
    finally:
        sys.setprofile(None)
    return GREEN if Fields(returned).object("outputs").text("text") == str(order["item"]) else RED


def serve(folder: Path) -> None:
    """Run a try in a process of its own for each order, and say how it ended: forked, as imports take long."""

    calls = Calls()
    execute(folder, {"item": FIRST, "number": os.getpid(), "rerun": "always"}, Calls())
    execute(folder, {"item": FIRST, "number": os.getpid() + 1, "rerun": "always"}, calls)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            run_and_exit(folder, order, Calls(int(order["share"] * calls.count)))
        _, status = os.waitpid(child, 0)
        print(f"{_ENDED}{os.waitstatus_to_exitcode(status)}", flush=True)


def run_and_exit(folder: Path, order: dict[str, Any], calls: Calls) -> NoReturn:
    code = RED
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        code = execute(folder, order, calls)
    finally:
        os._exit(code)


@dataclass
class Tally:
    """What happened.

    :param kills: How many tries are still to be killed.
    """

    kills: int
    chance: random.Random
    killed: int = 0
    ended: Counter[int] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def share(self) -> float:
        """After which part of its calls the next try is killed; 0: it is not."""
        with self.lock:
            return self.chance.uniform(0.01, 1.0) if self.kills > 0 else 0.0

    def note(self, code: int) -> None:
        with self.lock:
            self.ended[code] += 1
            if code == -signal.SIGKILL:
                self.killed += 1
                self.kills -= 1


def work(orders: IO[str], answers: IO[str], item: int, tally: Tally, most: int) -> None:
    """Try an item until it is green, as Airflow does; if nobody can know, a person lets it start again."""
    rerun, number, killed = "failed", 0, 0
    while True:
        number += 1
        share = tally.share() if killed < most else 0.0
        orders.write(json.dumps({"item": item, "number": number, "rerun": rerun, "share": share}) + "\n")
        orders.flush()
        code = int(next(line for line in answers if line.startswith(_ENDED)).removeprefix(_ENDED))
        tally.note(code)
        killed += code == -signal.SIGKILL
        if code == GREEN:
            return
        rerun = "unknown" if code == UNKNOWN else "failed"


def kill_and_retry(dify: FakeDify, *, items: int, kills: int, seed: int, workers: int = 3) -> tuple[Any, Tally]:
    """Run all items, and return the app and what happened."""
    app = dify.add_workflow("echo", run=lambda inputs: {"text": inputs["text"]}, inputs=["text"], seconds=0.1)
    dify.admits_other_processes = True
    tally = Tally(kills, random.Random(seed))
    environment = {**os.environ, "AIRFLOW_CONN_DIFY_APP": dify.airflow_connection(app=app)}
    with TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        command = [sys.executable, "-m", "tests.unit.apps.sigkills", "--serve", folder]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        hosts = [subprocess.Popen(command, env=environment, text=True, **pipes) for _ in range(workers)]
        most = -(-kills // items) + 1

        def share(number: int) -> None:
            host = hosts[number]
            assert host.stdin
            assert host.stdout
            with host:
                for item in range(number, items, workers):
                    work(host.stdin, host.stdout, item, tally, most)

        list(threads.map(share, range(workers)))
    return app, tally


def assert_each_once(app: Any, items: int) -> None:
    """Each item has exactly one run that succeeded."""
    done = Counter(run.inputs["text"] for run in app.runs if run.status == "succeeded")
    del done[str(FIRST)]
    assert done == {str(item): 1 for item in range(items)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    with FakeDify() as dify:
        app, tally = kill_and_retry(dify, items=chosen.items, kills=chosen.kills, seed=chosen.seed)
        assert_each_once(app, chosen.items)
        print(f"{tally.killed} kills, {len(app.runs)} runs, {dict(tally.ended)}")


if __name__ == "__main__":
    main()
