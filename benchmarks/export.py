"""How much memory an export and its recreation need, measured in a fresh process that runs this module."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import clients
from benchmarks.files import in_a_process
from benchmarks.memory import forget_peak, peak
from benchmarks.server import FEW, Setup, Target, running
from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress

_MEGABYTE = 1_000_000
#: Size of each document.
_BYTES = 100_000
_MEANING = "Growth at most, beyond what {} such documents take. All contents together have {:.0f} MB."


@dataclass(frozen=True)
class _Run:
    """Maximum growth of the process in bytes, after a few documents of the same kind.

    :param export: While it exports.
    :param again: While it exports again; nothing has changed.
    :param recreation: While it recreates the export in another knowledge base.
    """

    export: int
    again: int
    recreation: int


def measure(sizes: Sizes) -> Section:
    """Export a knowledge base twice, and recreate it."""
    progress(f"exporting {sizes.exported:,} documents, and recreating them")
    setup = Setup(sizes.exported, costs=None, bytes_each=_BYTES)
    with tempfile.TemporaryDirectory(prefix="dify-bench-export-") as folder, running(setup) as dify:
        run = _Run(**in_a_process(__name__, dify.target, sizes.exported, folder))
        sent = dify.tally().uploads
    if sent != sizes.exported + FEW:
        raise RuntimeError(f"{sent} documents were recreated, not {sizes.exported + FEW}: this measures nothing.")
    meaning = _MEANING.format(FEW, sizes.exported * _BYTES / _MEGABYTE)
    return Section(
        f"9. Export: {sizes.exported:,} documents of {_BYTES // 1000} kB, recreated in another knowledge base",
        [
            Line("export_memory", "memory for the export", run.export / _MEGABYTE, "MB", meaning, Bound("below", 20)),
            Line("export_again_memory", "memory for the next export", run.again / _MEGABYTE, "MB",
                 "Nothing has changed: each file is read for its digest.", Bound("below", 20)),
            Line("recreation_memory", "memory for the recreation", run.recreation / _MEGABYTE, "MB",
                 meaning, Bound("below", 20)),
        ],
    )  # fmt: skip


def _measure(root: Path) -> _Run:
    target = Target(**json.load(sys.stdin))
    _export(target.few_dataset_id, root / "few")
    _recreate("copy of a few", root / "few")
    export = _growth(lambda: _export(target.dataset_id, root / "many"))
    again = _growth(lambda: _export(target.dataset_id, root / "many"))
    return _Run(export, again, _growth(lambda: _recreate("copy", root / "many")))


def _growth(work: Callable[[], None]) -> int:
    forget_peak()
    before = peak()
    work()
    return peak() - before


def _export(dataset_id: str, target: Path) -> None:
    from airflow_provider_dify.hooks.dify import DifyHook

    with DifyHook(clients.CONNECTION_ID) as hook:
        hook.export_dataset(dataset_id, target)


def _recreate(name: str, source: Path) -> None:
    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.sync.options import SyncOptions

    with DifyHook(clients.CONNECTION_ID) as hook:
        dataset_id = hook.create_dataset(name).dataset_id
        options = SyncOptions(max_active=200, poll_interval=1.0)
        hook.sync_documents(dataset_id, source, options, sync_source="benchmark")


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(Path(sys.argv[2])))))
