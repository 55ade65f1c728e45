"""What the programs of this folder share: a throw-away home, a Dify, a time limit, and an end that leaves nothing."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from airflow_provider_dify.testing import FakeDify, SystemClock
from tests.system.processes import Processes, tail
from tests.system.tally import GaveUpError, StuckError, Tally

Tell = Callable[[Tally, FakeDify, Path], None]


def run(name: str, about: str | None, seconds: int, tell: Tell, *, once_more: str | None = None) -> int:
    """Tell a story with an empty home and a Dify in this process; return 0 if every assertion held.

    :param name: The module that is run.
    :param seconds: When it gives up, unless the command line says otherwise.
    :param once_more: An assertion that a busy machine can break, too. Where only it failed, all is run once more, and
        the second run decides: what the package does wrong, it does wrong each time.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    text = f"seconds after which it gives up (default: {seconds})"
    parser.add_argument("--timeout", type=int, default=seconds, help=text)
    timeout: int = parser.parse_args().timeout
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, _give_up)
    tally = _run_once(timeout, tell)
    if tally.failures == [once_more]:
        print("\nOnly that failed, so it is run once more; the second run decides.\n")
        tally = _run_once(timeout, tell)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


def _run_once(timeout: int, tell: Tell) -> Tally:
    signal.alarm(timeout)
    tally = Tally()
    tally.tell(f"Airflow {metadata.version('apache-airflow')} on Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory(prefix="dify-system-") as home, FakeDify(clock=SystemClock()) as dify:
        tell(tally, dify, Path(home).resolve())
        signal.alarm(0)
    return tally


def _give_up(number: int, frame: object) -> NoReturn:
    # So that what was started is stopped on the way out.
    raise GaveUpError(f"ended by {signal.Signals(number).name}")


def tell_to_the_end(
    tally: Tally, processes: Processes, tell: Callable[[], None], afterwards: Callable[[], None] = lambda: None
) -> None:
    """Tell what there is to tell, stop everything, and look at what is left; show the logs where something failed.

    :param afterwards: Told when everything was stopped.
    """
    try:
        tell()
    except Exception as error:  # noqa: BLE001 - told below, with the logs that go with it
        known = isinstance(error, (StuckError, GaveUpError))
        tally.check("everything was told to its end", False, error if known else traceback.format_exc())
    signal.alarm(0)
    processes.stop()
    tally.check("no process is left", not processes.processes(), processes.processes())
    afterwards()
    if tally.failed:
        for log in processes.logs():
            tail(log, 60, to=sys.stdout)
