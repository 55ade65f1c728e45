"""What it costs to create documents from a folder, measured in a fresh process that runs this module."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import clients
from benchmarks.files import folder_of, in_a_process
from benchmarks.memory import forget_peak, peak
from benchmarks.server import Setup, Target, running
from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress

_MEGABYTE = 1_000_000
#: Number of files of a kilobyte in a warm-up, whose memory is the reference.
_FEW = 50
_LARGE_FILE = 14 * 1024 * 1024


@dataclass(frozen=True)
class _Run:
    """The measurements of one process.

    :param seconds: For the first run over all files.
    :param growth: Maximum growth of the process in bytes, after a few files of the same kind.
    :param large_growth: The same for one large file.
    """

    seconds: float
    growth: int
    large_growth: int


def measure(sizes: Sizes) -> Section:
    """Ingest a folder twice."""
    progress(f"ingesting {sizes.files:,} files, twice")
    with tempfile.TemporaryDirectory(prefix="dify-bench-files-") as folder, running(Setup(0, costs=None)) as dify:
        run = _Run(**in_a_process(__name__, dify.target, sizes.files, folder))
        first = dify.tally()
        again = _Run(**in_a_process(__name__, dify.target, sizes.files, folder))
        second = dify.tally()
    if first.documents != second.documents or first.documents != sizes.files + _FEW + 1:
        raise RuntimeError(f"{second.documents} documents, then {first.documents}: this measures nothing.")
    pages = first.documents // 100 + 1
    return Section(
        f"6. Ingestion: {sizes.files:,} files of a kilobyte from a folder, and one of 14 MB",
        [
            Line("ingest_rate", "files", sizes.files / run.seconds, "files/s",
                 "Until they are indexed, in a Dify whose calls cost no time."),
            Line("ingest_memory", "memory", run.growth / _MEGABYTE, "MB",
                 f"Growth at most, beyond what {_FEW} files take.", Bound("below", 20)),
            Line("ingest_large", "memory for the large file", run.large_growth / _MEGABYTE, "MB",
                 "Growth at most, while it is sent.", Bound("below", 5)),
            Line("ingest_again", "requests of the second run", second.requests - first.requests, "requests",
                 f"Nothing has changed. One look takes {pages} pages; there are three in a process.",
                 Bound("at most", 3 * (pages + 1) + 2)),
            Line("ingest_again_sent", "files sent by it", second.uploads - first.uploads, "files",
                 f"It took {again.seconds:.1f} s.", Bound("at most", 0)),
        ],
    )  # fmt: skip


def _measure(files: int, root: Path) -> _Run:
    target = Target(**json.load(sys.stdin))
    _ingest(target, folder_of(root / "few", _FEW))
    forget_peak()
    before, began = peak(), time.monotonic()
    _ingest(target, folder_of(root / "many", files))
    seconds, growth = time.monotonic() - began, peak() - before
    large = root / "large.txt"
    if not large.exists():
        with large.open("wb") as file:
            file.truncate(_LARGE_FILE)
    forget_peak()
    before = peak()
    _ingest(target, large)
    return _Run(seconds, growth, peak() - before)


def _ingest(target: Target, source: Path) -> None:
    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.ingest.options import IngestOptions

    with DifyHook(clients.CONNECTION_ID) as hook:
        options = IngestOptions(indexing_technique="economy", max_active=200, poll_interval=1.0)
        hook.ingest_documents(target.dataset_id, source, options)


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(int(sys.argv[1]), Path(sys.argv[2])))))
