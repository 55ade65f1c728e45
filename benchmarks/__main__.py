"""Measure, print the table, and exit with 1 if a bound is missed."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks import clients, export, imports, ingest, memory, page, proof, searching, speed, sync, waits
from benchmarks.server import Setup
from benchmarks.sizes import FULL, QUICK, Sizes
from benchmarks.table import Section, as_json, show
from benchmarks.timing import progress, run

_MODULES = (speed, proof, memory, imports, waits, ingest, sync, searching, export)
_PARTS = {part.__name__.rpartition(".")[2]: part for part in _MODULES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    options = _parser().parse_args(arguments)
    if missing := [name for name in ("dify_dataset_sdk", "matplotlib") if importlib.util.find_spec(name) is None]:
        print(f"Not installed: {', '.join(missing)}, which this needs. Run 'make bench', which installs it.")
        return 2
    judged = not options.quick
    with tempfile.TemporaryDirectory(prefix="dify-bench-") as home:
        _prepare(Path(home))
        sections = _measure(QUICK if options.quick else FULL, options.only)
        lines = as_json(sections, judged=judged)
        if not options.only:
            # Also created if it is not kept, to check that it can be.
            page.write(options.page if options.page and judged else Path(home) / "page", _about_the_run(), lines)
        elif options.page and judged:
            page.replace(options.page, lines)
    show(sections, _about(), sys.stdout, judged=judged)
    if options.json:
        options.json.write_text(json.dumps({"about": _about(), "lines": lines}, indent=2))
    missed = [line for section in sections for line in section.lines if line.missed] if judged else []
    if missed:
        print(f"Missed: {'; '.join(f'{line.what.strip()} ({line.bound})' for line in missed)}.")
    else:
        print("Every bound is met." if judged else "A quick run: too small to judge by.")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works; nothing is judged")
    parser.add_argument("--only", choices=sorted(_PARTS), help="measure this part alone; on the page the others stay")
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="make the page of the documentation; not if quick")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    return parser


def _prepare(home: Path) -> None:
    """Give Airflow a separate home before it is imported, and disable proxies."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ |= {"AIRFLOW_HOME": str(home), "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING", "NO_PROXY": "127.0.0.1"}


def _measure(sizes: Sizes, only: str | None) -> list[Section]:
    if only:
        return [_PARTS[only].measure(sizes)]
    progress("warming up")
    for way in (clients.bare_calls, clients.call_per_document, clients.published_client, clients.provider_flags):
        run(way, Setup(1, costs=None))  # imports what it needs
    return [part.measure(sizes) for part in _PARTS.values()]


def _about_the_run() -> str:
    day = datetime.now(timezone.utc).date()
    return f"{_about()} Measured on {day}, with {os.cpu_count()} processors, on {platform.system()}."


def _about() -> str:
    return (
        f"Airflow {version('apache-airflow')}, Python {platform.python_version()}, against the built-in Dify in a "
        "process of its own, which takes the time that a Dify 1.14.1 with one API process was measured to take."
    )


if __name__ == "__main__":
    raise SystemExit(main())
