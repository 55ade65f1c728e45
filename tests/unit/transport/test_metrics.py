"""What is counted and timed, through Airflow's own interface for metrics."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.testing import FakeDify, Fault
from tests.unit.conftest import UNKNOWN, Change, Ingest
from tests.unit.status.proving import a_dify, fill, prove
from tests.unit.status.test_deferred import Played, locked, worker_is_down

#: Every name that this package may send.
NAMES = re.compile(
    r"dify\.(requests\.(\d{3}|failed)|retries|search_lag|repairs\.(succeeded|failed)"
    r"|documents\.(status|ingest|sync|rollback|delete|metadata)\.[a-z_]+"
    r"|(releases|runs|answers|queries)\.[a-z_]+)"
)


class Stats:
    """What Airflow would send."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.times: dict[str, list[float]] = {}

    def incr(self, stat: str, count: int = 1) -> None:
        assert NAMES.fullmatch(stat)
        self.counts[stat] += count

    def timing(self, stat: str, dt: timedelta) -> None:
        assert NAMES.fullmatch(stat)
        self.times.setdefault(stat, []).append(dt.total_seconds())

    def of(self, prefix: str) -> dict[str, int]:
        """The counts whose name begins so, without that."""
        start = f"dify.{prefix}."
        return {name.removeprefix(start): count for name, count in self.counts.items() if name.startswith(start)}


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Stats:
    stats = Stats()
    monkeypatch.setattr(sdk, "Stats", stats)
    return stats


def test_a_task_counts_its_documents_and_requests(dify: FakeDify, change: Change, stats: Stats) -> None:
    kb = dify.add_dataset("handbook")
    pages = [*kb.add_documents(3), kb.add_document("old", archived=True)]
    change("archive", [*pages, UNKNOWN], tolerate=["missing"])
    assert stats.of("documents") == {"status.changed": 3, "status.unchanged": 1, "status.missing": 1}
    assert stats.of("requests") == Counter(str(request.status) for request in dify.requests)
    assert "dify.retries" not in stats.counts
    (lag,) = stats.times["dify.search_lag"]
    assert 0 < lag <= sum(dify.clock.slept)


def test_a_failed_task_counts_too(dify: FakeDify, change: Change, stats: Stats) -> None:
    dify.worker.stop()
    change("archive", dify.add_dataset("handbook").add_documents(2))
    assert stats.of("documents") == {"status.lagging": 2}
    assert stats.times == {}


def test_a_dry_run_counts_no_documents(dify: FakeDify, change: Change, stats: Stats) -> None:
    change("archive", dify.add_dataset("handbook").add_documents(2), dry_run=True)
    assert stats.of("documents") == {}
    assert stats.of("requests")


def test_retries_and_failures(dify: FakeDify, hook: DifyHook, stats: Stats) -> None:
    kb = dify.add_dataset("handbook")
    dify.faults.add(Fault("status", status=502), Fault("reset_before"))
    hook.get_dataset(kb.id)
    assert stats.counts == {
        "dify.requests.502": 1,
        "dify.requests.failed": 1,
        "dify.requests.200": 1,
        "dify.retries": 2,
    }


def test_what_cannot_be_sent_is_no_request(connect: Any, stats: Stats) -> None:
    hook = connect(host="https://127.0.0.1:1", extra={"verify": "/nowhere/ca.pem"})
    with pytest.raises(DifyInputError, match=r"/nowhere/ca\.pem"):
        hook.get_dataset(UNKNOWN)
    assert stats.counts == {}


def test_repairs(stats: Stats) -> None:
    with a_dify(lost_keywords=0.5) as dify:
        run = prove(dify, "un_archive", fill(dify.add_dataset("handbook"), 10, in_use=False), timeout=3600)
    assert stats.of("repairs") == {"succeeded": run.report.repaired}


def test_repairs_that_fail(stats: Stats) -> None:
    with a_dify(lost_keywords="always") as dify:
        run = prove(dify, "un_archive", fill(dify.add_dataset("handbook"), 2, in_use=False), timeout=3600)
    assert len(run.report.lagging) == 2
    assert stats.of("repairs") == {"failed": 2}
    assert stats.times == {}


@pytest.mark.parametrize("build", [locked, worker_is_down])
def test_a_deferred_task_counts_each_document_once(build: Any, dify: FakeDify, stats: Stats) -> None:
    played = Played(dify, build, deferrable=True)
    assert stats.of("documents") == {}  # it is not over
    played.wait()
    played.resume()
    report = played.task.xcom["report"]
    assert stats.of("documents") == {f"status.{name}": count for name, count in report["counts"].items() if count}
    assert sum(stats.of("requests").values()) == len(dify.requests)
    assert len(stats.times.get("dify.search_lag", [])) == (build is locked)


def test_the_lag_goes_on_in_the_triggerer(dify: FakeDify, stats: Stats) -> None:
    dify.worker.stop()
    dify.world.schedule(300, lambda at: dify.worker.start())
    pages = dify.add_dataset("handbook").add_documents(3)
    played = Played(dify, lambda _: (pages, {"action": "archive"}), deferrable=True)
    played.wait()
    (lag,) = stats.times["dify.search_lag"]
    assert 295 < lag < 330


def test_methods_of_the_hook(dify: FakeDify, hook: DifyHook, stats: Stats) -> None:
    kb = dify.add_dataset("handbook")
    pages = kb.add_documents(3)
    ids = [page.id for page in pages]
    hook.change_document_status(kb.id, ids, "disable", StatusOptions(wait_for_completion=False))
    hook.set_document_metadata(kb.id, ids, {"team": "docs"})
    hook.delete_documents(kb.id, ids[:2])
    assert stats.of("documents") == {"status.changed": 3, "metadata.changed": 3, "delete.deleted": 2}
    with pytest.raises(DifyError):
        hook.change_document_status(kb.id, ids, "enable")
    assert stats.of("documents")["status.missing"] == 2


def test_an_ingestion_counts_and_times(ingest: Ingest, folder: Path, stats: Stats) -> None:
    ingest(str(folder))
    assert stats.of("documents") == {"ingest.created": 3}
    assert len(stats.times["dify.search_lag"]) == 1
    ingest(str(folder))
    assert stats.of("documents") == {"ingest.created": 3, "ingest.skipped": 3}


def test_a_backend_that_fails_fails_nothing(dify: FakeDify, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(f"no {name}")

    monkeypatch.setattr(sdk, "Stats", Broken())
    assert change("archive", dify.add_dataset("handbook").add_documents(1)).green
