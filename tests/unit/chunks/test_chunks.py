"""Chunks of a document: read, added, changed, enabled, disabled and deleted, and each change is read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyChunkError,
    DifyInputError,
    DifyListChangedError,
    DifyNotFoundError,
    DifyRequestError,
    DifyServerError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import UNKNOWN


@pytest.fixture
def page(kb: Dataset) -> Document:
    """A document with three chunks."""
    return kb.add_document("page", segments=["About seals.", "About whales.", "About crabs."])


def place(page: Document) -> tuple[str, str]:
    return page.dataset.id, page.id


def first(page: Document) -> str:
    return page.chunks[0].id


def sent(dify: FakeDify) -> list[str]:
    return [one.method for one in dify.requests if one.method != "GET"]


class TestReading:
    """All chunks, in order."""

    def test_some(self, hook: DifyHook, page: Document) -> None:
        assert [one.content for one in hook.list_chunks(*place(page))] == [
            "About seals.",
            "About whales.",
            "About crabs.",
        ]

    def test_all_pages(self, hook: DifyHook, kb: Dataset) -> None:
        document = kb.add_document("long", segments=[f"Text {number}." for number in range(250)])
        assert [one.content for one in hook.list_chunks(*place(document))] == [f"Text {n}." for n in range(250)]

    def test_none(self, hook: DifyHook, kb: Dataset) -> None:
        assert hook.list_chunks(*place(kb.add_document("empty", text=""))) == ()

    def test_a_list_that_does_not_hold_what_it_counts(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        body = {"data": [], "total": 3, "doc_form": "text_model", "has_more": False, "limit": 100, "page": 1}
        dify.faults.add(Fault("status", path="/segments$", status=200, body=body, times=None))
        with pytest.raises(DifyListChangedError, match="kept changing while they were read"):
            hook.list_chunks(*place(page))

    def test_of_another_document(self, hook: DifyHook, kb: Dataset) -> None:
        with pytest.raises(DifyNotFoundError):
            hook.list_chunks(kb.id, UNKNOWN)


class TestChanging:
    """Every change is read back."""

    def test_add(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        added = hook.add_chunks(*place(page), ["About gulls.", {"content": "About rays.", "keywords": ["manta"]}])
        assert [one.content for one in added] == ["About gulls.", "About rays."]
        assert added[1].keywords == ("manta",)
        assert dify.search(page.dataset, "manta") == ["page"]
        assert len(page.chunks) == 5

    def test_update(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        chunk = page.chunks[1]
        assert hook.update_chunk(*place(page), chunk.id, content="About dolphins.").content == "About dolphins."
        assert hook.update_chunk(*place(page), chunk.id, keywords=["flipper"]).content == "About dolphins."
        assert chunk.keywords == ["flipper"]
        assert dify.requests[-1].method == "GET"  # the proof

    def test_disable_and_enable(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        ids = [chunk.id for chunk in page.chunks[:2]]
        assert [one.enabled for one in hook.disable_chunks(*place(page), ids)] == [False, False]
        assert [chunk.enabled for chunk in page.chunks] == [False, False, True]
        hook.disable_chunks(*place(page), ids)
        assert sent(dify) == ["POST", "POST"]  # what is disabled already is left alone
        assert all(one.enabled for one in hook.enable_chunks(*place(page), ids))
        assert all(chunk.enabled for chunk in page.chunks)

    def test_delete(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        first = page.chunks[0].id
        dify.faults.add(Fault("reset_after", method="DELETE"))
        hook.delete_chunks(*place(page), [first, UNKNOWN])
        assert [chunk.text for chunk in page.chunks] == ["About whales.", "About crabs."]
        hook.delete_chunks(*place(page), first)
        assert sent(dify) == ["DELETE", "DELETE"]

    def test_dify_is_still_working_on_it(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        body = {"code": "invalid_param", "message": "Segment is indexing, please try again later", "status": 400}
        dify.faults.add(Fault("status", method="POST", path="/segments/", status=400, body=body, times=2))
        hook.disable_chunks(*place(page), page.chunks[0].id)
        assert not page.chunks[0].enabled
        dify.faults.add(Fault("status", method="POST", path="/segments/", status=400, body=body, times=None))
        with pytest.raises(DifyRequestError, match="Segment is indexing"):
            hook.enable_chunks(*place(page), page.chunks[0].id)

    def test_a_disabled_chunk_cannot_be_changed(self, hook: DifyHook, page: Document) -> None:
        page.disable_chunk(0)
        with pytest.raises(DifyRequestError, match="Can't update disabled segment"):
            hook.update_chunk(*place(page), page.chunks[0].id, content="x")

    def test_a_document_that_takes_none(self, hook: DifyHook, kb: Dataset) -> None:
        with pytest.raises(DifyNotFoundError, match="Document is disabled"):
            hook.add_chunks(*place(kb.add_document("off", enabled=False)), "x")

    def test_an_addition_is_not_sent_twice(self, dify: FakeDify, hook: DifyHook, page: Document) -> None:
        dify.faults.add(Fault("status_after", method="POST", path="/segments$"))
        with pytest.raises(DifyServerError):
            hook.add_chunks(*place(page), "About gulls.")
        assert len(page.chunks) == 4


CHANGES: dict[str, tuple[str, str, Callable[[DifyHook, Document], Any]]] = {
    "add": ("POST", "/segments$", lambda hook, page: hook.add_chunks(*place(page), "x")),
    "update": ("POST", "/segments/", lambda hook, page: hook.update_chunk(*place(page), first(page), content="x")),
    "disable": ("POST", "/segments/", lambda hook, page: hook.disable_chunks(*place(page), first(page))),
    "delete": ("DELETE", "/segments/", lambda hook, page: hook.delete_chunks(*place(page), first(page))),
}


@pytest.mark.parametrize(("method", "path", "change"), CHANGES.values(), ids=CHANGES)
def test_a_server_that_does_nothing(
    dify: FakeDify, hook: DifyHook, page: Document, method: str, path: str, change: Callable[[DifyHook, Document], Any]
) -> None:
    answer = {"data": [{"id": UNKNOWN, "content": "x", "enabled": True, "keywords": None}]}
    dify.faults.add(Fault("status", method=method, path=path, status=200, body=answer))
    with pytest.raises(DifyChunkError, match=r"Of the chunks of document .*, 1 .* although Dify") as caught:
        change(hook, page)
    assert caught.value.retryable


Call = Callable[[DifyHook, Document], Any]


def add(chunks: Any) -> Call:
    return lambda hook, page: hook.add_chunks(*place(page), chunks)


WRONG: dict[str, tuple[Call, str]] = {
    "no chunks": (add([]), r"chunks contains no chunk: \[\]"),
    "a number": (add(3), "chunks must be a list of texts or mappings, not 3"),
    "an empty text": (add(["a", ""]), r"chunks\[1\]\['content'\] must be text"),
    "an unknown part": (add({"text": "x"}), r"chunks\[0\] has no part 'text'. It has content, answer"),
    "words as text": (
        lambda hook, page: hook.update_chunk(*place(page), UNKNOWN, keywords="a"),
        r"chunk\['keywords'\] must be a list of words, not 'a'",
    ),
    "nothing": (lambda hook, page: hook.update_chunk(*place(page), UNKNOWN), "Nothing to change: set content"),
    "a wrong id": (lambda hook, page: hook.delete_chunks(*place(page), "a"), r"chunk_ids\[0\] is not a UUID: 'a'"),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_wrong_input(
    dify: FakeDify, hook: DifyHook, page: Document, call: Callable[[DifyHook, Document], Any], says: str
) -> None:
    with pytest.raises(DifyInputError, match=says):
        call(hook, page)
    assert dify.requests == []


def test_chunks_of_another_document(dify: FakeDify, hook: DifyHook, page: Document) -> None:
    with pytest.raises(DifyInputError, match=f"Document {page.id} has no chunk {UNKNOWN}. Nothing was changed"):
        hook.disable_chunks(*place(page), [page.chunks[0].id, UNKNOWN])
    assert sent(dify) == []
