"""What it costs to sync a knowledge base with a folder, measured in a fresh process that runs this module."""

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


@dataclass(frozen=True)
class _Run:
    """The measurements of one process.

    :param seconds: For the folder.
    :param growth: Maximum growth of the process in bytes, after a few files of the same kind.
    """

    seconds: float
    growth: int


def measure(sizes: Sizes) -> Section:
    """Sync a folder twice."""
    progress(f"syncing {sizes.synced:,} files, twice")
    with tempfile.TemporaryDirectory(prefix="dify-bench-sync-") as folder, running(Setup(0, costs=None)) as dify:
        run = _Run(**in_a_process(__name__, dify.target, sizes.synced, folder))
        first = dify.tally()
        again = _Run(**in_a_process(__name__, dify.target, sizes.synced, folder))
        second = dify.tally()
    if first.documents != second.documents or first.documents != sizes.synced + _FEW:
        raise RuntimeError(f"{first.documents} documents, then {second.documents}: this measures nothing.")
    pages = -(-second.documents // 100)
    return Section(
        f"7. Sync: a knowledge base follows a folder of {sizes.synced:,} files of a kilobyte",
        [
            Line("sync_rate", "new files", sizes.synced / run.seconds, "files/s",
                 "Until they are indexed, in a Dify whose calls cost no time."),
            Line("sync_memory", "memory", run.growth / _MEGABYTE, "MB",
                 f"Growth at most, beyond what {_FEW} files take.", Bound("below", 10)),
            Line("sync_again_rate", "unchanged files", sizes.synced / again.seconds, "files/s",
                 "Each is read, for its digest."),
            Line("sync_again_memory", "memory for unchanged files", again.growth / _MEGABYTE, "MB",
                 f"Growth at most, beyond what {_FEW} files take.", Bound("below", 10)),
            Line("sync_again", "requests of the second run", second.requests - first.requests, "requests",
                 f"Nothing has changed: two looks, each at the knowledge base and its {pages} pages.",
                 Bound("at most", 2 * (pages + 1))),
        ],
    )  # fmt: skip


def _measure(files: int, root: Path) -> _Run:
    target = Target(**json.load(sys.stdin))
    _sync(target, folder_of(root / "few", _FEW))
    forget_peak()
    folder = folder_of(root / "many", files)
    before, began = peak(), time.monotonic()
    _sync(target, folder)
    return _Run(time.monotonic() - began, peak() - before)


def _sync(target: Target, source: Path) -> None:
    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.sync.options import SyncOptions

    with DifyHook(clients.CONNECTION_ID) as hook:
        options = SyncOptions(indexing_technique="economy", max_active=200, poll_interval=1.0)
        hook.sync_documents(target.dataset_id, source, options)


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(int(sys.argv[1]), Path(sys.argv[2])))))
