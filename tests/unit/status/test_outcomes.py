"""Every outcome, through the operator, and what it means for the documents in Dify."""

from __future__ import annotations

import pytest

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyDocumentStatusFailed
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.unit.conftest import UNKNOWN, Change, patches

#: action, then enabled, archived and in search of a completed document before, and after.
TABLE = [
    ("enable", (False, False, False), (True, False, True)),
    ("disable", (True, False, True), (False, False, False)),
    ("disable", (True, True, False), (False, True, False)),
    ("archive", (True, False, True), (True, True, False)),
    ("archive", (False, False, False), (False, True, False)),
    ("un_archive", (True, True, False), (True, False, True)),
    ("un_archive", (False, True, False), (False, False, False)),
]
THERE_ALREADY = [
    ("enable", True, False),
    ("disable", False, False),
    ("disable", False, True),
    ("archive", True, True),
    ("archive", False, True),
    ("un_archive", True, False),
    ("un_archive", False, False),
]


@pytest.mark.parametrize(("action", "before", "after"), TABLE)
def test_changed(
    kb: Dataset, change: Change, action: str, before: tuple[bool, bool, bool], after: tuple[bool, bool, bool]
) -> None:
    document = kb.add_document("page", enabled=before[0], archived=before[1])
    assert document.in_search is before[2]
    run = change(action, [document])
    assert run.not_empty == {"changed": ["page"]}
    assert run.green
    assert (document.enabled, document.archived, document.in_search) == after


@pytest.mark.parametrize(("action", "enabled", "archived"), THERE_ALREADY)
def test_unchanged_is_left_alone(
    dify: FakeDify, kb: Dataset, change: Change, action: str, enabled: bool, archived: bool
) -> None:
    document = kb.add_document("page", enabled=enabled, archived=archived)
    document.lock()  # a PATCH would be refused
    run = change(action, [document])
    assert run.not_empty == {"unchanged": ["page"]}
    assert run.green
    assert patches(dify) == []


def test_missing_stops_everything_before_a_change(dify: FakeDify, kb: Dataset, change: Change) -> None:
    foreign = dify.add_dataset("other").add_document("foreign")
    run = change("archive", [kb.add_document("page"), UNKNOWN, foreign, kb.add_document("old", archived=True)], kb=kb)
    assert run.missing == [UNKNOWN, "foreign"]
    assert run.not_attempted == ["page"]
    assert run.unchanged == ["old"]
    assert isinstance(run.error, DifyDocumentStatusFailed)
    assert run.report["errors"] == {}
    assert patches(dify) == []


def test_missing_can_be_tolerated(kb: Dataset, change: Change) -> None:
    page = kb.add_document("page")
    run = change("archive", [UNKNOWN, page], kb=kb, tolerate="missing")
    assert run.not_empty == {"changed": ["page"], "missing": [UNKNOWN]}
    assert run.green
    assert page.archived


@pytest.mark.parametrize("enabled", [True, False])
def test_refused_stops_everything_before_a_change(dify: FakeDify, kb: Dataset, change: Change, enabled: bool) -> None:
    archived = kb.add_document("archived", enabled=enabled, archived=True)
    run = change("enable", [kb.add_document("page", enabled=False), archived])
    assert run.not_empty == {"refused": ["archived"], "not_attempted": ["page"]}
    assert isinstance(run.error, DifyDocumentStatusFailed)
    assert "un_archive" in run.report["errors"][archived.id]
    assert patches(dify) == []


@pytest.mark.parametrize("state", ["error", "paused"])
def test_not_ready_at_once_where_indexing_ended_badly(dify: FakeDify, kb: Dataset, change: Change, state: str) -> None:
    broken = kb.add_document(
        "broken",
        indexing_status="error" if state == "error" else "indexing",
        paused=state == "paused",
        error="no embedding model" if state == "error" else None,
    )
    run = change("archive", [broken, kb.add_document("page")])
    assert run.not_empty == {"changed": ["page"], "not_ready": ["broken"]}
    assert isinstance(run.error, DifyDocumentStatusError)
    assert not isinstance(run.error, DifyDocumentStatusFailed)
    assert ("no embedding model" if state == "error" else "paused") in run.report["errors"][broken.id]
    assert all(broken.id not in ids for ids in patches(dify))


