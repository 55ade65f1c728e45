"""Documents selected by their properties: every filter, what happens to them, and what must not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyGuardError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Document as Listed
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.selection.listing import HOUR, NOW, operate

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
    with FakeDify(clock=VirtualClock()) as dify, pytest.MonkeyPatch.context() as patch, using(dify.clock):
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
    """Filters, and which documents they select."""

    filters: dict[str, Any]
    means: Callable[[Page], bool]
    #: What Dify is asked to filter.
    sent: dict[str, str] = field(default_factory=dict)


def case(means: Callable[[Page], bool], sent: dict[str, str] | None = None, **filters: Any) -> Any:
    return pytest.param(Case(filters, means, sent or {}), id=str(filters).strip("{}")[:60])


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
    assert len(lists) <= MANY / 100 + 2  # each page begins with a document of the one before
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
    some, none, other = (*DifyHook().list_documents(kb.id), Listed.read(Fields({
        "id": "x", "name": "x", "indexing_status": "completed", "enabled": True, "archived": False, "doc_metadata": [],
    })))  # fmt: skip
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
        run = operate(
            DifyDocumentStatusOperator, dataset_id=slow.id, filters={"name": "page-*"}, action="archive", max_share=None
        )
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
        assert "it has 1,050 documents" in str(error)

    def test_too_many(self, library: tuple[FakeDify, Dataset]) -> None:
        run = operate(DifyListDocumentsOperator, dataset_id=library[1].id, max_documents=1000)
        assert isinstance(run.error, DifyGuardError)
        assert "1,050 of 1,050 documents are selected, and max_documents allows 1,000." in str(run.error)

    def test_templates(self) -> None:
        assert set(DifyListDocumentsOperator.template_fields) == {
            "dify_conn_id", "dataset_id", "dataset_name", "filters", "max_documents"
        }  # fmt: skip
        assert "filters" in DifyDocumentStatusOperator.template_fields
