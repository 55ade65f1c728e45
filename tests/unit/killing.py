"""Killing a process in the middle of its work, as Airflow, an operator or the kernel does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from airflow_provider_dify.testing import FakeDify
from tests.waiting import until


def killed_at_the_fault(dify: FakeDify, script: str, *arguments: str) -> None:
    """Run a script until the faults have hit, as where an answer never comes, and end it by SIGKILL then."""
    dify.admits_other_processes = True
    environment = {**os.environ, "AIRFLOW_CONN_DIFY_DEFAULT": dify.airflow_connection()}
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: not dify.faults.pending or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
