"""Search has to follow: the worker is down, slow, or fails, or the job was lost. None of that is ever green."""

from __future__ import annotations

import pytest

from airflow_provider_dify.exceptions import DifyDocumentStatusError
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import Change, patches

ACTIONS = ["enable", "disable", "archive", "un_archive"]


def pages_for(kb: Dataset, action: str, number: int = 3) -> list:  # type: ignore[type-arg]
    before = {"enabled": action != "enable", "archived": action == "un_archive"}
    return [kb.add_document(f"page {n}", **before) for n in range(number)]  # type: ignore[arg-type]


@pytest.mark.parametrize("action", ACTIONS)
def test_the_worker_is_down(dify: FakeDify, kb: Dataset, change: Change, action: str) -> None:
    dify.worker.stop()
    pages = pages_for(kb, action)
    first = change(action, pages, timeout=120)
    retry = change(action, pages, timeout=120)
    for run in (first, retry):
        assert run.not_empty == {"lagging": ["page 0", "page 1", "page 2"]}
        assert isinstance(run.error, DifyDocumentStatusError)
    dify.worker.start()
    assert change(action, pages).not_empty == {"unchanged": ["page 0", "page 1", "page 2"]}


def test_flags_only(dify: FakeDify, kb: Dataset, change: Change) -> None:
    dify.worker.stop()
    assert change("archive", pages_for(kb, "archive"), wait_for_completion=False).green
    assert dify.clock.slept == []


@pytest.mark.parametrize(
    "action", [pytest.param(one, marks=[pytest.mark.large] * (one in ("disable", "enable"))) for one in ACTIONS]
)
def test_the_broker_lost_the_job(dify: FakeDify, kb: Dataset, change: Change, action: str) -> None:
    pages = pages_for(kb, action)
    dify.broker.stop()
    lost = change(action, pages, timeout=60)
    assert lost.not_empty == {"lagging": ["page 0", "page 1", "page 2"]}  # 500, then a read: the flags are set
    dify.broker.start()
    retry = change(action, pages, timeout=60)
    assert retry.not_empty == {"lagging": ["page 0", "page 1", "page 2"]}
    assert not retry.green
    mended = change(action, pages, repair=True)
    assert mended.not_empty == {"unchanged": ["page 0", "page 1", "page 2"]}
    assert mended.green
    assert all(page.in_search is (action in ("enable", "un_archive")) for page in pages)


def test_a_repair_within_the_run_that_changed_the_documents(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = pages_for(kb, "archive", 5)
    dify.broker.full = True  # the flags are set, no lock, no job
    kb.world.schedule(20, lambda at: setattr(dify.broker, "full", False))
    run = change("archive", pages, repair=True, timeout=300)
    assert run.not_empty == {"changed": [page.name for page in pages]}
    assert run.green
    assert all(page.archived and not page.in_search for page in pages)


def test_a_repair_tries_one_document_before_the_others(dify: FakeDify, kb: Dataset, change: Change) -> None:
    """If the worker is down, a repair cannot help, and would leave documents in the opposite state."""
    pages = pages_for(kb, "archive", 20)
    dify.worker.stop()
    change("archive", pages, timeout=30)
    dify.clock.advance(700)  # the locks are gone, the worker is still down
    run = change("archive", pages, repair=True, timeout=100)
    assert not run.green
    assert sum(page.archived for page in pages) >= 19
    assert run.report["counts"]["busy"] == 1
    assert "opposite" in run.report["errors"][run.report["busy"][0]]
    assert run.report["counts"]["lagging"] == 19


@pytest.mark.parametrize(("action", "adding"), [("enable", True), ("un_archive", True), ("disable", False)])
def test_the_worker_fails(dify: FakeDify, kb: Dataset, change: Change, action: str, adding: bool) -> None:
    pages = pages_for(kb, action)
    if adding:
        dify.worker.fail_adding = "vector store is full"
    else:
        dify.worker.fail_removing = "vector store is away"
    dify.worker.failing.add(pages[1].id)
    run = change(action, [pages[1]])
    assert run.not_empty == {"reverted": ["page 1"]}
    assert not run.green
    if adding:
        assert "vector store is full" in run.report["errors"][pages[1].id]


def test_the_worker_fails_with_some_of_many(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(300)
    dify.worker.failing.update(page.id for page in pages[::10])
    run = change("disable", pages)
    assert run.reverted == [page.name for page in pages[::10]]
    assert run.report["counts"] == {**run.report["counts"], "changed": 270, "reverted": 30}
    assert [page.enabled for page in pages] == [n % 10 == 0 for n in range(300)]


def test_a_worker_that_fails_while_archiving_leaves_the_document_in_search(
    dify: FakeDify, kb: Dataset, change: Change
) -> None:
    dify.worker.fail_removing = "vector store is away"
    page = kb.add_document("page")
    run = change("archive", [page], timeout=60)
    assert run.not_empty == {"lagging": ["page"]}  # archived, but found anyway
    assert page.in_search


def test_documents_without_segments_have_nothing_to_follow(kb: Dataset, change: Change) -> None:
    assert change("archive", [kb.add_document("empty", text="", segments=0)]).green


@pytest.mark.usefixtures("never_idle")
def test_it_costs_one_read_for_each_document(dify: FakeDify, kb: Dataset, change: Change) -> None:
    dify.worker.jobs = 1
    assert change("archive", kb.add_documents(300)).green
    reads = sum("/segments" in request.path for request in dify.requests)
    assert reads <= 1.25 * 300
    # 300 jobs of 0.06 s, and at most one late check
    assert 18 <= sum(dify.clock.slept) <= 33
    assert dify.connections == 1


def test_a_slow_worker_is_waited_for(dify: FakeDify, kb: Dataset, change: Change) -> None:
    dify.worker.seconds_per_job = 30.0
    assert change("archive", kb.add_documents(20)).green


def test_two_runs_of_the_same_change_at_once_bear_each_other(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = pages_for(kb, "archive", 10)
    kb.world.schedule(0.2, lambda at: None)
    first = change("archive", pages[:6], wait_for_completion=False)
    second = change("archive", pages)
    assert (first.green, second.green) == (True, True)
    assert second.unchanged == [page.name for page in pages[:6]]
    assert len(patches(dify)) == 2
