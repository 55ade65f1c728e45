"""The methods of the hook for the chunks of a document, and their child chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.chunks.children import ChildChunk, ChildChunks, texts_of
from airflow_provider_dify.knowledge.chunks.chunks import Chunks, checked_parts, new_chunks
from airflow_provider_dify.knowledge.status.segments import Segment


class ChunkVerbs(FlowHook):
    """Reads and changes chunks of a document; every change is read back."""

    def list_chunks(self, dataset_id: str, document_id: str) -> tuple[Segment, ...]:
        """List all chunks of a document, in the order of its text.

        https://docs.dify.ai/api-reference/chunks/list-chunks

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :return: The chunks.
        :raises DifyNotFoundError: The document is not in this knowledge base.
        :raises DifyListChangedError: They kept changing while they were read.
        """
        return self.run(_chunks(dataset_id, document_id).all())

    def add_chunks(
        self, dataset_id: str, document_id: str, chunks: Iterable[str | Mapping[str, Any]] | str
    ) -> tuple[Segment, ...]:
        """Add chunks to a document, which must be indexed and enabled. A call that fails may have added them.

        https://docs.dify.ai/api-reference/chunks/create-chunks

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunks: Their texts, or mappings with ``content``, ``answer`` (of a question) and ``keywords``.
        :return: The new chunks.
        :raises DifyInputError: An argument is invalid; nothing was sent.
        :raises DifyChunkError: They read back differently.
        """
        return self.run(_chunks(dataset_id, document_id).add(new_chunks(chunks)))

    def update_chunk(
        self,
        dataset_id: str,
        document_id: str,
        chunk_id: str,
        *,
        content: str | None = None,
        answer: str | None = None,
        keywords: Iterable[str] | None = None,
    ) -> Segment:
        """Change a chunk, which must be enabled. What is ``None`` stays, and so do its child chunks.

        https://docs.dify.ai/api-reference/chunks/update-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_id: UUID of the chunk.
        :param content: Its new text.
        :param answer: The new answer, in a question-and-answer document.
        :param keywords: The words that should find it, in an economy knowledge base.
        :return: The chunk.
        :raises DifyInputError: An argument is invalid, or the chunk is not in this document; nothing was changed.
        :raises DifyChunkError: It reads back differently.
        """
        given = {"content": content, "answer": answer, "keywords": keywords}
        parts = checked_parts({name: value for name, value in given.items() if value is not None}, "chunk")
        if not parts:
            raise DifyInputError("Nothing to change: set content, answer or keywords.")
        return self.run(_chunks(dataset_id, document_id).change(inputs.canonical_id(chunk_id, "chunk_id"), parts))

    def enable_chunks(self, dataset_id: str, document_id: str, chunk_ids: Iterable[str] | str) -> tuple[Segment, ...]:
        """Enable chunks of a document. Dify's worker brings them into search in the background.

        https://docs.dify.ai/api-reference/chunks/update-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_ids: UUIDs of the chunks.
        :return: The chunks.
        :raises DifyInputError: Chunks are not in this document; nothing was changed.
        :raises DifyChunkError: They read back differently.
        """
        ids = inputs.canonical_ids(chunk_ids, "chunk_ids")
        return self.run(_chunks(dataset_id, document_id).switch(ids, enabled=True))

    def disable_chunks(self, dataset_id: str, document_id: str, chunk_ids: Iterable[str] | str) -> tuple[Segment, ...]:
        """Disable chunks of a document: search does not return them any more.

        They are enabled again when their document is disabled and enabled.

        https://docs.dify.ai/api-reference/chunks/update-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_ids: UUIDs of the chunks.
        :return: The chunks.
        :raises DifyInputError: Chunks are not in this document; nothing was changed.
        :raises DifyChunkError: They read back differently.
        """
        ids = inputs.canonical_ids(chunk_ids, "chunk_ids")
        return self.run(_chunks(dataset_id, document_id).switch(ids, enabled=False))

    def delete_chunks(self, dataset_id: str, document_id: str, chunk_ids: Iterable[str] | str) -> None:
        """Delete chunks of a document, and prove that they are gone. Missing ones are no failure.

        https://docs.dify.ai/api-reference/chunks/delete-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_ids: UUIDs of the chunks.
        :raises DifyChunkError: Some still exist.
        """
        ids = inputs.canonical_ids(chunk_ids, "chunk_ids")
        self.run(_chunks(dataset_id, document_id).delete(ids))

    def list_child_chunks(self, dataset_id: str, document_id: str, chunk_id: str) -> tuple[ChildChunk, ...]:
        """List all child chunks of a chunk, by position.

        https://docs.dify.ai/api-reference/chunks/list-child-chunks

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_id: UUID of the chunk.
        :return: The child chunks. Only chunks of a parent-child knowledge base have any.
        :raises DifyNotFoundError: The chunk is not in this document.
        :raises DifyListChangedError: They kept changing while they were read.
        """
        return self.run(_children(dataset_id, document_id, chunk_id).all())

    def add_child_chunks(
        self, dataset_id: str, document_id: str, chunk_id: str, texts: Iterable[str] | str
    ) -> tuple[ChildChunk, ...]:
        """Add child chunks to a chunk in a parent-child knowledge base. A call that fails may have added some.

        https://docs.dify.ai/api-reference/chunks/create-child-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_id: UUID of the chunk.
        :param texts: Their texts.
        :return: The new child chunks.
        :raises DifyInputError: An argument is invalid, or the knowledge base does not use child chunks; nothing was
            changed.
        :raises DifyChunkError: They read back differently.
        """
        return self.run(_children(dataset_id, document_id, chunk_id).add(texts_of(texts)))

    def update_child_chunk(
        self, dataset_id: str, document_id: str, chunk_id: str, child_chunk_id: str, *, content: str
    ) -> ChildChunk:
        """Change the text of a child chunk.

        https://docs.dify.ai/api-reference/chunks/update-child-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_id: UUID of the chunk.
        :param child_chunk_id: UUID of the child chunk.
        :param content: Its new text.
        :return: The child chunk.
        :raises DifyInputError: An argument is invalid, or it is not in this chunk; nothing was changed.
        :raises DifyChunkError: It reads back differently.
        """
        children = _children(dataset_id, document_id, chunk_id)
        child_id = inputs.canonical_id(child_chunk_id, "child_chunk_id")
        return self.run(children.change(child_id, inputs.text(content, "content")))

    def delete_child_chunks(
        self, dataset_id: str, document_id: str, chunk_id: str, child_chunk_ids: Iterable[str] | str
    ) -> None:
        """Delete child chunks of a chunk, and prove that they are gone. Missing ones are no failure.

        https://docs.dify.ai/api-reference/chunks/delete-child-chunk

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :param chunk_id: UUID of the chunk.
        :param child_chunk_ids: UUIDs of the child chunks.
        :raises DifyChunkError: Some still exist.
        """
        ids = inputs.canonical_ids(child_chunk_ids, "child_chunk_ids")
        self.run(_children(dataset_id, document_id, chunk_id).delete(ids))


def _chunks(dataset_id: str, document_id: str) -> Chunks:
    return Chunks(inputs.canonical_id(dataset_id, "dataset_id"), inputs.canonical_id(document_id, "document_id"))


def _children(dataset_id: str, document_id: str, chunk_id: str) -> ChildChunks:
    return ChildChunks(
        inputs.canonical_id(dataset_id, "dataset_id"),
        inputs.canonical_id(document_id, "document_id"),
        inputs.canonical_id(chunk_id, "chunk_id"),
    )
