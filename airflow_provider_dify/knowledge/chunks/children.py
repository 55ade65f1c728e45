"""Reading, adding, changing and deleting the child chunks of a chunk, and reading back that it worked.

In a parent-child knowledge base, search finds a chunk by its child chunks. It follows each change at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_dify.exceptions import (
    DifyChunkError,
    DifyInputError,
    DifyListChangedError,
    DifyNotFoundError,
)
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.api import get_dataset, page_of, read_answer
from airflow_provider_dify.knowledge.flow import Flow, Request

#: How often a list is read that changes meanwhile.
_READINGS = 3
#: The form of the knowledge bases that use child chunks.
_PARENTS = "hierarchical_model"


@dataclass(frozen=True, slots=True)
class ChildChunk:
    """A child chunk, by which search finds its chunk in a parent-child knowledge base.

    :param id: Its id.
    :param content: Its text.
    :param position: Its place among the child chunks of its chunk, as Dify counts.
    :param customized: Whether it was added or changed by hand, or through the API.
    """

    id: str
    content: str
    position: int
    customized: bool

    @classmethod
    def read(cls, item: Fields) -> ChildChunk:
        """Read one child chunk of a response."""
        return cls(
            id=item.id(),
            content=item.maybe_text("content") or "",
            position=item.count("position"),
            customized=item.maybe_text("type") == "customized",
        )


@dataclass(frozen=True, slots=True)
class Parent:
    """Where child chunks are: the ids of a chunk, its document and its knowledge base."""

    dataset_id: str
    document_id: str
    chunk_id: str

    @property
    def path(self) -> str:
        """The URL of all its child chunks."""
        document = f"/datasets/{self.dataset_id}/documents/{self.document_id}"
        return f"{document}/segments/{self.chunk_id}/child_chunks"


def texts_of(value: object) -> list[str]:
    """Return the texts of new child chunks.

    :raises DifyInputError: There are none, or one is no text.
    """
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
        raise DifyInputError(f"texts must be a list of texts, not {inputs.show(value)}.")
    found = [inputs.text(one, f"texts[{number}]") for number, one in enumerate(items)]
    if not found:
        raise DifyInputError(f"texts contains no text: {inputs.show(value)}.")
    return found


def list_children(parent: Parent) -> Flow[tuple[ChildChunk, ...]]:
    """Read all child chunks of a chunk, by position.

    https://docs.dify.ai/api-reference/chunks/list-child-chunks

    :raises DifyListChangedError: They kept changing meanwhile.
    """
    for _ in range(_READINGS):
        found: dict[str, ChildChunk] = {}
        number, page = 0, None
        while page is None or (page.full and len(found) < page.total):
            number += 1
            page = yield from page_of(parent.path, number, {}, ChildChunk.read)
            found |= {one.id: one for one in page.items}
        if len(found) == page.total:
            return tuple(found.values())
    raise DifyListChangedError(
        f"The child chunks of chunk {parent.chunk_id} kept changing while they were read. Try again later."
    )


def add_children(parent: Parent, texts: Sequence[str]) -> Flow[tuple[ChildChunk, ...]]:
    """Add child chunks to a chunk, one by one: Dify has no request for several.

    https://docs.dify.ai/api-reference/chunks/create-child-chunk

    :raises DifyInputError: The knowledge base does not use child chunks. Dify would accept them all the same.
    """
    dataset = yield from get_dataset(parent.dataset_id)
    if dataset.doc_form not in (None, _PARENTS):
        raise DifyInputError(
            f"Knowledge base {parent.dataset_id} has the form '{dataset.doc_form}', so search would not use child "
            "chunks. Add chunks instead, or use a parent-child knowledge base. Nothing was changed."
        )
    wanted: dict[str, str] = {}
    for text in texts:
        response = yield Request("POST", parent.path, json={"content": text}, repeatable=False)
        wanted[read_answer(response, lambda payload: ChildChunk.read(payload.object("data"))).id] = text
    return (yield from _read_back(parent, list(wanted), lambda one: one.content == wanted[one.id]))


def change_child(parent: Parent, child_id: str, text: str) -> Flow[ChildChunk]:
    """Change the text of a child chunk.

    https://docs.dify.ai/api-reference/chunks/update-child-chunk

    :raises DifyInputError: It is not in this chunk; nothing was changed.
    """
    if not any(one.id == child_id for one in (yield from list_children(parent))):
        raise DifyInputError(f"Child chunk {child_id} is not in chunk {parent.chunk_id}. Nothing was changed.")
    yield Request("PATCH", f"{parent.path}/{child_id}", json={"content": text})
    (found,) = yield from _read_back(parent, [child_id], lambda one: one.content == text)
    return found


def delete_children(parent: Parent, child_ids: Sequence[str]) -> Flow[None]:
    """Delete child chunks of a chunk. Missing ones are no failure.

    https://docs.dify.ai/api-reference/chunks/delete-child-chunk
    """
    present = {one.id for one in (yield from list_children(parent))}
    for child_id in child_ids:
        if child_id in present:
            with suppress(DifyNotFoundError):  # somebody else was faster, or it was us and the answer was lost
                yield Request("DELETE", f"{parent.path}/{child_id}")
    left = {one.id for one in (yield from list_children(parent))}
    if still := [child_id for child_id in child_ids if child_id in left]:
        raise _error(parent, still, "still exist, although Dify answered that they were deleted")


def _read_back(
    parent: Parent, child_ids: Sequence[str], good: Callable[[ChildChunk], bool]
) -> Flow[tuple[ChildChunk, ...]]:
    found = {one.id: one for one in (yield from list_children(parent))}
    if bad := [child_id for child_id in child_ids if child_id not in found or not good(found[child_id])]:
        raise _error(parent, bad, "are not as requested, although Dify accepted the change")
    return tuple(found[child_id] for child_id in child_ids)


def _error(parent: Parent, child_ids: Sequence[str], what: str) -> DifyChunkError:
    return DifyChunkError(
        f"{len(child_ids)} child chunks of chunk {parent.chunk_id} {what}: {', '.join(child_ids[:3])}. Check whether "
        "somebody else changes the document, and retry."
    )
