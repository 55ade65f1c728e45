"""Documents chosen by what they are: every filter, what becomes of them, and what must not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator, TaskDeferred

from airflow_provider_dify.exceptions import DifyDocumentStatusFailed, DifyError, DifyGuardError, DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.documents import Document as Listed
from airflow_provider_dify.knowledge.handover import Handover
from airflow_provider_dify.knowledge.report import Outcome, StatusReport
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import TaskInstance, patches

NOW = 1_767_225_600.0  # 2026-01-01, where the simulator's clock begins
HOUR = 3600.0
UNKNOWN = "00000000-0000-4000-8000-000000000000"
MANY = 1_050
STATES: dict[int, dict[str, Any]] = {
    100: {"indexing_status": "waiting"},
    101: {"indexing_status": "indexing"},
    102: {"indexing_status": "indexing", "paused": True},
    103: {"indexing_status": "error", "error": "no model"},
    104: {"indexing_status": "indexing", "archived": True},
}


@dataclass(frozen=True)
class Page:
    """One document of the knowledge base, by its number: as many hours old."""

    n: int

    @property
    def name(self) -> str:
        return f"{'wiki' if self.n % 2 else 'FAQ'}/{self.n:04d}.md"

    @property
    def enabled(self) -> bool:
        return self.n % 3 != 0 or self.n in STATES

    @property
    def archived(self) -> bool:
        return bool(STATES.get(self.n, {"archived": self.n % 7 == 0}).get("archived", False))

    @property
    def status(self) -> str:
        special = {100: "queuing", 101: "indexing", 102: "paused", 103: "error", 104: "indexing"}
        return special.get(self.n) or ("archived" if self.archived else "available" if self.enabled else "disabled")

    @property
    def hours(self) -> float:
        return self.n

    @property
    def hours_untouched(self) -> float:
        return min(self.n, 30) if self.n % 20 == 0 else self.n

    @property
    def hits(self) -> int:
        return self.n % 4

    @property
    def metadata(self) -> dict[str, Any]:
        return {} if self.n % 5 else {"origin": "crawler" if self.n % 2 else "hand", "version": self.n % 3}


PAGES = [Page(n) for n in range(MANY)]


@pytest.fixture(scope="module")
def library() -> Iterator[tuple[FakeDify, Dataset]]:
    """A knowledge base of 1,050 documents that nobody changes."""
    with FakeDify() as dify, pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_dify.transport.clock.clock", dify.clock)
        patch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
        kb = dify.add_dataset("library")
        for page in reversed(PAGES):
            state: dict[str, Any] = {"archived": page.archived, **STATES.get(page.n, {})}
            kb.add_document(
                page.name,
                enabled=page.enabled,
                metadata=page.metadata,
                hit_count=page.hits,
                created_at=NOW - page.hours * HOUR,
                updated_at=NOW - page.hours_untouched * HOUR,
                **state,
            )
        yield dify, kb


@dataclass(frozen=True)
class Case:
    """Filters, and which documents they mean."""

    filters: dict[str, Any]
    means: Callable[[Page], bool]
    #: What Dify is asked to filter.
    sent: dict[str, str] = field(default_factory=dict)


def case(means: Callable[[Page], bool], sent: dict[str, str] | None = None, **filters: Any) -> Any:
    return pytest.param(Case(filters, means, sent or {}), id=str(filters).strip("{}")[:60])


@dataclass
class Run:
    """What came of a task."""

    report: dict[str, Any]
    returned: Any
    error: DifyError | None


def operate(operator: type[BaseOperator], **kwargs: Any) -> Run:
    """Run an operator as Airflow does."""
    task, returned, error = TaskInstance(), None, None
    try:
        returned = operator(task_id="task", **kwargs).execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyError as raised:
        error = raised
    return Run(task.xcom.get("report", {}), returned, error)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is in the task's log."""
    for kind in (DifyDocumentStatusOperator, DifyListDocumentsOperator, DifyHook):
        monkeypatch.setattr(kind, "log", logging.getLogger("task"), raising=False)
    caplog.set_level(logging.INFO, logger="task")
    return caplog


def has_status(status: str, page: Page) -> bool:
    return page.status == status


