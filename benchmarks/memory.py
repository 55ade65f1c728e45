"""How much memory a change of many documents needs, measured in a fresh process that runs this module."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import clients
from benchmarks.server import Setup, Target, running
from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress

_STATUS = Path("/proc/self/status")


def measure(sizes: Sizes) -> Section:
    """Archive many documents, and measure how much memory that takes."""
    progress(f"archiving {sizes.memory:,} documents in a fresh process, for its memory")
    return Section(
        f"3. Memory: archiving {sizes.memory:,} documents with one task",
        [
            Line(
                "memory_mb",
                "peak growth",
                _growth(sizes.memory) / 1e6,
                "MB",
                "By how much a process that has run one request grows at most, its list of ids included; flags proven.",
                Bound("below", 150),
            )
        ],
    )


def _growth(documents: int) -> int:
    with running(Setup(documents, costs=None)) as dify:
        process = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(asdict(dify.target)),
            env={**os.environ, **clients.connection(dify.target)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        dify.expect(archived=documents)
    return int(process.stdout.split()[-1])


def _measure() -> None:
    from airflow_provider_dify.hooks.dify import DifyHook

    with DifyHook(clients.CONNECTION_ID) as hook:
        # The first request loads what all later ones use; that does not grow with the number of documents.
        if not hook.server_version:
            raise RuntimeError("Dify did not say its version.")
    forget_peak()
    before = peak()
    clients.provider_flags(Target(**json.load(sys.stdin)))
    print(peak() - before)


def forget_peak() -> None:
    """Let the kernel count the peak from here on, if it can."""
    if _STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Maximum number of bytes that this process had in memory.

    Linux inherits ``ru_maxrss`` from the process that started this one, which may have been larger.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    _measure()