def test_a_failed_document_that_shall_be_out_of_search_is_out_of_it(kb: Dataset, change: Change) -> None:
    broken = kb.add_document("broken", indexing_status="error", error="no model", enabled=False, in_search=False)
    assert change("disable", [broken]).not_empty == {"unchanged": ["broken"]}


@pytest.mark.parametrize("status", ["waiting", "parsing", "cleaning", "splitting", "indexing"])
def test_waits_for_indexing_and_then_changes(dify: FakeDify, kb: Dataset, change: Change, status: str) -> None:
    page = kb.add_document("page", indexing_status=status)
    page.finish_indexing(after=100)
    run = change("archive", [page])
    assert run.not_empty == {"changed": ["page"]}
    assert (page.archived, page.in_search) == (True, False)
    assert 100 <= sum(dify.clock.slept) <= 121


def test_not_ready_when_indexing_takes_longer_than_the_timeout(dify: FakeDify, kb: Dataset, change: Change) -> None:
    page = kb.add_document("page", indexing_status="splitting")
    run = change("archive", [page], timeout=60)
    assert run.not_empty == {"not_ready": ["page"]}
    assert patches(dify) == []
    assert sum(dify.clock.slept) == pytest.approx(60)


def test_a_document_archived_while_it_was_indexed_is_not_left_in_search(kb: Dataset, change: Change) -> None:
    page = kb.add_document("page", indexing_status="indexing", archived=True)
    page.finish_indexing(after=30)
    run = change("archive", [page], timeout=300)
    assert page.in_search  # as in Dify: archived, but found anyway
    assert run.not_empty == {"lagging": ["page"]}
    assert change("archive", [page], timeout=300, repair=True).green
    assert (page.archived, page.in_search) == (True, False)


def test_busy_when_the_lock_outlives_the_timeout(dify: FakeDify, kb: Dataset, change: Change) -> None:
    locked, page = kb.add_document("locked"), kb.add_document("page")
    locked.lock(600)
    run = change("archive", [locked, page], timeout=120)
    assert run.not_empty == {"changed": ["page"], "busy": ["locked"]}
    assert isinstance(run.error, DifyDocumentStatusError)
    assert run.error.retryable
    assert not locked.archived
    assert sum(dify.clock.slept) == pytest.approx(120)


def test_waits_until_a_lock_ends(dify: FakeDify, kb: Dataset, change: Change) -> None:
    locked = kb.add_document("locked")
    locked.lock(600)
    assert change("archive", [locked]).not_empty == {"changed": ["locked"]}
    assert 600 <= sum(dify.clock.slept) <= 620


def test_a_busy_document_that_comes_into_the_wanted_state_by_itself(kb: Dataset, change: Change) -> None:
    page = kb.add_document("page")
    page.lock(600)
    kb.world.schedule(100, lambda at: page.set(archived=True, in_search=False))
    assert change("archive", [page]).not_empty == {"unchanged": ["page"]}


def test_a_document_deleted_on_the_way_is_missing(dify: FakeDify, kb: Dataset, change: Change) -> None:
    dify.worker.stop()
    page, gone = kb.add_document("page"), kb.add_document("gone")
    kb.world.schedule(5, lambda at: remove(kb, gone))
    kb.world.schedule(6, lambda at: dify.worker.start())
    run = change("archive", [page, gone])
    assert run.not_empty == {"changed": ["page"], "missing": ["gone"]}
    assert not run.green
    assert change("archive", [page, gone], tolerate=["missing"]).green


@pytest.mark.parametrize("wait", [True, False])
def test_a_report_has_each_id_once_and_in_order(kb: Dataset, change: Change, wait: bool) -> None:
    pages = [kb.add_document(f"page {n}", archived=n % 3 == 0) for n in range(30)]
    asked = [*pages, pages[3], pages[4].id.upper(), pages[5].id.replace("-", "")]
    run = change("archive", asked, wait_for_completion=wait)
    assert run.changed == [page.name for n, page in enumerate(pages) if n % 3]
    assert run.unchanged == [page.name for n, page in enumerate(pages) if n % 3 == 0]
    assert sum(run.report["counts"].values()) == 30
    assert run.report["errors"] == {}


def remove(kb: Dataset, document: Document) -> None:
    row = kb.get(document.id)
    assert row
    kb.remove(row)
