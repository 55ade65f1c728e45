"""Lists that change while they are read: everything that is in one all the time is found, or nothing
is done with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyListChangedError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Request, Response
from airflow_provider_dify.knowledge.indexing.availability import look
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import read_documents, still_there
from airflow_provider_dify.knowledge.selection.select import Selection, select
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.examples import examples

T = TypeVar("T")
DATASET = {"id": "kb", "name": "handbook", "document_count": 0, "indexing_technique": "economy"}


@dataclass
class Row:
    """A document as far as these tests need it."""

    id: str
    enabled: bool
    named: bool

    def listed(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": f"page {self.id}" if self.named else self.id,
            "position": int(self.id),
            "created_at": 1_000_000 + int(self.id),
            "indexing_status": "completed",
            "display_status": "available" if self.enabled else "disabled",
            "enabled": self.enabled,
            "archived": False,
        }


@dataclass
class Shelf:
    """Dify's list of documents, and what others do to it between two requests."""

    rows: list[Row]
    #: What happens before each request, from the second on.
    events: list[Callable[[Shelf], None]] = field(default_factory=list)
    total: Callable[[int], int] = lambda number: number
    requests: list[Request] = field(default_factory=list)
    made: int = 0
    #: For each of these filters, what was in its list at each moment so far.
    always: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = len(self.rows)
        self.always = {name: {row.id for row in self.matching(name)} for name in FILTERS}

    def matching(self, name: str) -> list[Row]:
        return [row for row in self.rows if FILTERS[name][1](row)]

    def changed(self) -> None:
        for name, ids in self.always.items():
            ids &= {row.id for row in self.matching(name)}

    def create(self, number: int) -> None:
        for _ in range(number):
            self.made += 1
            self.rows.insert(0, Row(str(self.made), enabled=self.made % 3 > 0, named=self.made % 2 > 0))

    def answer(self, request: Request) -> Response:
        if self.requests and len(self.requests) <= len(self.events):
            self.events[len(self.requests) - 1](self)
            self.changed()
        self.requests.append(request)
        query = dict(request.query)
        if request.path.endswith("/documents"):
            return self._page(query)
        found = [row.listed() for row in self.rows if request.path.endswith(f"/{row.id}")]
        body = found[0] if found else DATASET
        return Response(200, {}, json.dumps(body).encode())

    def _page(self, query: dict[str, Any]) -> Response:
        wanted = [
            row
            for row in self.rows
            if query.get("status") in (None, row.listed()["display_status"])
            and query.get("keyword", "") in row.listed()["name"]
        ]
        size = query["limit"]
        start = (query["page"] - 1) * size
        data = [row.listed() for row in wanted[start : start + size]]
        return Response(200, {}, json.dumps({"data": data, "total": self.total(len(wanted))}).encode())


#: Filters, and which rows they mean: two that Dify carries out, and two that it does not.
FILTERS: dict[str, tuple[dict[str, Any], Callable[[Row], bool]]] = {
    "everything": ({}, lambda row: True),
    "status": ({"status": "disabled"}, lambda row: not row.enabled),
    "keyword": ({"keyword": "page"}, lambda row: row.named),
    "enabled": ({"enabled": False}, lambda row: not row.enabled),
}


def shelf(number: int, events: Iterable[Callable[[Shelf], None]] = (), **given: Any) -> Shelf:
    """A list of this many documents, all of them in every list, newest first."""
    return Shelf([Row(str(n), enabled=False, named=True) for n in range(number, 0, -1)], list(events), **given)


def run(flow: Flow[T], there: Shelf) -> T:
    answer: Response | None = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        answer = there.answer(step) if isinstance(step, Request) else None


def selected(there: Shelf, name: str) -> list[str]:
    progress = Progress(Deadline(0.0, lambda: 0.0))
    found = run(select("kb", Selection.parse(FILTERS[name][0], 0.0), progress), there)
    return [document.id for document in found.documents]


@dataclass(frozen=True)
class Change:
    """Something that others do to the rows from one place on."""

    what: str
    number: int
    place: float

    def __call__(self, there: Shelf) -> None:
        start = int(self.place * len(there.rows))
        rows = there.rows[start : start + self.number]
        if self.what == "create":
            there.create(self.number)
        elif self.what == "delete":
            del there.rows[start : start + self.number]
        for row in rows:
            if self.what == "toggle":
                row.enabled = not row.enabled
            elif self.what == "rename":
                row.named = not row.named


@dataclass(frozen=True)
class Together:
    """Several changes at a time."""

    changes: tuple[Change, ...]

    def __call__(self, there: Shelf) -> None:
        for change in self.changes:
            change(there)


changes = st.builds(
    Change,
    st.sampled_from(["create", "delete", "toggle", "rename"]),
    st.one_of(st.integers(1, 4), st.integers(1, 120)),
    st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
)
moments = st.lists(st.builds(Together, st.lists(changes, max_size=3).map(tuple)), max_size=25)
NOTHING = Together(())
#: One leaves at the front and another one joins at the end, so that the count is the same.
LEAVES, COMES_BACK = Change("toggle", 1, 0.0), Change("toggle", 1, 0.999)


