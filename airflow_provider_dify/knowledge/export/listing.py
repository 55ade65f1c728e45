"""What an export needs to know about each document, from Dify's list."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager

#: Dify keeps a text that was sent with ``create-by-text`` as a file of this type, whatever its name.
TEXT = "txt"
#: Maximum number of bytes of a character in UTF-8.
_WIDEST = 4


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The file that Dify keeps of a document. It never changes: new content is a new file, with another id.

    :param size: Its size in bytes. For a text, Dify returns the number of characters instead (1.14.1, file 07).
    """

    id: str
    name: str
    size: int
    extension: str

    @classmethod
    def read(cls, item: Fields) -> UploadedFile:
        """Read one file of a response."""
        return cls(item.id(), item.text("name"), item.count("size"), item.maybe_text("extension") or "")

    @property
    def is_text(self) -> bool:
        """Whether it was sent as a text. Then its name may have another extension, or none."""
        return self.extension == TEXT and not self.name.lower().endswith(f".{TEXT}")

    def may_have(self, size: int) -> bool:
        """Whether a content of this size, in bytes, can be its content."""
        return self.size == size or (self.extension == TEXT and self.size <= size <= _WIDEST * self.size)

    @property
    def most_bytes(self) -> int:
        """The maximum size of its content, in bytes."""
        return self.size * (_WIDEST if self.extension == TEXT else 1)


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document in the list.

    :param document: The document.
    :param file: The file that Dify keeps of it; ``None`` if there is none, for example for a page of Notion.
    :param rule_id: Id of the process rule that Dify applied to it.
    :param form: How it was split: ``text_model``, ``hierarchical_model`` or ``qa_model``.
    """

    document: Document
    file: UploadedFile | None
    rule_id: str | None
    form: str | None

    @classmethod
    def read(cls, item: Fields) -> ListedDocument:
        """Read one document of a response."""
        detail = item.get("data_source_detail_dict")
        file = detail.get("upload_file") if isinstance(detail, dict) else None
        return cls(
            Document.read(item),
            UploadedFile.read(Fields(file)) if isinstance(file, dict) else None,
            item.maybe_text("dataset_process_rule_id"),
            item.maybe_text("doc_form"),
        )

    @property
    def id(self) -> str:
        """Id of the document."""
        return self.document.id


def list_all(dataset_id: str, progress: Progress) -> Flow[list[ListedDocument]]:
    """List the documents of a knowledge base, in the order in which they were created.

    :raises DifyListChangedError: The list kept changing while it was read, and may lack documents.
    """
    pager: Pager[ListedDocument] = Pager()
    found: list[ListedDocument] = []
    while not pager.done:
        path = f"/datasets/{dataset_id}/documents"
        page = yield from api.page_of(path, pager.page, {}, ListedDocument.read, pager.limit)
        found += pager.take(page)
        yield from progress.note("Listed", len(found), pager.total)
    return sorted(found, key=lambda one: (one.document.position, one.id))