DAY_30 = datetime(2025, 12, 2, tzinfo=timezone.utc)
CASES = [
    *(
        case(partial(has_status, status), {"status": status}, status=status)
        for status in ("available", "disabled", "archived", "queuing", "indexing", "paused", "error")
    ),
    case(lambda page: page.status == "archived", {"status": "archived"}, status=["archived"]),
    case(lambda page: page.status in ("archived", "error"), status=["archived", "error"]),
    case(lambda page: page.n % 2 == 1, name="wiki/*"),
    case(lambda page: page.n < 100 and page.n % 2 == 0, name="FAQ/00[0-9]?.md"),
    case(lambda page: page.name[-4] in "05" and page.n % 2 == 1, name=["wiki/*5.md", "wiki/*0.md"]),
    case(lambda page: page.n % 2 == 0, {"keyword": "FAQ"}, keyword="FAQ"),
    case(lambda page: False, {"keyword": "faq"}, keyword="faq"),
    case(lambda page: page.n % 2 == 1 and page.name[-4] == "7", {"keyword": "w%7.m_"}, keyword="w%7.m_"),
    case(lambda page: page.hours <= 720, created_after="30d"),
    case(lambda page: page.hours > 720, created_before="30d"),
    case(lambda page: page.hours > 336, created_before=" 2w "),
    case(lambda page: page.hours > 12, created_before="12h"),
    case(lambda page: page.hours > 1, created_before="90m"),
    case(lambda page: 24 < page.hours <= 48, created_after="2d", created_before="1d"),
    case(lambda page: page.hours > 720, created_before=DAY_30),
    case(lambda page: page.hours > 720, created_before=DAY_30.replace(tzinfo=None)),
    case(lambda page: page.hours > 720, created_before=date(2025, 12, 2)),
    case(lambda page: page.hours > 720, created_before="2025-12-02"),
    case(lambda page: True, created_before="9999-12-31T23:59:59-12:00"),
    case(lambda page: True, created_before=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12)))),
    case(lambda page: page.hours > 0, created_before="0d"),
    case(lambda page: page.hours > 720, created_before="2025-12-02T00:00:00Z"),
    case(lambda page: page.hours > 720, created_before="2025-12-02 01:00:00+01:00"),
    case(lambda page: page.hours > 720, created_before=DAY_30.timestamp()),
    case(lambda page: page.hours > 720, created_before=str(int(DAY_30.timestamp()))),
    case(lambda page: page.hours > 720, created_before=timedelta(days=30)),
    case(lambda page: page.name.endswith("0.md") and page.hours_untouched > 40, name="*0.md", updated_before="40h"),
    case(lambda page: page.name.endswith("0.md") and page.hours_untouched <= 40, name="*0.md", updated_after="40h"),
    case(lambda page: page.metadata.get("origin") == "crawler", metadata={"origin": "crawler"}),
    case(lambda page: page.metadata.get("version") in (0, 2), metadata={"version": [0, 2.0]}),
    case(lambda page: page.metadata.get("version") == 1, metadata={"version": "1"}),
    case(lambda page: "origin" not in page.metadata, metadata={"origin": None}),
    case(lambda page: page.metadata.get("origin") != "hand", metadata={"origin": ["crawler", None]}),
    case(lambda page: page.metadata == {"origin": "hand", "version": 0}, metadata={"origin": "hand", "version": 0}),
    case(lambda page: page.enabled, enabled=True),
    case(lambda page: not page.enabled, enabled="False"),
    case(lambda page: page.archived, archived=True),
    case(lambda page: not page.archived, archived=False),
    case(lambda page: page.hits <= 2, max_hits=2),
    case(lambda page: page.hits == 0, max_hits="0"),
    case(lambda page: page.hits == 0, never_retrieved=True),
    case(
        lambda page: page.status == "available" and page.hours > 240 and page.n % 2 == 1 and page.hits == 0,
        {"status": "available"},
        status="available", created_before="10d", name="wiki/*", never_retrieved=True,
    ),
    case(lambda page: True, name="*"),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES)
