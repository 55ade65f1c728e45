"""Airflow's local settings in the system tests: they record how long Python's garbage collector stops a triggerer."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

__all__: list[str] = []  # Airflow copies what is listed here into its own settings.

_LONG = 0.05  # seconds


class _Recorder:
    """What the garbage collector calls before and after each run."""

    started_at = 0.0

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self.started_at = now
        elif now - self.started_at > _LONG:
            with (Path(os.environ["AIRFLOW_HOME"]) / "collections.txt").open("a") as file:
                file.write(f"{now - self.started_at:.3f}\n")


if "triggerer" in sys.argv:
    gc.callbacks.append(_Recorder())
