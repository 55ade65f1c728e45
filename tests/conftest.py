"""Configures Airflow for the tests.

Airflow reads its configuration once, when it is first imported. So this comes first.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

if "airflow" in sys.modules:
    msg = "Airflow was imported before its configuration for the tests was set: by a pytest plugin?"
    raise RuntimeError(msg)

# The developer's settings and connections must not influence tests.
for variable in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[variable]

# Each worker of pytest-xdist runs this for itself, and so has its own home.
home = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"

# Hypothesis would also fail a test that is slow only because the machine is busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what exists anyway: Airflow's own objects make a full run take 0.4 seconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much of the recordings of a real Dify is replayed.

    It is here, not next to the contract tests, because pytest-xdist's main process only loads this file.
    """
    reports = [report for group in terminalreporter.stats.values() for report in group]
    if any("tests/contract/" in getattr(report, "nodeid", "") for report in reports):
        from tests.contract.coverage import summary

        terminalreporter.section("contract with Dify")
        for line in summary():
            terminalreporter.write_line(line)
