"""Killing a process in the middle of its work, as Airflow, an operator or the kernel does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from airflow_provider_dify.testing import FakeDify


def until(probe: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait for another process."""
    end = time.monotonic() + seconds
    while not probe() and time.monotonic() < end:
        time.sleep(0.01)
    return probe()


def killed_at_the_fault(dify: FakeDify, script: str, *arguments: str) -> None:
    """Run a script until the faults have hit, as where an answer never comes, and end it by SIGKILL then."""
    environment = {**os.environ, "AIRFLOW_CONN_DIFY_DEFAULT": dify.airflow_connection()}
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: not dify.faults.pending or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
