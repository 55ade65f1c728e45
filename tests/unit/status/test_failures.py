"""Dify fails in the middle: the report is right, nothing is applied twice, nothing is lost."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAuthenticationError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import Change, patches


def applied(dify: FakeDify) -> set[int]:
    """How often each document was in a change that Dify accepted (or whose response was lost)."""
    taken = [r for r in dify.requests if r.method == "PATCH" and r.status in (200, None)]
    return set(Counter(i for request in taken for i in set(request.json["document_ids"])).values())


@pytest.mark.parametrize("kind", ["reset_after", "status_after"])
def test_an_answer_is_lost_after_the_batch_was_applied(dify: FakeDify, kb: Dataset, change: Change, kind: str) -> None:
    pages = kb.add_documents(250)
    dify.faults.add(Fault(kind, method="PATCH", after=1, status=504))  # type: ignore[arg-type]
    run = change("archive", pages)
    assert run.green
    assert run.report["counts"]["changed"] == 250
    assert all(page.archived and not page.in_search for page in pages)
    assert applied(dify) <= {1}
    assert len(patches(dify)) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset_before", method="PATCH", after=1),
        Fault("status", method="PATCH", after=1, status=502),
        Fault("page", method="PATCH", after=1, status=502),
        Fault("status", method="PATCH", after=1, status=429, retry_after=3),
        Fault("status", method="PATCH", after=1, status=503, retry_after=3, retry_after_as="date"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_batch_fails_in_the_middle(dify: FakeDify, kb: Dataset, change: Change, fault: Fault) -> None:
    pages = kb.add_documents(250)
    dify.faults.add(fault)
    run = change("archive", pages)
    assert run.green
    assert run.report["counts"]["changed"] == 250
    assert len(patches(dify)) == 4
    if fault.retry_after:
        assert 3 in dify.clock.slept


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status", "hang"])
def test_reads_are_repeated(
    dify: FakeDify, kb: Dataset, change: Change, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection({"timeout": 0.2}))
    dify.faults.add(Fault(kind, method="GET", status=500, times=4))  # type: ignore[arg-type]
    assert change("archive", kb.add_documents(3)).green
    assert len(dify.clock.slept) >= 3


def test_dify_stays_down(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(250)
    dify.faults.add(Fault("status", status=503, after=5, times=None))  # its name, three pages, one batch
    run = change("archive", pages)
    assert isinstance(run.error, DifyServerError)
    assert run.error.report is not None
    assert run.error.report.to_json() == run.report
    # A 503 may come from a proxy that lost the response; possible changes have to be in the rollback list.
    assert [page.id for page in pages if page.archived] == run.report["changed"][:100]
    # Nor could Dify be asked whether accepted changes are still there.
    told = [run.report["errors"][document_id] for document_id in run.report["changed"]]
    assert [text.partition(" ended ")[0] for text in told[:100]] == ["Dify accepted the change, but the run"] * 100
    assert all(text.endswith("it may not have been changed.") for text in told[100:])
    assert len(run.report["errors"]) == 200
    assert run.report["counts"] == {**run.report["counts"], "changed": 200, "not_attempted": 50}


def test_the_change_is_the_cause_even_if_dify_goes_down(dify: FakeDify, kb: Dataset, change: Change) -> None:
    page = kb.add_document("page")
    dify.faults.add(Fault("status", method="PATCH", status=429, retry_after=10_000))
    dify.faults.add(Fault("status", method="GET", status=500, after=2, times=None))
    run = change("archive", [page])
    assert isinstance(run.error, DifyRateLimitError)
    assert run.not_empty == {"not_attempted": ["page"]}


def test_what_is_not_proven_is_told_where_the_run_breaks_off(
    dify: FakeDify, kb: Dataset, change: Change, said: pytest.LogCaptureFixture
) -> None:
    kept, page = kb.add_document("kept", archived=True, in_search=True), kb.add_document("page")
    dify.faults.add(Fault("status", path="/segments", status=401, times=None))
    run = change("archive", [kept, page])
    assert isinstance(run.error, DifyAuthenticationError)
    assert run.not_empty == {"changed": ["page"], "unchanged": ["kept"]}
    assert said.messages[-2].splitlines()[2:] == [
        f"changed    page  {page.id}  Dify accepted the change, but the run ended before this was proven.",
        f"unchanged  kept  {kept.id}  The run ended before search was checked.",
    ]


def test_a_change_that_could_not_be_looked_at_once_more_is_in_doubt(
    dify: FakeDify, kb: Dataset, change: Change
) -> None:
    page, busy = kb.add_document("page"), kb.add_document("busy")
    busy.lock(600)
    dify.worker.stop()
    dify.worker.failing.add(page.id)  # it undoes the change, when it is up again
    kb.world.schedule(30, lambda at: dify.worker.start())
    kb.world.schedule(30, lambda at: dify.faults.add(Fault("status", status=503, times=None)))
    run = change("disable", [page, busy], wait_for_completion=False)
    assert isinstance(run.error, DifyServerError)
    assert page.enabled
    assert run.not_empty == {"changed": ["page"], "not_attempted": ["busy"]}
    assert "before this was proven" in run.report["errors"][page.id]


def test_dify_goes_away_after_it_applied_a_batch(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(250)
    dify.faults.add(Fault("reset_after", method="PATCH", after=1))
    dify.faults.add(Fault("reset_before", after=5, times=None))
    run = change("archive", pages)
    assert isinstance(run.error, DifyTransportError)
    # The response was lost and the document could not be read again: possible changes have to be in the rollback list.
    assert run.changed == [page.name for page in pages if page.archived]
    assert run.report["counts"]["changed"] == 200
    assert "may not have been changed" in run.report["errors"][pages[150].id]


def test_a_change_that_keeps_failing_is_given_up_with_an_exact_report(
    dify: FakeDify, kb: Dataset, change: Change
) -> None:
    pages = kb.add_documents(150)
    dify.faults.add(Fault("status", method="PATCH", status=500, after=1, times=None))
    run = change("archive", pages)
    assert isinstance(run.error, DifyServerError)
    assert len(patches(dify)) == 1 + 5
    assert run.changed == [page.name for page in pages if page.archived]
    assert run.report["counts"]["not_attempted"] == 50


def test_access_is_switched_off_halfway(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(150)
    dify.faults.add(
        Fault(
            "status",
            method="PATCH",
            status=403,
            after=1,
            times=None,
            body='{"code": "forbidden", "message": "Dataset api access is not enabled.", "status": 403}',
        )
    )
    run = change("archive", pages)
    assert isinstance(run.error, DifyAccessError)
    assert len(patches(dify)) == 2
    assert run.report["counts"]["changed"] == 100


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_retry_after_beyond_the_deadline_ends_at_once(
    dify: FakeDify, kb: Dataset, change: Change, method: str
) -> None:
    dify.faults.add(Fault("status", method=method, status=429, retry_after=3600, times=None))
    run = change("archive", kb.add_documents(3))
    assert isinstance(run.error, DifyRateLimitError)
    assert run.error.retry_after == 3600
    assert dify.clock.slept == []


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_the_plan_limit_is_waited_for(dify: FakeDify, kb: Dataset, change: Change, method: str) -> None:
    dify.faults.add(Fault("plan_limit", method=method, times=12))
    assert change("archive", kb.add_documents(3)).green
    dify.faults.add(Fault("plan_limit", method=method, times=None))
    run = change("un_archive", kb.documents, timeout=200)
    assert isinstance(run.error, DifyPlanLimitError)
    assert sum(dify.clock.slept) > 200


def test_the_task_is_broken_off(dify: FakeDify, kb: Dataset, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
    from tests.unit.conftest import TaskInstance

    class BrokenOffError(Exception):
        """Like Airflow's timeout: raised wherever the task is at the moment."""

    pages = kb.add_documents(3)
    pages[0].lock(600)

    def sleep(seconds: float) -> None:
        raise BrokenOffError

    monkeypatch.setattr(dify.clock, "sleep", sleep)
    task = TaskInstance()
    operator = DifyDocumentStatusOperator(
        task_id="t", dataset_id=kb.id, document_ids=[page.id for page in pages], action="archive"
    )
    with pytest.raises(BrokenOffError):
        operator.execute({"ti": task})  # type: ignore[typeddict-item]
    assert task.xcom["report"]["changed"] == [pages[1].id, pages[2].id]
    assert task.xcom["report"]["not_attempted"] == [pages[0].id]
