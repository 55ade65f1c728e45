"""Reading, adding, changing and deleting chunks by hand, and reading back that it worked.

Search follows at once for a chunk that is added or disabled; for the others, Dify's worker does it in the background.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.api import Page, read_answer
from airflow_provider_dify.knowledge.chunks.shelf import Shelf
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request
from airflow_provider_dify.knowledge.status.segments import Segment, segment_page, update_segment

_PARTS = ("content", "answer", "keywords")


def new_chunks(value: object) -> list[dict[str, JSON]]:
    """Return what chunks should hold: texts, or mappings with ``content``, ``answer`` and ``keywords``.

    :raises DifyInputError: It is something else, or one of them is invalid.
    """
    items = [value] if isinstance(value, (str, Mapping)) else value
    if not isinstance(items, Iterable) or isinstance(items, bytes):
        raise DifyInputError(f"chunks must be a list of texts or mappings, not {inputs.show(value)}.")
    found = [_new_chunk(one, f"chunks[{number}]") for number, one in enumerate(items)]
    if not found:
        raise DifyInputError(f"chunks contains no chunk: {inputs.show(value)}.")
    return found


def _new_chunk(value: object, parameter: str) -> dict[str, JSON]:
    given = value if isinstance(value, Mapping) else {"content": value}
    if unknown := [name for name in given if name not in _PARTS]:
        raise DifyInputError(f"{parameter} has no part {inputs.show(unknown[0])}. It has {', '.join(_PARTS)}.")
    return checked_parts({"content": None, **given}, parameter)


def checked_parts(given: Mapping[str, object], parameter: str) -> dict[str, JSON]:
    """Return the parts of a chunk in the form that Dify accepts; parts that are ``None`` are left out.

    :raises DifyInputError: One of them is invalid.
    """
    parts: dict[str, JSON] = {}
    for name, value in given.items():
        where = f"{parameter}['{name}']"
        if name == "keywords" and value is not None:
            if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
                raise DifyInputError(f"{where} must be a list of words, not {inputs.show(value)}.")
            parts[name] = [inputs.text(one, where) for one in value]
        elif value is not None or name == "content":
            parts[name] = inputs.text(value, where)
    return parts


class Chunks(Shelf[Segment]):
    """The chunks of a document, in the order of its text. Every change is read back.

    :param dataset_id: The knowledge base.
    :param document_id: The document.
    """

    def __init__(self, dataset_id: str, document_id: str) -> None:
        super().__init__(
            f"/datasets/{dataset_id}/documents/{document_id}/segments", f"chunks of document {document_id}"
        )
        self.dataset_id = dataset_id
        self.document_id = document_id

    def page(self, number: int) -> Flow[Page[Segment]]:
        """Read one page of them."""
        return segment_page(self.dataset_id, self.document_id, number)

    def add(self, chunks: Sequence[Mapping[str, JSON]]) -> Flow[tuple[Segment, ...]]:
        """Add chunks to the document; it must be indexed and enabled.

        https://docs.dify.ai/api-reference/chunks/create-chunks
        """
        response = yield Request("POST", self.path, json={"segments": list(chunks)}, repeatable=False)
        made = read_answer(response, lambda payload: tuple(map(Segment.read, payload.items("data"))))
        ids = [one.id for one in made]
        found = yield from self.read_back(ids, lambda one: one.enabled)
        if [one.content for one in found] != [one["content"] for one in chunks]:
            raise self.error(ids, "did not keep what was sent")
        return found

    def change(self, chunk_id: str, parts: Mapping[str, JSON]) -> Flow[Segment]:
        """Change parts of a chunk, which must be enabled.

        https://docs.dify.ai/api-reference/chunks/update-chunk
        """
        (present,) = yield from self._chosen([chunk_id])
        whole = {"content": present.content, **parts}
        yield from update_segment(self.dataset_id, self.document_id, chunk_id, whole)
        (found,) = yield from self.read_back([chunk_id], lambda one: one.content == whole["content"])
        return found

    def switch(self, chunk_ids: Sequence[str], *, enabled: bool) -> Flow[tuple[Segment, ...]]:
        """Enable or disable chunks.

        https://docs.dify.ai/api-reference/chunks/update-chunk
        """
        for one in (yield from self._chosen(chunk_ids)):
            if one.enabled != enabled:
                parts: dict[str, JSON] = {"content": one.content, "enabled": enabled}
                yield from update_segment(self.dataset_id, self.document_id, one.id, parts)
        return (yield from self.read_back(chunk_ids, lambda one: one.enabled is enabled))

    def _chosen(self, chunk_ids: Sequence[str]) -> Flow[tuple[Segment, ...]]:
        """Read chunks before they are changed, in the order in which they are named."""
        found = {one.id: one for one in (yield from self.all())}
        if missing := [chunk_id for chunk_id in chunk_ids if chunk_id not in found]:
            raise DifyInputError(
                f"Document {self.document_id} has no chunk {', '.join(missing[:3])}. Nothing was changed."
            )
        return tuple(found[chunk_id] for chunk_id in chunk_ids)