@settings(max_examples=examples(120), deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 420), on=st.integers(1, 5), name=st.sampled_from(list(FILTERS)), events=moments)
@example(number=250, on=1, name="status", events=[NOTHING, LEAVES])
@example(number=250, on=250, name="status", events=[NOTHING, Together((LEAVES, COMES_BACK))])
@example(number=250, on=1, name="everything", events=[Together((Change("delete", 1, 0.0), Change("create", 1, 0.0)))])
def test_whoever_is_listed_all_the_time_is_found(number: int, on: int, name: str, events: list[Any]) -> None:
    there = shelf(number)
    for row in there.rows[-1::-on] if on > 1 else []:  # some are not in the lists yet
        row.enabled, row.named = True, False
    there = Shelf(there.rows, events)
    try:
        found = selected(there, name)
    except DifyListChangedError:
        found = None
    assert {request.method for request in there.requests} == {"GET"}
    assert len(there.requests) < 40
    if found is not None:
        assert len(found) == len(set(found))
        assert there.always[name] <= set(found)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 420), events=moments)
def test_a_whole_look_at_what_is_available(number: int, events: list[Any]) -> None:
    there = Shelf([Row(str(n), enabled=True, named=True) for n in range(number, 0, -1)], events)
    available = {row.id for row in there.rows}
    kept = [available]

    class Watched(Shelf):
        def changed(self) -> None:
            kept[0] = kept[0] & {row.id for row in self.rows if row.enabled}

    there = Watched(there.rows, events)
    try:
        seen = run(look("kb", None), there)
    except DifyListChangedError:
        return
    assert seen.complete
    assert kept[0] <= seen.available.keys()


@pytest.mark.parametrize(
    ("number", "pages"), [(0, 1), (99, 1), (100, 2), (101, 2), (197, 2), (198, 3), (300, 4), (1000, 12), (2000, 23)]
)
def test_what_nobody_changes_costs_little_more_than_its_pages(number: int, pages: int) -> None:
    there = shelf(number)
    assert selected(there, "everything") == [str(n) for n in range(number, 0, -1)]
    assert len(there.requests) == pages


def test_what_came_meanwhile_is_found_too() -> None:
    there = shelf(250, [lambda s: s.create(3)] * 2)
    assert selected(there, "everything") == [str(n) for n in range(256, 0, -1)]


def test_one_deletion_does_not_cost_another_reading() -> None:
    there = shelf(1000, [NOTHING, NOTHING, Change("delete", 1, 0.0)])
    assert {str(n) for n in range(1, 1000)} <= set(selected(there, "everything"))
    assert len(there.requests) <= 11 + 3


class TestGivenUp:
    """Something that is not a list."""

    @pytest.mark.parametrize(
        "there",
        [
            pytest.param(shelf(250, [lambda s: s.create(120)] * 99), id="grows as fast as it is read"),
            pytest.param(shelf(250, total=lambda number: number + 5), id="never as long as it is said to be"),
            pytest.param(
                shelf(5000, [Together((Change("delete", 300, 0.0), Change("create", 300, 0.0)))] * 999),
                id="shifts",
                marks=pytest.mark.large,
            ),
        ],
    )
    def test_an_error_that_a_retry_may_help(self, there: Shelf) -> None:
        with pytest.raises(DifyListChangedError, match="The list kept changing while it was being read") as caught:
            selected(there, "everything")
        assert caught.value.retryable
        assert not caught.value.final
        assert "Try again" in str(caught.value)

    def test_the_same_page_whatever_is_asked(self) -> None:
        class Stuck(Shelf):
            def _page(self, query: dict[str, Any]) -> Response:
                return super()._page({**query, "page": 1})

        with pytest.raises(DifyListChangedError):
            selected(Stuck(shelf(250).rows), "everything")

    def test_pages_that_are_shorter_than_asked(self) -> None:
        class Short(Shelf):
            def _page(self, query: dict[str, Any]) -> Response:
                return super()._page({**query, "limit": 20})

        with pytest.raises(DifyListChangedError):
            selected(Short(shelf(250).rows), "everything")

    def test_a_count_that_is_too_low_hides_nothing(self) -> None:
        there = shelf(350, total=lambda number: 100)
        assert len(selected(there, "everything")) == 350


class TestSomeOfMany:
    """What is read of many documents by their ids."""

    def test_a_list_that_shifts(self) -> None:
        there = shelf(300, [Change("delete", 30, 0.0)])
        ids = [row.id for row in there.rows]
        found: dict[str, Document] = run(read_documents("kb", ids[30:]), there)
        assert sorted(found) == sorted(ids[30:])

    @pytest.mark.large
    def test_a_list_that_never_ends(self) -> None:
        there = shelf(300, [lambda s: s.create(200)] * 99)
        found = run(read_documents("kb", [str(n) for n in range(1, 301)]), there)
        assert len(found) == 300

    def test_what_is_still_there_although_the_list_shifts(self) -> None:
        there = shelf(300, [Change("delete", 30, 0.0)])
        left = [str(n) for n in range(1, 301)]
        assert set(run(still_there("kb", left), there)) >= {str(n) for n in range(1, 271)}


def test_the_hook_lists_all_or_says_that_it_did_not(dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
    kb.add_documents(250)
    listed = hook.list_documents(kb.id)
    found = {next(listed).id for _ in range(50)}
    for document in kb.documents[-20:]:  # the newest
        kb.remove(document._row)
    found |= {document.id for document in listed}
    assert {document.id for document in kb.documents} <= found
