"""Deleting documents: whatever their state and whatever goes wrong, the report is right."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyDocumentDeleteError,
    DifyError,
    DifyGuardError,
    DifyInputError,
    DifyNotFoundError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.deletion.report import DeleteOutcome, DeleteReport
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault, VirtualClock
from tests.unit.conftest import UNKNOWN, TaskInstance

OUTCOMES = [outcome.value for outcome in DeleteOutcome]


@dataclass
class Run:
    """One run of a task: what it returned, raised, and left in XCom."""

    report: dict[str, Any]
    error: DifyError | None
    names: dict[str, str]

    @property
    def not_empty(self) -> dict[str, list[str]]:
        return {o: [self.names.get(i, i) for i in self.report[o]] for o in OUTCOMES if self.report[o]}


Delete = Callable[..., Run]


@pytest.fixture
def delete(dify: FakeDify, kb: Dataset) -> Delete:
    """Run a DifyDocumentDeleteOperator; errors of the provider are in the result."""

    def run(documents: list[Document | str] | None = None, **kwargs: Any) -> Run:
        names = {document.id: document.name for document in kb.documents}
        ids = None if documents is None else [one if isinstance(one, str) else one.id for one in documents]
        operator = DifyDocumentDeleteOperator(task_id="delete", dataset_id=kb.id, document_ids=ids, **kwargs)
        task, error, returned = TaskInstance(), None, None
        try:
            returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
        except DifyError as raised:
            error = raised
        assert returned is None or returned == task.xcom["report"]
        report = task.xcom["report"]
        assert DeleteReport.from_json(json.loads(json.dumps(report))).to_json() == report
        return Run(report, error, names)

    return run


def changes(dify: FakeDify) -> list[str]:
    """What was sent to change something: each DELETE, and each status change by its action."""
    sent = [request for request in dify.requests if request.method != "GET"]
    return [request.path.rpartition("/")[2] if request.method == "PATCH" else request.method for request in sent]


@pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
@pytest.mark.parametrize(
    ("state", "sent"),
    [
        ({}, ["DELETE"]),
        ({"enabled": False}, ["DELETE"]),
        ({"indexing_status": "indexing"}, ["DELETE"]),
        ({"indexing_status": "error"}, ["DELETE"]),
        ({"archived": True}, ["disable", "un_archive", "DELETE"]),
        ({"archived": True, "enabled": False}, ["un_archive", "DELETE"]),
        ({"archived": True, "indexing_status": "indexing"}, ["un_archive", "DELETE"]),
        ({"archived": True, "indexing_status": "error"}, ["un_archive", "DELETE"]),
    ],
    ids=str,
)
def test_every_state(
    dify: FakeDify, kb: Dataset, delete: Delete, version: str, state: dict[str, Any], sent: list[str]
) -> None:
    dify.world.version = version
    page = kb.add_document("page", **state)
    kb.add_document("other")
    run = delete([page])
    assert run.error is None
    assert run.not_empty == {"deleted": ["page"]}
    assert run.report["errors"] == {}
    assert [document.name for document in kb.documents] == ["other"]
    assert list(dict.fromkeys(changes(dify))) == sent
    assert dify.requests[-1].method == "GET"  # the proof


def test_what_is_archived_never_comes_back_into_search(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = [kb.add_document(f"page-{n}", archived=True) for n in range(130)]
    dify.faults.add(Fault("latency", method="DELETE", seconds=1, times=None))
    found: list[str] = []

    def look() -> None:
        found.extend(one.name for one in dify.world.documents if one.in_search)

    assert isinstance(dify.clock, VirtualClock)
    dify.clock.on_advance(look)
    assert delete(list(pages)).not_empty == {"deleted": [page.name for page in pages]}
    assert found == []
    assert kb.documents == []
    # No more than a few are un-archived at a time before they are deleted.
    assert max(len(r.json["document_ids"]) for r in dify.requests if r.path.endswith("un_archive")) <= 20


def test_gone_already(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    foreign = dify.add_dataset("other").add_document("foreign")
    page = kb.add_document("page")
    run = delete([UNKNOWN, page, foreign.id])
    assert run.error is None
    assert run.not_empty == {"deleted": ["page"], "missing": [UNKNOWN, foreign.id]}
    assert changes(dify) == ["DELETE"]
    assert foreign.in_search
    again = delete([UNKNOWN, page.id])
    assert again.not_empty == {"missing": [UNKNOWN, page.id]}


def test_gone_meanwhile(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    first, second = kb.add_documents(2)
    dify.faults.add(Fault("latency", method="DELETE", seconds=1))
    dify.world.schedule(0.5, lambda at: kb.remove(second._row))
    run = delete([first, second])
    assert run.not_empty == {"deleted": [first.name], "missing": [second.name]}


def test_archived_meanwhile(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    first, second = kb.add_documents(2)
    dify.faults.add(Fault("latency", method="DELETE", seconds=1))
    dify.world.schedule(0.5, lambda at: second.set(archived=True, in_search=False))
    run = delete([first, second])
    assert run.not_empty == {"deleted": [first.name, second.name]}
    assert changes(dify)[:4] == ["DELETE", "DELETE", "disable", "un_archive"]


def test_a_lock_is_waited_for(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    locked = kb.add_document("locked", archived=True)
    locked.lock(600)
    run = delete([locked, kb.add_document("page", archived=True)])
    assert run.not_empty == {"deleted": ["locked", "page"]}
    assert 600 <= sum(dify.clock.slept) < 620


@pytest.mark.parametrize("enabled", [True, False])
def test_a_lock_outlives_the_deadline(dify: FakeDify, kb: Dataset, delete: Delete, enabled: bool) -> None:
    locked = kb.add_document("locked", archived=True, enabled=enabled)
    locked.lock(600)
    run = delete([locked, kb.add_document("page", archived=True), kb.add_document("live")], timeout=100)
    assert run.not_empty == {"deleted": ["page", "live"], "busy": ["locked"]}
    assert isinstance(run.error, DifyDocumentDeleteError)
    assert run.error.retryable
    assert f"1 of 3 documents of knowledge base {kb.id} was not deleted. 1 busy ({locked.id}): archived, and" in str(
        run.error
    )
    assert locked.archived
    assert sum(dify.clock.slept) == pytest.approx(100)


def test_a_lock_that_our_own_change_leaves_behind(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    """The report says what was done to a document whose deletion did not happen."""
    page = kb.add_document("page", archived=True)
    dify.faults.add(Fault("latency", path="un_archive", seconds=0))
    page_row = page._row
    dify.world.schedule(0.4, lambda at: setattr(page_row, "lock_until", 10_000.0))
    run = delete([page], timeout=60)
    assert run.not_empty == {"busy": ["page"]}
    assert page.archived
    assert not page.enabled
    assert "It was disabled for the deletion" in run.report["errors"][page.id]


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status", "status_after", "page"])
@pytest.mark.parametrize("path", ["/documents/[^/]*$", "disable", "un_archive"])
def test_lost_answers(dify: FakeDify, kb: Dataset, delete: Delete, kind: Any, path: str) -> None:
    pages = [kb.add_document(f"page-{n}", archived=n < 3) for n in range(6)]
    method = "DELETE" if "$" in path else "PATCH"
    dify.faults.add(Fault(kind, method=method, path=path, after=0 if method == "PATCH" else 2))
    run = delete(list(pages))
    assert run.error is None
    assert run.not_empty == {"deleted": [page.name for page in pages]}
    assert kb.documents == []
    per_path = Counter(request.path for request in dify.requests if request.method == "DELETE")
    # What may have been carried out is checked, and not sent again if it was.
    assert sum(per_path.values()) <= 6 + (method == "DELETE" and kind not in ("reset_after", "status_after"))


@pytest.mark.parametrize("after", [0, 1, 3])
def test_it_breaks_off_halfway(dify: FakeDify, kb: Dataset, delete: Delete, after: int) -> None:
    pages = kb.add_documents(5)
    dify.faults.add(Fault("reset_before", method="DELETE", after=after, times=None))
    run = delete(list(pages))
    assert isinstance(run.error, DifyTransportError)
    assert run.error.report is not None
    assert run.error.report.to_json() == run.report
    left = [document.name for document in kb.documents]
    assert len(left) == 5 - after
    assert run.not_empty.get("not_attempted", []) == left
    assert run.report["errors"] == {}


def test_the_last_answer_is_lost_and_dify_is_gone(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = kb.add_documents(3)
    dify.faults.add(Fault("reset_after", method="DELETE", after=1), Fault("reset_before", after=5, times=None))
    run = delete(list(pages))
    assert isinstance(run.error, DifyTransportError)
    assert run.not_empty == {"deleted": [pages[0].name], "not_attempted": [pages[1].name, pages[2].name]}
    assert run.report["errors"] == {pages[1].id: pytest.approx(run.report["errors"][pages[1].id])}
    assert "The answer to its deletion was lost" in run.report["errors"][pages[1].id]


def test_a_document_with_which_dify_fails(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = kb.add_documents(4)
    poison = kb.add_document("poison", archived=True)
    dify.faults.add(Fault("status", method="DELETE", path=f"{pages[1].id}|{poison.id}", status=500, times=None))
    run = delete([*pages, poison])
    assert run.not_empty == {
        "deleted": [pages[0].name, pages[2].name, pages[3].name], "failed": [pages[1].name, "poison"],
    }  # fmt: skip
    assert isinstance(run.error, DifyDocumentDeleteError)
    assert "500 unknown" in run.report["errors"][pages[1].id]
    # It had to be un-archived, and is archived again.
    assert poison.archived
    assert not poison.in_search
    assert "was disabled" in run.report["errors"][poison.id]
    assert "could not be archived again" not in run.report["errors"][poison.id]


def test_what_cannot_be_put_back_is_named(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    page = kb.add_document("page", archived=True)
    dify.faults.add(Fault("status", method="DELETE", status=400, times=None))
    dify.faults.add(Fault("status", method="PATCH", path="/archive", status=500, times=None))
    run = delete([page])
    assert run.not_empty == {"failed": ["page"]}
    assert not page.archived
    assert not page.in_search
    assert "It was un-archived for the deletion, and could not be archived again." in run.report["errors"][page.id]


def test_dify_fails_with_everything(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = kb.add_documents(30)
    dify.faults.add(Fault("status", method="DELETE", status=500, times=None))
    run = delete(list(pages))
    assert isinstance(run.error, DifyServerError)
    assert run.report["counts"] == {"deleted": 0, "missing": 0, "busy": 0, "failed": 3, "not_attempted": 27}
    assert changes(dify).count("DELETE") == 15
    assert len(kb.documents) == 30


def test_the_deletion_is_the_cause_even_if_dify_goes_down(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = kb.add_documents(3)
    dify.faults.add(Fault("status", method="DELETE", after=1, status=503, retry_after=10_000))
    dify.faults.add(Fault("status", method="GET", status=500, after=4, times=None))
    run = delete(list(pages))
    assert isinstance(run.error, DifyServerError)
    assert run.error.message.startswith("DELETE ")
    assert run.error.status == 503
    assert run.not_empty == {"deleted": [pages[0].name], "not_attempted": [pages[1].name, pages[2].name]}


def test_a_refusal_of_one_does_not_stop_the_others(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = kb.add_documents(3)
    body = {"code": "document_indexing", "message": "Cannot delete document during indexing.", "status": 400}
    dify.faults.add(Fault("status", method="DELETE", path=pages[0].id, status=400, body=body))
    run = delete(list(pages))
    assert run.not_empty == {"deleted": [pages[1].name, pages[2].name], "failed": [pages[0].name]}
    assert "Cannot delete document during indexing." in run.report["errors"][pages[0].id]
    assert delete([pages[0]]).not_empty == {"deleted": [pages[0].name]}


def test_an_answer_that_is_not_true(dify: FakeDify, kb: Dataset, delete: Delete) -> None:
    pages = kb.add_documents(30)
    body = {"result": "success"}
    dify.faults.add(Fault("status", method="DELETE", path=pages[3].id, status=200, body=body))
    run = delete(list(pages))
    assert run.not_empty["failed"] == [pages[3].name]
    assert "it still exists" in run.report["errors"][pages[3].id]


@pytest.mark.parametrize("others", [0, 2000])
def test_the_proof_is_made_in_the_cheaper_way(dify: FakeDify, kb: Dataset, delete: Delete, others: int) -> None:
    kb.add_documents(others)
    pages = kb.add_documents(40)
    assert delete(list(pages)).report["counts"]["deleted"] == 40
    last = max(n for n, request in enumerate(dify.requests) if request.method == "DELETE")
    assert len(dify.requests) - 1 - last <= (1 if others == 0 else 41)


@pytest.mark.parametrize("error", [401, 403])
def test_what_is_about_all_stops_all(dify: FakeDify, kb: Dataset, delete: Delete, error: int) -> None:
    pages = kb.add_documents(3)
    body = {"code": "forbidden", "message": "Dataset api access is not enabled.", "status": error}
    dify.faults.add(Fault("status", method="DELETE", status=error, body=body, after=1))
    run = delete(list(pages))
    assert run.error is not None
    assert run.error.status == error
    assert run.not_empty == {"deleted": [pages[0].name], "not_attempted": [pages[1].name, pages[2].name]}


def test_a_knowledge_base_that_is_gone(dify: FakeDify, kb: Dataset) -> None:
    with pytest.raises(DifyNotFoundError, match="Dataset not found"):
        DifyHook().delete_documents(UNKNOWN, [UNKNOWN])


class TestFilters:
    """Deleting the documents that filters select."""

    def test_selected(self, dify: FakeDify, kb: Dataset, delete: Delete, said: pytest.LogCaptureFixture) -> None:
        for n in range(120):
            kb.add_document(f"page-{n}", archived=n % 2 == 0)
        run = delete(filters={"status": "archived"}, max_share=0.5, max_documents=60)
        assert run.report["counts"]["deleted"] == 60
        assert not any(document.archived for document in kb.documents)
        assert len(kb.documents) == 60
        assert "Deleting the documents selected by status archived, for up to 900 s." in said.text
        assert "Of 60 documents: 60 to delete, 60 of them archived, to be un-archived first." in said.text
        assert "Result of the deletion: 60 deleted." in said.text

    def test_nothing(self, dify: FakeDify, kb: Dataset, delete: Delete, said: pytest.LogCaptureFixture) -> None:
        kb.add_documents(3)
        run = delete(filters={"name": "x"})
        assert run.error is None
        assert run.not_empty == {}
        assert changes(dify) == []
        assert "There is nothing to delete; nothing was changed." in said.text
        assert "Result of the deletion: no documents." in said.text

    @pytest.mark.parametrize("guard", [{"max_documents": 2}, {"max_share": 0.5}])
    @pytest.mark.parametrize("by", ["ids", "filters"])
    def test_guards(self, dify: FakeDify, kb: Dataset, delete: Delete, guard: dict[str, Any], by: str) -> None:
        pages = kb.add_documents(3)
        run = delete(list(pages), **guard) if by == "ids" else delete(filters={"name": "*"}, **guard)
        assert isinstance(run.error, DifyGuardError)
        assert "Nothing was changed" in str(run.error)
        assert sorted(run.not_empty["not_attempted"]) == sorted(page.name for page in pages)
        assert changes(dify) == []

    def test_a_dry_run(self, dify: FakeDify, kb: Dataset, delete: Delete, said: pytest.LogCaptureFixture) -> None:
        pages = [kb.add_document(f"page-{n}", archived=n == 0) for n in range(5)]
        run = delete([*pages, UNKNOWN], dry_run=True)
        assert run.error is None
        assert run.not_empty == {"missing": [UNKNOWN], "not_attempted": [page.name for page in pages]}
        assert run.report["dry_run"] is True
        assert changes(dify) == []
        assert "This is a dry run: nothing was changed. It would delete 'page-0', 'page-1', 'page-2' and 2" in said.text
        assert "Result of the deletion (a dry run: nothing was changed): 1 missing, 5 not_attempted." in said.text


def test_a_kill_stops_it_and_leaves_the_report(dify: FakeDify, kb: Dataset) -> None:
    pages = kb.add_documents(5)
    operator = DifyDocumentDeleteOperator(task_id="delete", dataset_id=kb.id, document_ids=[page.id for page in pages])
    task = TaskInstance()
    at_kill: list[dict[str, Any]] = []

    def kill(at: float) -> None:
        operator.on_kill()
        at_kill.append(task.xcom["report"])

    dify.faults.add(Fault("latency", method="DELETE", seconds=1, after=2))
    dify.world.schedule(0.5, kill)
    with pytest.raises(DifyError, match="killed"):
        operator.execute({"ti": task})  # type: ignore[typeddict-item]
    assert at_kill[0]["counts"]["deleted"] == 2
    assert "its deletion was lost" in at_kill[0]["errors"][pages[2].id]
    assert task.xcom["report"]["counts"] == {"deleted": 3, "missing": 0, "busy": 0, "failed": 0, "not_attempted": 2}
    assert len(kb.documents) == 2
    operator.on_kill()  # nothing runs any more


def test_the_error_can_be_copied_and_sent(kb: Dataset, delete: Delete) -> None:
    page = kb.add_document("page", archived=True)
    page.lock(600)
    error = delete([page], timeout=1).error
    assert isinstance(error, DifyDocumentDeleteError)
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is DifyDocumentDeleteError
        assert str(other) == str(error)
        assert other.report == error.report


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({}, "Give document_ids or filters: document_ids is None."),
        ({"document_ids": []}, "document_ids contains no id: []."),
        ({"document_ids": ["x"]}, "document_ids[0] is not a UUID: 'x'."),
        ({"document_ids": [UNKNOWN], "filters": {"name": "*"}}, "Give document_ids or filters, not both"),
        ({"filters": {}}, "filters has no condition: {} would select the whole knowledge base."),
        ({"filters": {"age": "90d"}}, "filters.age is unknown"),
        ({"document_ids": [UNKNOWN], "dataset_id": "kb"}, "dataset_id is not a UUID: 'kb'."),
        ({"document_ids": [UNKNOWN], "timeout": 0}, "timeout must be a number above 0, not 0."),
        ({"document_ids": [UNKNOWN], "poll_interval": -1}, "poll_interval must be a number above 0, not -1."),
        ({"document_ids": [UNKNOWN], "dry_run": "yes"}, "dry_run must be True or False, not 'yes'."),
        ({"document_ids": [UNKNOWN], "max_share": 2}, "max_share must be a share of all documents, at most 1, not 2."),
        ({"document_ids": [UNKNOWN], "max_documents": 1.5}, "max_documents must be a whole number of at least 1"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_anything_is_sent(dify: FakeDify, given_: dict[str, Any], says: str) -> None:
    operator = DifyDocumentDeleteOperator(task_id="delete", **{"dataset_id": UNKNOWN, **given_})
    with pytest.raises(DifyInputError) as raised:
        operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert says in str(raised.value)
    assert dify.requests == []
