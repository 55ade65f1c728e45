"""What has become available between looks, and how much of the list has to be read to know it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import JSON, Request, Response
from airflow_provider_dify.knowledge.indexing.availability import Availability, Watermark, look
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.examples import examples

NUMBERS = count(1)


def document(name: str = "page") -> Document:
    number = next(NUMBERS)
    return Document(
        id=str(UUID(int=number << 64 | number, version=4)),
        name=name,
        indexing_status="completed",
        display_status="available",
        enabled=True,
        archived=False,
        error=None,
        created_at=number,
        word_count=1,
        hit_count=0,
    )


def seen(*documents: Document, complete: bool = True) -> Availability:
    return Availability({item.id: item for item in documents}, complete)


class TestWatermark:
    def test_the_first_look_is_the_base_line(self) -> None:
        old, new = document(), document()
        mark = Watermark().after(seen(old), announce=False)
        assert mark.news(seen(old, new)) == [new]
        assert mark.after(seen(old, new)).news(seen(old, new)) == []

    def test_the_oldest_comes_first(self) -> None:
        one, two, three = document(), document(), document()
        assert Watermark(frozenset()).news(seen(three, one, two)) == [one, two, three]

    def test_what_was_announced_is_never_announced_again(self) -> None:
        page = document()
        mark = Watermark(frozenset()).after(seen(page))
        for _ in range(5):
            mark = mark.after(seen())
        assert mark.news(seen(page)) == []

    def test_one_of_the_base_line_is_announced_when_it_comes_back(self) -> None:
        page, other = document(), document()
        mark = Watermark().after(seen(page, other), announce=False)
        mark = mark.after(seen(other)).after(seen(other))
        assert mark.news(seen(page, other)) == [page]

    def test_one_look_without_it_is_not_away(self) -> None:
        """A list that changes while it is read can lack a document, and the next check has it again."""
        page = document()
        mark = Watermark().after(seen(page), announce=False)
        for _ in range(3):
            mark = mark.after(seen()).after(seen(page))
        assert mark.news(seen(page)) == []

    def test_a_look_that_did_not_see_everything_proves_no_absence(self) -> None:
        page = document()
        mark = Watermark().after(seen(page), announce=False)
        mark = mark.after(seen(complete=False)).after(seen(complete=False))
        assert mark.news(seen(page)) == []

    def test_it_survives_as_json(self) -> None:
        old, new = document(), document()
        mark = Watermark().after(seen(old), announce=False).after(seen(old, new))
        again = Watermark.from_json(json.loads(json.dumps(mark.to_json())))
        assert again == mark
        assert again.news(seen(old, new)) == []

    def test_an_empty_one_is_not_one_of_no_look(self) -> None:
        mark = Watermark().after(seen(), announce=False)
        assert Watermark.from_json(mark.to_json()).base == frozenset()

    @pytest.mark.parametrize("value", [None, "text", 1, [], {}, {"base": None}])
    def test_anything_else_is_one_of_no_look(self, value: JSON) -> None:
        assert Watermark.from_json(value) == Watermark()

    def test_what_another_triggerer_announced_counts(self) -> None:
        page = document()
        here = Watermark(frozenset())
        there = here.after(seen(page))
        assert here.joined(there).news(seen(page)) == []

    def test_ids_that_begin_alike_are_told_apart(self) -> None:
        """UUIDs of version 7, as newer Difys make them, begin with the time."""
        one = replace(document(), id="019a0000-0000-7000-8000-000000000001")
        two = replace(document(), id="019a0000-0000-7000-8000-000000000002")
        assert Watermark(frozenset()).after(seen(one)).news(seen(one, two)) == [two]


class TestLook:
    """Against the built-in Dify, with 250 documents: three pages."""

    @pytest.fixture
    def kb(self, dify: FakeDify) -> Dataset:
        kb = dify.add_dataset("handbook")
        for item in kb.add_documents(250):
            assert item.display_status == "available"
        return kb

    def look(self, dify: FakeDify, kb: Dataset, before: Availability | None) -> tuple[Availability, int]:
        """Return the result, and how many pages it read."""
        so_far = len(dify.requests)
        with DifyHook() as hook:
            found = hook.run(look(kb.id, before))
        return found, len(dify.requests) - so_far

    def names(self, found: Availability) -> set[str]:
        return {item.name for item in found.available.values()}

    def test_the_first_one_reads_everything(self, dify: FakeDify, kb: Dataset) -> None:
        found, pages = self.look(dify, kb, None)
        assert (len(found.available), found.complete, pages) == (250, True, 3)

    def test_one_request_where_nothing_changed(self, dify: FakeDify, kb: Dataset) -> None:
        before, _ = self.look(dify, kb, None)
        found, pages = self.look(dify, kb, before)
        assert (found.available == before.available, found.complete, pages) == (True, False, 1)

    def test_one_request_finds_what_was_created(self, dify: FakeDify, kb: Dataset) -> None:
        before, _ = self.look(dify, kb, None)
        kb.add_document("new 1")
        kb.add_document("new 2")
        found, pages = self.look(dify, kb, before)
        assert (self.names(found) - self.names(before), pages) == ({"new 1", "new 2"}, 1)

    @pytest.mark.parametrize(("place", "pages"), [(249, 1), (120, 2), (0, 3)])
    def test_it_reads_until_it_has_found_an_old_one(self, dify: FakeDify, kb: Dataset, place: int, pages: int) -> None:
        old = kb.documents[place]
        old.set(enabled=False)
        before, _ = self.look(dify, kb, None)
        assert old.id not in before.available
        old.set(enabled=True)
        found, read = self.look(dify, kb, before)
        assert old.id in found.available
        assert read == pages

    def test_it_reads_everything_when_some_are_gone(self, dify: FakeDify, kb: Dataset) -> None:
        before, _ = self.look(dify, kb, None)
        kb.documents[3].set(enabled=False)
        kb.documents[4].set(archived=True)
        found, pages = self.look(dify, kb, before)
        assert (len(found.available), found.complete, pages) == (248, True, 3)

    def test_a_swap_of_old_ones_shows_in_a_full_look(self, dify: FakeDify, kb: Dataset) -> None:
        comes, goes = kb.documents[5], kb.documents[6]
        comes.set(enabled=False)
        before, _ = self.look(dify, kb, None)
        comes.set(enabled=True)
        goes.set(enabled=False)
        short, _ = self.look(dify, kb, before)
        assert (comes.id in short.available, short.complete) == (False, False)
        full, _ = self.look(dify, kb, None)
        assert (comes.id in full.available, goes.id in full.available, full.complete) == (True, False, True)

    def test_one_page_is_always_complete(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("small")
        kb.add_documents(99)  # a full page does not tell that it is the last one
        before, _ = self.look(dify, kb, None)
        found, pages = self.look(dify, kb, before)
        assert (found.complete, pages) == (True, 1)

    def test_an_empty_knowledge_base(self, dify: FakeDify) -> None:
        assert self.look(dify, dify.add_dataset("empty"), None) == (Availability({}, complete=True), 1)


def dify_with(documents: Iterable[Document], request: Request, *, filters: bool) -> Response:
    """Answer a request for a page as Dify does; before 1.10.1 it has no filter."""
    query = dict(request.query)
    kept = [item for item in documents if not filters or (item.indexed and item.belongs_in_search)]
    kept.sort(key=lambda item: item.created_at, reverse=True)
    start = (int(query["page"]) - 1) * int(query["limit"])
    page = [asdict(item) for item in kept[start : start + int(query["limit"])]]
    return Response(200, {}, json.dumps({"data": page, "total": len(kept)}).encode())


def run_look(documents: Iterable[Document], before: Availability | None, *, filters: bool) -> Availability:
    flow = look("kb", before)
    answer: Response | None = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        assert isinstance(step, Request)
        answer = dify_with(documents, step, filters=filters)


CHANGES = {
    "enable": {"enabled": True},
    "disable": {"enabled": False},
    "archive": {"archived": True},
    "un_archive": {"archived": False},
    "index": {"indexing_status": "completed"},
    "index again": {"indexing_status": "indexing"},
}
STEPS = st.one_of(
    st.tuples(st.sampled_from([*CHANGES, "delete"]), st.integers(0, 239)),
    st.tuples(st.sampled_from(["create", "look", "full look"]), st.just(0)),
)


@settings(max_examples=examples(60), deadline=None)
@given(steps=st.lists(STEPS, max_size=40), filters=st.booleans(), off=st.sets(st.integers(0, 239), max_size=8))
def test_whatever_happens_each_is_announced_once_and_none_is_missed(
    steps: list[tuple[str, int]], filters: bool, off: set[int]
) -> None:
    documents = {n: replace(document(), enabled=n not in off) for n in range(240)}
    before = run_look(documents.values(), None, filters=filters)
    mark = Watermark().after(before, announce=False)
    base, announced = set(before.available), list[str]()

    def take(found: Availability) -> None:
        nonlocal mark, before
        announced.extend(item.id for item in mark.news(found))
        mark, before = mark.after(found), found

    for step, place in [*steps, ("full look", 0)]:
        if step in CHANGES and place in documents:
            documents[place] = replace(documents[place], **CHANGES[step])  # type: ignore[arg-type]
        elif step == "delete":
            documents.pop(place, None)
        elif step == "create":
            created = document()
            documents[created.created_at + 1000] = created
        elif step.endswith("look"):
            take(run_look(documents.values(), None if step == "full look" else before, filters=filters))

    available = {item.id for item in documents.values() if item.indexed and item.belongs_in_search}
    assert len(announced) == len(set(announced))
    assert available <= base | set(announced)
    assert set(before.available) == available
