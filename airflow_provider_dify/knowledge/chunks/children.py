"""Reading, adding, changing and deleting the child chunks of a chunk, and reading back that it worked.

In a parent-child knowledge base, search finds a chunk by its child chunks. It follows each change at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.api import Page, get_dataset, page_of, read_answer
from airflow_provider_dify.knowledge.chunks.shelf import Shelf
from airflow_provider_dify.knowledge.documents import DocumentForm
from airflow_provider_dify.knowledge.flow import Flow, Request


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


def texts_of(value: object) -> list[str]:
    """Return the texts of new child chunks.

    :raises DifyInputError: There are none, or one is not text.
    """
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
        raise DifyInputError(f"texts must be a list of texts, not {inputs.show(value)}.")
    found = [inputs.text(one, f"texts[{number}]") for number, one in enumerate(items)]
    if not found:
        raise DifyInputError(f"texts contains no text: {inputs.show(value)}.")
    return found


class ChildChunks(Shelf[ChildChunk]):
    """The child chunks of a chunk, by position. Every change is read back.

    https://docs.dify.ai/api-reference/chunks/list-child-chunks

    :param dataset_id: The knowledge base.
    :param document_id: The document.
    :param chunk_id: The chunk.
    """

    def __init__(self, dataset_id: str, document_id: str, chunk_id: str) -> None:
        document = f"/datasets/{dataset_id}/documents/{document_id}"
        super().__init__(f"{document}/segments/{chunk_id}/child_chunks", f"child chunks of chunk {chunk_id}")
        self.dataset_id = dataset_id
        self.chunk_id = chunk_id

    def page(self, number: int) -> Flow[Page[ChildChunk]]:
        """Read one page of them."""
        return page_of(self.path, number, {}, ChildChunk.read)

    def add(self, texts: Sequence[str]) -> Flow[tuple[ChildChunk, ...]]:
        """Add child chunks, one by one: Dify has no request for several.

        https://docs.dify.ai/api-reference/chunks/create-child-chunk

        :raises DifyInputError: The knowledge base does not use child chunks. Dify would accept them all the same.
        """
        dataset = yield from get_dataset(self.dataset_id)
        if dataset.doc_form not in (None, DocumentForm.HIERARCHICAL.value):
            raise DifyInputError(
                f"Knowledge base {self.dataset_id} has the form '{dataset.doc_form}', so search would not use child "
                "chunks. Add chunks instead, or use a parent-child knowledge base. Nothing was changed."
            )
        wanted: dict[str, str] = {}
        for text in texts:
            response = yield Request("POST", self.path, json={"content": text}, repeatable=False)
            wanted[read_answer(response, lambda payload: ChildChunk.read(payload.object("data"))).id] = text
        return (yield from self.read_back(list(wanted), lambda one: one.content == wanted[one.id]))

    def change(self, child_id: str, text: str) -> Flow[ChildChunk]:
        """Change the text of a child chunk.

        https://docs.dify.ai/api-reference/chunks/update-child-chunk

        :raises DifyInputError: It is not in this chunk; nothing was changed.
        """
        if not any(one.id == child_id for one in (yield from self.all())):
            raise DifyInputError(f"Child chunk {child_id} is not in chunk {self.chunk_id}. Nothing was changed.")
        yield Request("PATCH", f"{self.path}/{child_id}", json={"content": text})
        (found,) = yield from self.read_back([child_id], lambda one: one.content == text)
        return found
