"""Child chunks: read, added, changed and deleted. Each change is read back, and search follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyChunkError,
    DifyInputError,
    DifyListChangedError,
    DifyNotFoundError,
    DifyServerError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import UNKNOWN

PARENTS = {"mode": "hierarchical", "rules": {"segmentation": {"separator": "\n\n"}, "parent_mode": "paragraph"}}


@pytest.fixture
def parents(dify: FakeDify) -> Dataset:
    return dify.add_dataset(
        "parents", indexing_technique="high_quality", doc_form="hierarchical_model", process_rule=PARENTS
    )


@pytest.fixture
def page(parents: Dataset) -> Document:
    """A document with one chunk, which has three child chunks."""
    return parents.add_document("page", segments=["Seals swim.\nWhales sing.\nCrabs walk."])


def place(page: Document) -> tuple[str, str, str]:
    return page.dataset.id, page.id, page.chunks[0].id


def ids(hook: DifyHook, page: Document) -> list[str]:
    return [one.id for one in hook.list_child_chunks(*place(page))]


def best(hook: DifyHook, page: Document, query: str) -> float:
    """How similar the best child chunk of the document is to a query."""
    return max(hit.score or 0.0 for hit in hook.retrieve(page.dataset.id, query) if hit.document_id == page.id)


class TestReading:
    """All child chunks, by position."""

    def test_some(self, hook: DifyHook, page: Document) -> None:
        found = hook.list_child_chunks(*place(page))
        assert [(one.content, one.position, one.customized) for one in found] == [
            ("Seals swim.", 1, False),
            ("Whales sing.", 2, False),
            ("Crabs walk.", 3, False),
        ]

    def test_all_pages(self, dify: FakeDify, hook: DifyHook, parents: Dataset) -> None:
        texts = [f"Text {number}." for number in range(250)]
        document = parents.add_document("long", segments=["\n".join(texts)])
        assert [one.content for one in hook.list_child_chunks(*place(document))] == texts
        assert sum(one.path.endswith("/child_chunks") for one in dify.requests) == 3

    def test_none(self, hook: DifyHook, kb: Dataset) -> None:
        assert hook.list_child_chunks(*place(kb.add_document("flat"))) == ()

    def test_a_list_that_does_not_hold_what_it_counts(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        body = {"data": [], "total": 3, "total_pages": 1, "limit": 100, "page": 1}
        dify.faults.add(Fault("status", path="/child_chunks$", status=200, body=body, times=None))
        with pytest.raises(DifyListChangedError, match="kept changing while they were read"):
            hook.list_child_chunks(*place(page))

    def test_of_another_chunk(self, hook: DifyHook, page: Document) -> None:
        with pytest.raises(DifyNotFoundError, match="Segment not found"):
            hook.list_child_chunks(page.dataset.id, page.id, UNKNOWN)


class TestChanging:
    """Every change is read back, and search follows."""

    def test_add(self, hook: DifyHook, page: Document) -> None:
        added = hook.add_child_chunks(*place(page), ["Gulls scream.", "Gulls scream."])
        assert [(one.content, one.position, one.customized) for one in added] == [
            ("Gulls scream.", 4, True),
            ("Gulls scream.", 5, True),
        ]
        assert best(hook, page, "Gulls scream.") == pytest.approx(1.0)
        assert page.chunks[0].children[3:] == ["Gulls scream.", "Gulls scream."]

    def test_update(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        changed = hook.update_child_chunk(*place(page), ids(hook, page)[1], content="Dolphins jump.")
        assert (changed.content, changed.position, changed.customized) == ("Dolphins jump.", 2, True)
        assert dify.requests[-1].method == "GET"  # the proof
        assert page.chunks[0].children == ["Seals swim.", "Dolphins jump.", "Crabs walk."]
        assert best(hook, page, "Dolphins jump.") == pytest.approx(1.0)

    def test_delete(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        first, _, last = ids(hook, page)
        dify.faults.add(Fault("reset_after", method="DELETE"))
        hook.delete_child_chunks(*place(page), [first, UNKNOWN])
        assert page.chunks[0].children == ["Whales sing.", "Crabs walk."]
        hook.delete_child_chunks(*place(page), first)
        assert [one.method for one in dify.requests if one.method != "GET"] == ["DELETE", "DELETE"]
        hook.add_child_chunks(*place(page), "Rays glide.")
        assert len(set(ids(hook, page))) == 3
        assert ids(hook, page)[1] == last

    def test_a_chunk_that_changes_keeps_them(self, hook: DifyHook, page: Document) -> None:
        hook.update_chunk(*place(page), content="About gulls.")
        assert page.chunks[0].children == ["Seals swim.", "Whales sing.", "Crabs walk."]

    def test_a_chunk_without_any_is_not_found(self, hook: DifyHook, page: Document) -> None:
        page.dataset.add_document("other", segments=["Other."])
        hook.delete_child_chunks(*place(page), ids(hook, page))
        assert {hit.document_id for hit in hook.retrieve(page.dataset.id, "Seals swim.")}.isdisjoint({page.id})

    def test_an_addition_is_not_sent_twice(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        dify.faults.add(Fault("status_after", method="POST", path="/child_chunks$"))
        with pytest.raises(DifyServerError):
            hook.add_child_chunks(*place(page), "Gulls scream.")
        assert len(page.chunks[0].children) == 4

    def test_a_knowledge_base_that_does_not_use_them(self, dify: FakeDify, hook: DifyHook, kb: Dataset) -> None:
        flat = kb.add_document("flat")
        with pytest.raises(DifyInputError, match=r"has the form 'text_model', so search would not use child chunks"):
            hook.add_child_chunks(*place(flat), "x")
        assert all(one.method == "GET" for one in dify.requests)


CHANGES: dict[str, tuple[str, Callable[[DifyHook, Document, str], Any]]] = {
    "add": ("POST", lambda hook, page, _: hook.add_child_chunks(*place(page), "x")),
    "update": ("PATCH", lambda hook, page, child: hook.update_child_chunk(*place(page), child, content="x")),
    "delete": ("DELETE", lambda hook, page, child: hook.delete_child_chunks(*place(page), child)),
}


@pytest.mark.parametrize(("method", "change"), CHANGES.values(), ids=CHANGES)
def test_a_server_that_does_nothing(
    dify: FakeDify, hook: DifyHook, page: Document, method: str, change: Callable[[DifyHook, Document, str], Any]
) -> None:
    first = ids(hook, page)[0]
    answer = {"data": {"id": UNKNOWN, "content": "x", "position": 1, "type": "customized"}}
    dify.faults.add(Fault("status", method=method, path="/child_chunks", status=200, body=answer))
    with pytest.raises(DifyChunkError, match=r"Of the child chunks of chunk .*, 1 .* although Dify") as caught:
        change(hook, page, first)
    assert caught.value.retryable


Call = Callable[[DifyHook, Document], Any]


def add(texts: Any) -> Call:
    return lambda hook, page: hook.add_child_chunks(*place(page), texts)


WRONG: dict[str, tuple[Call, str]] = {
    "no texts": (add([]), r"texts contains no text: \[\]"),
    "a number": (add(3), "texts must be a list of texts, not 3"),
    "a mapping": (add({"content": "x"}), "texts must be a list of texts, not "),
    "an empty text": (add(["a", ""]), r"texts\[1\] must be text"),
    "no content": (
        lambda hook, page: hook.update_child_chunk(*place(page), UNKNOWN, content=""),
        "content must be text",
    ),
    "a wrong id": (
        lambda hook, page: hook.delete_child_chunks(*place(page), "a"),
        r"child_chunk_ids\[0\] is not a UUID: 'a'",
    ),
    "a wrong chunk": (
        lambda hook, page: hook.list_child_chunks(page.dataset.id, page.id, "a"),
        "chunk_id is not a UUID: 'a'",
    ),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_wrong_input(dify: FakeDify, hook: DifyHook, page: Document, call: Call, says: str) -> None:
    with pytest.raises(DifyInputError, match=says):
        call(hook, page)
    assert dify.requests == []


def test_a_child_of_another_chunk(dify: FakeDify, hook: DifyHook, page: Document) -> None:
    with pytest.raises(DifyInputError, match=f"Child chunk {UNKNOWN} is not in chunk .* Nothing was changed"):
        hook.update_child_chunk(*place(page), UNKNOWN, content="x")
    assert all(one.method == "GET" for one in dify.requests)
