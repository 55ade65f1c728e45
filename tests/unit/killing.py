"""Kills a process in the middle of its work, as Airflow, an operator or the kernel does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

from airflow_provider_dify.testing import FakeDify
from tests.waiting import until


def killed_at_the_fault(
    dify: FakeDify, script: str, *arguments: str, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Run a script until the faults have hit, for example until a response never comes, and then end it by SIGKILL.

    :param meanwhile: Called repeatedly while the script runs.
    """

    def over() -> bool:
        meanwhile()
        return not dify.faults.pending or process.poll() is not None

    dify.admits_other_processes = True
    environment = {**os.environ, "AIRFLOW_CONN_DIFY_DEFAULT": dify.airflow_connection()}
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.DEVNULL)
    try:
        assert until(over)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