def test_every_filter(library: tuple[FakeDify, Dataset], one: Case) -> None:
    dify, kb = library
    before = len(dify.requests)
    found = DifyHook().select_documents(kb.id, one.filters)
    assert [document.name for document in found] == [page.name for page in PAGES if one.means(page)]
    asked = dify.requests[before:]
    lists = [request for request in asked if request.path.endswith("/documents")]
    assert all({**request.query, **one.sent} == request.query for request in lists)
    assert all({"status", "keyword"} & request.query.keys() == one.sent.keys() for request in lists)
    assert len(lists) <= MANY / 100 + 1
    updated = any(name.startswith("updated") for name in one.filters)
    assert len(asked) - len(lists) <= (105 if updated else 1)
    assert {request.method for request in asked} == {"GET"}


@pytest.mark.parametrize("one", CASES[::4])
def test_the_lazy_list_has_the_same_filters(library: tuple[FakeDify, Dataset], one: Case) -> None:
    found = DifyHook().list_documents(library[1].id, **one.filters)
    assert [document.name for document in found] == [page.name for page in PAGES if one.means(page)]


def test_the_lazy_list_reads_no_more_than_is_used(library: tuple[FakeDify, Dataset]) -> None:
    dify, kb = library
    before = len(dify.requests)
    documents = DifyHook().list_documents(kb.id, name="wiki/*")
    assert len(dify.requests) == before
    assert next(documents).name == "wiki/0001.md"
    assert len(dify.requests) == before + 1


@pytest.mark.parametrize("spell", [json.dumps, repr, lambda filters: f"\n {json.dumps(filters, indent=1)} "])
def test_filters_may_come_as_text(library: tuple[FakeDify, Dataset], spell: Callable[[object], str]) -> None:
    filters = {"status": "archived", "metadata": {"origin": ["crawler"]}, "created_before": "5d", "enabled": True}
    found = DifyHook().select_documents(library[1].id, spell(filters))
    assert found == DifyHook().select_documents(library[1].id, filters)
    assert found


def test_a_dify_that_ignores_the_status_is_checked(library: tuple[FakeDify, Dataset]) -> None:
    dify, kb = library
    page = {"data": [{"id": "00000000-0000-4000-8000-000000000000", "name": "x", "indexing_status": "completed",
                      "display_status": "available", "enabled": True, "archived": False}], "total": 1}  # fmt: skip
    dify.faults.add(Fault("status", path="/documents$", status=200, body=page))
    assert DifyHook().select_documents(kb.id, {"status": "archived"}) == []


def test_the_metadata_of_documents(kb: Dataset) -> None:
    kb.add_document("none")
    kb.add_document("some", metadata={"origin": "wiki", "version": 7})
    some, none, other = (*DifyHook().list_documents(kb.id), Listed.read({
        "id": "x", "name": "x", "indexing_status": "completed", "enabled": True, "archived": False, "doc_metadata": [],
    }))  # fmt: skip
    mine = {name: value for name, value in some.metadata.items() if name in ("origin", "version")}
    assert mine == {"origin": "wiki", "version": "7"}  # Dify's list has all values as texts
    assert some.metadata["document_name"] == "some"  # what Dify knows by itself comes with it
    assert none.metadata is other.metadata  # there may be many
    assert hash(some) != hash(none)
    assert some.updated_at is None
    assert DifyHook().get_document(kb.id, some.id).updated_at == NOW


