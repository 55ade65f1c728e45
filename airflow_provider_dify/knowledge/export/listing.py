"""What an export has to know of each document, from Dify's list."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager

#: What a text becomes when it is sent by ``create-by-text``: Dify keeps it as a file of this type, whatever its name.
TEXT = "txt"
#: Bytes that a character has at most in UTF-8.
_WIDEST = 4


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The file that Dify keeps of a document. It is never changed: another content is another file, with another id.

    :param size: Its bytes. Of a text, Dify gives the number of characters instead (1.14.1, file 07).
    """

    id: str
    name: str
    size: int
    extension: str

    @classmethod
    def read(cls, item: Fields) -> UploadedFile:
        """Read it from an answer."""
        return cls(item.id(), item.text("name"), item.count("size"), item.maybe_text("extension") or "")

    @property
    def is_text(self) -> bool:
        """Whether it was sent as a text: then its name need not say so."""
        return self.extension == TEXT and not self.name.lower().endswith(f".{TEXT}")

    def may_have(self, size: int) -> bool:
        """Whether its content can have so many bytes."""
        return self.size == size or (self.extension == TEXT and self.size <= size <= _WIDEST * self.size)

    @property
    def most_bytes(self) -> int:
        """How many bytes its content has at most."""
        return self.size * (_WIDEST if self.extension == TEXT else 1)


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document of the list.

    :param document: The document.
    :param file: The file that Dify keeps of it; ``None`` if there is none, as of a page of Notion or of a website.
    :param rule_id: Id of the process rule that it was cut by.
    :param form: How it was cut: ``text_model``, ``hierarchical_model`` or ``qa_model``.
    """

    document: Document
    file: UploadedFile | None
    rule_id: str | None
    form: str | None

    @classmethod
    def read(cls, item: Fields) -> ListedDocument:
        """Read it from an answer."""
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
