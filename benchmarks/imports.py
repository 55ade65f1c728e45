"""What importing the operator adds to what every Airflow operator loads."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress

_HTTP = ("requests", "httpx")
_SCRIPT = """
import json, sys, time
from airflow.providers.common.compat.sdk import BaseOperator
before = set(sys.modules)
started = time.perf_counter()
import airflow_provider_dify.operators.documents
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "added": sorted(set(sys.modules) - before)}))
"""


@dataclass(frozen=True)
class _Import:
    seconds: float
    added: list[str]


def measure(sizes: Sizes) -> Section:
    """Import the operator in fresh processes."""
    progress(f"importing the operator, {sizes.imports} times")
    _import()  # so that everything is compiled
    imports = [_import() for _ in range(sizes.imports)]
    times = sorted(one.seconds * 1000 for one in imports)
    added = imports[0].added
    own = [name for name in added if name.startswith("airflow_provider_dify")]
    http = [name for name in added if name.partition(".")[0] in _HTTP]
    others = ", ".join(name for name in added if name not in own) or "none"
    return Section(
        "4. Import: what airflow_provider_dify.operators.documents adds to Airflow's BaseOperator",
        [
            Line(
                "import_ms",
                "time, at each parse of a DAG file",
                statistics.median(times),
                "ms",
                f"Median of {len(times)} fresh processes; the fastest {times[0]:.1f}, the slowest {times[-1]:.1f} ms.",
                Bound("below", 50),
            ),
            Line(
                "import_modules",
                "modules",
                len(added),
                "modules",
                f"{len(own)} of this package; others: {others}.",
                Bound("below", 60),
            ),
            Line(
                "import_http_modules",
                "modules of requests and httpx among them",
                len(http),
                "modules",
                "HTTP libraries are loaded when a task runs. (Airflow's own SDK loads httpx before.)",
                Bound("at most", 0),
            ),
        ],
    )


def _import() -> _Import:
    process = subprocess.run([sys.executable, "-c", _SCRIPT], stdout=subprocess.PIPE, text=True, check=True)
    return _Import(**json.loads(process.stdout.splitlines()[-1]))