class TestWhileItIsListed:
    """Others create and delete documents meanwhile."""

    @pytest.fixture
    def slow(self, dify: FakeDify, kb: Dataset) -> Dataset:
        """A knowledge base, each page of which takes a second."""
        for n in range(350):
            kb.add_document(f"page-{n}", enabled=n % 2 == 0, created_at=NOW - 1000 * HOUR + n)
        dify.faults.add(Fault("latency", path="/documents$", seconds=1, times=None))
        return kb

    @pytest.mark.parametrize("filters", [{"name": "page-*"}, {"status": "disabled"}])
    def test_created(self, dify: FakeDify, slow: Dataset, filters: dict[str, Any]) -> None:
        def create(at: float) -> None:
            slow.add_document(f"page-new-{at}", enabled=False)

        for n in range(3):
            dify.world.schedule(0.5 + n, create)
        found = [document.name for document in DifyHook().select_documents(slow.id, filters)]
        expected = {d.name for d in slow.documents if "name" in filters or not d.enabled}
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert {name for name in found[:3] if "new" in name}  # the newest first, whenever they were found

    def test_deleted(self, dify: FakeDify, slow: Dataset) -> None:
        def remove(at: float) -> None:
            for document in slow.documents:
                if document.name in ("page-349", "page-348", "page-300"):
                    slow.remove(document._row)

        dify.world.schedule(1.5, remove)
        found = {document.name for document in DifyHook().select_documents(slow.id, {"name": "page-*"})}
        assert {document.name for document in slow.documents} <= found

    def test_deleted_after_it_was_selected(self, dify: FakeDify, slow: Dataset) -> None:
        gone = slow.documents[0]
        dify.world.schedule(4.5, lambda at: slow.remove(gone._row))
        run = operate(DifyDocumentStatusOperator, dataset_id=slow.id, filters={"name": "page-*"}, action="archive")
        assert run.error is None
        assert run.report["missing"] == [gone.id]
        assert all(document.archived for document in slow.documents)


class TestList:
    """The operator that lists."""

    def test_ids(self, library: tuple[FakeDify, Dataset], said: pytest.LogCaptureFixture) -> None:
        filters = {"status": "archived", "created_before": "2025-12-20"}
        run = operate(DifyListDocumentsOperator, dataset_id=library[1].id, filters=filters)
        by_id = {document.id: document.name for document in library[1].documents}
        names = [page.name for page in PAGES if page.status == "archived" and page.hours > 288]
        assert [by_id[document_id] for document_id in run.returned] == names
        assert f"Selected {len(names)} of 1,050 documents by status archived, created before 2025-12-20" in said.text
        assert f": '{names[0]}', '{names[1]}', '{names[2]}' and {len(names) - 3} more." in said.text

    def test_batches(self, library: tuple[FakeDify, Dataset]) -> None:
        run = operate(DifyListDocumentsOperator, dataset_id=library[1].id, filters={}, batches_of=500)
        assert [len(batch) for batch in run.returned] == [500, 500, 50]
        flat = operate(DifyListDocumentsOperator, dataset_id=library[1].id).returned
        assert [one for batch in run.returned for one in batch] == flat

    def test_nothing_fits(self, library: tuple[FakeDify, Dataset], said: pytest.LogCaptureFixture) -> None:
        arguments = {"dataset_id": library[1].id, "filters": {"name": "nothing"}}
        assert operate(DifyListDocumentsOperator, **arguments).returned == []
        assert operate(DifyListDocumentsOperator, **arguments, batches_of=3).returned == []
        assert "Selected 0 of 1,050 documents by name 'nothing'." in said.text
        error = operate(DifyListDocumentsOperator, **arguments, fail_if_empty=True).error
        assert isinstance(error, DifyGuardError)
        assert "None of the 1,050 documents" in str(error)

    def test_too_many(self, library: tuple[FakeDify, Dataset]) -> None:
        run = operate(DifyListDocumentsOperator, dataset_id=library[1].id, max_documents=1000)
        assert isinstance(run.error, DifyGuardError)
        assert "1,050 of 1,050 documents are selected, and max_documents allows 1,000." in str(run.error)

    def test_templates(self) -> None:
        assert set(DifyListDocumentsOperator.template_fields) == {"dify_conn_id", "dataset_id", "filters"}
        assert "filters" in DifyDocumentStatusOperator.template_fields


class TestStatus:
    """A change of status of documents that filters select."""

    @pytest.fixture
    def kb(self, dify: FakeDify) -> Dataset:
        """Ten documents, four of them archived, all of them a day old."""
        kb = dify.add_dataset("handbook")
        for n in range(10):
            kb.add_document(f"page-{n}", archived=n < 4, created_at=NOW - 24 * HOUR + n)
        return kb

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_of_what_is_selected(self, dify: FakeDify, kb: Dataset, deferrable: bool) -> None:
        filters = {"status": "available", "created_before": "1h"}
        run = operate(
            DifyDocumentStatusOperator, dataset_id=kb.id, filters=filters, action="archive", deferrable=deferrable
        )
        newest_first = [document.id for document in reversed(kb.documents)]
        assert run.error is None
        assert run.returned == run.report
        assert run.report["changed"] == newest_first[:6]
        assert "dry_run" not in run.report
        assert all(document.archived for document in kb.documents)
        again = operate(DifyDocumentStatusOperator, dataset_id=kb.id, filters=filters, action="archive")
        assert sum(again.report["counts"].values()) == 0  # a retry selects what is left

    def test_the_selection_is_frozen_when_the_task_defers(self, dify: FakeDify, kb: Dataset) -> None:
        kb.documents[9].lock()
        kb.documents[2].set(archived=False, enabled=False)
        operator = DifyDocumentStatusOperator(
            task_id="task", dataset_id=kb.id, filters={"status": "available"}, action="archive", deferrable=True
        )
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        _, arguments = deferred.value.trigger.serialize()
        assert deferred.value.kwargs
        ids = [document.id for document in reversed(kb.documents[4:])]
        assert deferred.value.kwargs["document_ids"] == ids
        assert set(Handover.from_json(arguments["handover"]).document_ids) <= set(ids)
        assert "filters" not in json.dumps(arguments)
        # What is deleted meanwhile was selected, and is no longer meant.
        report = StatusReport.build(
            kb.id, "archive", dict.fromkeys(ids, Outcome.CHANGED) | {ids[0]: Outcome.MISSING}, {}
        )
        event = {"report": report.to_json(), "names": {}, "error": None}
        operator.execute_complete({"ti": TaskInstance()}, event, **deferred.value.kwargs)  # type: ignore[typeddict-item]

    def test_nothing_is_selected(self, dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        run = operate(DifyDocumentStatusOperator, dataset_id=kb.id, filters={"name": "x*"}, action="archive")
        assert run.error is None
        assert sum(run.report["counts"].values()) == 0
        assert patches(dify) == []
        assert "Selected 0 of 10 documents by name 'x*'." in said.text
        assert "There is nothing to archive; nothing was changed." in said.text
        assert "Result of archive: no documents." in said.text

    @pytest.mark.parametrize(
        ("guard", "says"),
        [
            ({"max_documents": 5}, "6 of 10 documents are selected, and max_documents allows 5. Nothing was changed."),
            ({"max_share": 0.59}, "6 of 10 (60.0%) documents are selected, and max_share allows 0.59 of all."),
            ({"max_documents": 6, "max_share": 0.6}, ""),
            ({"max_documents": None, "max_share": 1}, ""),
        ],
    )
    @pytest.mark.parametrize("by", ["filters", "ids"])
    def test_guards(self, dify: FakeDify, kb: Dataset, guard: dict[str, Any], says: str, by: str) -> None:
        ids = [document.id for document in reversed(kb.documents[4:])]
        chosen = {"filters": {"archived": False}} if by == "filters" else {"document_ids": ids}
        run = operate(DifyDocumentStatusOperator, dataset_id=kb.id, action="archive", **chosen, **guard)
        assert (run.error is None) is (says == "")
        if says:
            without_total = says.replace(" of 10", "") if by == "ids" and "max_documents" in says else says
            assert without_total in str(run.error)
            assert type(run.error) is DifyGuardError
            assert isinstance(run.error, AirflowFailException)  # no retry can mend it
            assert patches(dify) == []
            assert run.report["not_attempted"] == ids

    def test_a_guard_counts_the_whole_knowledge_base(self, dify: FakeDify, kb: Dataset) -> None:
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id,
            action="disable",
            filters={"status": "archived"},
            max_share=0.4,
        )
        assert run.report["counts"]["changed"] == 4

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_what_is_tolerated_is_told_without_advice(
        self, kb: Dataset, said: pytest.LogCaptureFixture, deferrable: bool
    ) -> None:
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id, document_ids=[kb.documents[9].id, UNKNOWN], action="archive", tolerate="missing",
            deferrable=deferrable,
        )  # fmt: skip
        assert run.error is None
        told = [(record.levelname, record.getMessage()) for record in said.records]
        assert told[-2:] == [("INFO", "missing: 1 (tolerated)"), ("INFO", f"  {UNKNOWN}")]

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_dry_run(self, dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture, deferrable: bool) -> None:
        kb.documents[5].lock()
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id, filters={"name": "*"}, action="archive", dry_run=True, deferrable=deferrable,
        )  # fmt: skip
        assert run.error is None
        assert run.report["counts"]["not_attempted"] == 6
        assert run.report["counts"]["unchanged"] == 4
        assert run.report["dry_run"] is True
        assert patches(dify) == []
        assert "Dry run, nothing is changed: Archive the documents selected by name '*'" in said.text
        assert "It would archive 'page-9', 'page-8', 'page-7' and 3 more." in said.text
        assert "Result of archive (a dry run: nothing was changed): 4 unchanged, 6 not_attempted." in said.text
        assert "run ended before" not in said.text

    def test_a_dry_run_fails_where_the_change_would(self, dify: FakeDify, kb: Dataset) -> None:
        run = operate(
            DifyDocumentStatusOperator, dataset_id=kb.id, filters={"archived": True}, action="enable", dry_run=True
        )
        assert isinstance(run.error, DifyDocumentStatusFailed)
        assert "not_attempted" not in str(run.error)
        assert patches(dify) == []

    def test_the_hook_does_the_same(self, dify: FakeDify, kb: Dataset) -> None:
        report = DifyHook().change_document_status(
            kb.id, None, "archive", filters={"name": "page-[45]"}, max_documents=2, max_share=0.2, dry_run=True
        )
        assert [kb.documents[5].id, kb.documents[4].id] == list(report.not_attempted)
        assert type(report).from_json(report.to_json()) == report
        report = DifyHook().change_document_status(kb.id, None, "archive", filters={"name": "page-[45]"})
        assert report.counts["changed"] == 2


ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"
MOMENT = " must be a date or a time such as 2026-01-31 or"
NO_MOMENTS: list[Any] = [
    "", "yesterday", "90", "-3d", "3 months", "90D", "20260101", 20260101, 1_767_225_600_000, True, float("nan"),
    "2026-13-01", "2026-02-30", "9999999d", timedelta(days=-1), ["1d"], {}, "1e400", "0001-01-01T00:00:00+23:59:59x",
]  # fmt: skip
NO_METADATA: list[Any] = [True, [], {}, [True], [[1]], float("inf")]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"filters": {}}, "filters has no condition: {} would select the whole knowledge base. If that is meant, say"),
    ({"filters": "{}"}, "filters has no condition: '{}' would select the whole"),
    ({"filters": ""}, "filters must be a mapping such as {'status': 'archived'}, or a text that holds one, not ''."),
    ({"filters": "archived"}, "filters must be a mapping such as"),
    ({"filters": "None"}, "filters must be a mapping such as"),
    ({"filters": ["archived"]}, "filters must be a mapping such as"),
    ({"filters": {1: 2}}, "filters must be a mapping such as"),
    ({"filters": '["status"]'}, "filters must be a mapping such as"),
    ({}, "document_ids must be a list or a string, not None. Or give filters"),
    ({"filters": {"name": "*"}, "document_ids": [ID]}, f"Give document_ids or filters, not both: ['{ID}'] and"),
    ({"filters": {"name": "*"}, "document_ids": []}, "Give document_ids or filters, not both: [] and"),
    ({"filters": {"state": "archived"}}, "filters.state is unknown; the keys of filters are status, name, keyword,"),
    ({"filters": {KEY: 1}}, "filters.dataset-*** is unknown"),
    ({"filters": {"status": None}}, "filters.status is null: leave it out where nothing is meant by it."),
    ({"filters": {"status": "completed"}}, "filters.status must be one of available, disabled, archived, queuing,"),
    ({"filters": {"status": ["archived", "waiting"]}}, "paused, error, not 'waiting'."),
    ({"filters": {"status": []}}, "filters.status must be a text that is not empty, or a list of such, not []."),
    ({"filters": {"status": KEY}}, "not 'dataset-***'."),
    ({"filters": {"name": ""}}, "filters.name must be a text that is not empty, or a list of such, not ''."),
    ({"filters": {"name": ["a", 5]}}, "filters.name must be a text that is not empty, or a list of such, not ['a', 5]"),
    ({"filters": {"keyword": " "}}, "filters.keyword must be a text that is not empty"),
    ({"filters": {"keyword": ["a", "b"]}}, "filters.keyword must be one text, not ['a', 'b']."),
    *(({"filters": {"created_before": value}}, f"filters.created_before{MOMENT}") for value in NO_MOMENTS),
    ({"filters": {"updated_after": "soon"}}, f"filters.updated_after{MOMENT}"),
    ({"filters": {"created_after": "1d", "created_before": "2d"}}, "Nothing is between filters.created_after and filt"),
    ({"filters": {"metadata": {}}}, "filters.metadata must name at least one field of metadata, not {}."),
    ({"filters": {"metadata": {"": 1}}}, "filters.metadata must name at least one field of metadata"),
    ({"filters": {"metadata": "source"}}, "filters.metadata must be a mapping such as"),
    *(
        ({"filters": {"metadata": {"team": value}}}, "filters.metadata.team must be a text, a number, null (has no")
        for value in NO_METADATA
    ),
    ({"filters": {"keyword": "half \ud800"}}, "filters.keyword must be a text"),
    ({"filters": {"keyword": "nul \0"}}, "filters.keyword must be a text"),
    ({"filters": {"metadata": {"size": 10**400}}}, "filters.metadata.size must be a text, a number"),
    ({"filters": {"enabled": "yes"}}, "filters.enabled must be true or false, not 'yes'."),
    ({"filters": {"archived": 1}}, "filters.archived must be true or false, not 1."),
    ({"filters": {"max_hits": -1}}, "filters.max_hits must be a whole number of at least 0, not -1."),
    ({"filters": {"max_hits": 1.0}}, "filters.max_hits must be a whole number of at least 0, not 1.0."),
    ({"filters": {"max_hits": True}}, "filters.max_hits must be a whole number of at least 0, not True."),
    ({"filters": {"never_retrieved": False}}, "filters.never_retrieved can only be true, and not stand beside max_hi"),
    ({"filters": {"never_retrieved": True, "max_hits": 0}}, "filters.never_retrieved can only be true, and not stand"),
    ({"document_ids": [ID], "max_documents": 0}, "max_documents must be a whole number of at least 1, not 0."),
    ({"document_ids": [ID], "max_documents": "5"}, "max_documents must be a whole number of at least 1, not '5'."),
    ({"document_ids": [ID], "max_share": 0}, "max_share must be a number above 0, not 0."),
    ({"document_ids": [ID], "max_share": 1.5}, "max_share must be a part of all documents, at most 1, not 1.5."),
    ({"document_ids": [ID], "max_share": "10%"}, "max_share must be a number above 0, not '10%'."),
    ({"document_ids": [ID], "dry_run": "true"}, "dry_run must be True or False, not 'true'."),
]


@pytest.mark.parametrize(("given", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_said_before_anything_is_sent(dify: FakeDify, given: dict[str, Any], says: str) -> None:
    run = operate(DifyDocumentStatusOperator, dataset_id=ID, action="archive", **given)
    assert type(run.error) is DifyInputError
    assert says in str(run.error)
    assert KEY not in str(run.error)
    assert len(str(run.error)) < 500
    assert dify.requests == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"batches_of": 0}, "batches_of must be a whole number of at least 1, not 0."),
        ({"max_documents": -1}, "max_documents must be a whole number of at least 1, not -1."),
        ({"fail_if_empty": "no"}, "fail_if_empty must be True or False, not 'no'."),
        ({"filters": "all"}, "filters must be a mapping such as"),
        ({"dataset_id": "library"}, "dataset_id is not a UUID: 'library'."),
    ],
)
def test_the_list_says_so_too(dify: FakeDify, given: dict[str, Any], says: str) -> None:
    run = operate(DifyListDocumentsOperator, **{"dataset_id": ID, **given})
    assert type(run.error) is DifyInputError
    assert says in str(run.error)
    assert dify.requests == []
