"""The endpoints of Dify's Knowledge API: how each request is built and its response is read.

Each function is a flow of one request. Reference: https://docs.dify.ai/api-reference
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from airflow_provider_dify.exceptions import DifyEndpointError, DifyNotFoundError
from airflow_provider_dify.knowledge import answers
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Action, Dataset, Document, IndexingState
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request, Response, answered

T = TypeVar("T")

#: Maximum number of items on a page, whatever limit is requested.
LONGEST_PAGE = 100


class DocumentFilter(str, Enum):
    """A status that Dify can filter documents by. Dify ignores other values and returns everything."""

    AVAILABLE = "available"
    DISABLED = "disabled"
    ARCHIVED = "archived"
    QUEUING = "queuing"
    INDEXING = "indexing"
    PAUSED = "paused"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    :param items: The items on the page.
    :param total: Length of the whole list when the page was created.
    :param full: Whether the page is full, so that more may follow.
    """

    items: tuple[T, ...]
    total: int
    full: bool


def change_status(dataset_id: str, action: Action, document_ids: Sequence[str]) -> Flow[None]:
    """Change the status of documents. If Dify refuses one of them, it changes none.

    The response says that the flags are set. It does not say that search reflects them, and unknown ids are silently
    ignored. https://docs.dify.ai/api-reference/documents/update-document-status-in-batch
    """
    response = yield Request(
        "PATCH",
        f"/datasets/{dataset_id}/documents/status/{action.value}",
        json={"document_ids": list(document_ids)},
        repeatable=False,
    )
    read_answer(response, lambda payload: payload.text("result"))


def document_page(
    dataset_id: str, page: int, *, status: str | None = None, keyword: str | None = None, limit: int = LONGEST_PAGE
) -> Flow[Page[Document]]:
    """Read one page of the documents of a knowledge base, newest first.

    :param limit: Number of documents on a page.

    https://docs.dify.ai/api-reference/documents/list-documents
    """
    filters = {"status": status, "keyword": keyword}
    return (yield from page_of(f"/datasets/{dataset_id}/documents", page, filters, Document.read, limit))


def dataset_page(
    page: int, *, keyword: str | None = None, hidden: bool = False, limit: int = LONGEST_PAGE
) -> Flow[Page[Dataset]]:
    """Read one page of the knowledge bases that the key can access.

    :param hidden: Whether to list those of other members too that only they see in Dify.

    https://docs.dify.ai/api-reference/knowledge-bases/list-knowledge-bases
    """
    filters = {"keyword": keyword, "include_all": "true" if hidden else None}
    return (yield from page_of("/datasets", page, filters, Dataset.read, limit))


def get_dataset(dataset_id: str) -> Flow[Dataset]:
    """Read a knowledge base, including Dify's version.

    https://docs.dify.ai/api-reference/knowledge-bases/get-knowledge-base
    """
    response = answered((yield Request("GET", f"/datasets/{dataset_id}")))
    dataset = read_answer(response, about(dataset_id, Dataset.read))
    return replace(dataset, server_version=response.headers.get("x-version"))


def get_document(dataset_id: str, document_id: str, *, with_metadata: bool = False) -> Flow[Document]:
    """Read a document.

    :param with_metadata: Whether to include its metadata.
    :raises DifyNotFoundError: The document is not in the knowledge base, or the knowledge base does not exist.

    https://docs.dify.ai/api-reference/documents/get-document
    """
    response = yield single_document(dataset_id, document_id, with_metadata)
    return read_answer(response, about(document_id, Document.read))


def latest_rule(dataset_id: str) -> Flow[dict[str, JSON] | None]:
    """Read the latest process rule of a knowledge base, which Dify shows only with documents; ``None`` if it has none.

    https://docs.dify.ai/api-reference/documents/get-document
    """
    newest = yield from page_of(f"/datasets/{dataset_id}/documents", 1, {}, Document.read, 1)
    if not newest.items:
        return None
    response = yield single_document(dataset_id, newest.items[0].id)
    return read_answer(response, lambda payload: payload.read("dataset_process_rule", answers.an_object_or_nothing))


def delete_document(dataset_id: str, document_id: str) -> Flow[None]:
    """Delete a document. Dify refuses to delete an archived one.

    :raises DifyNotFoundError: The document is not in the knowledge base, or the knowledge base does not exist.

    https://docs.dify.ai/api-reference/documents/delete-document
    """
    yield Request("DELETE", f"/datasets/{dataset_id}/documents/{document_id}", repeatable=False)


def document_indexing(dataset_id: str, document_id: str) -> Flow[tuple[IndexingState, float]]:
    """Read the indexing state of a document, and the server's time of that state.

    :raises DifyNotFoundError: The document is not in the knowledge base, or the knowledge base does not exist.

    https://docs.dify.ai/api-reference/documents/get-document
    """
    response = answered((yield single_document(dataset_id, document_id)))
    return read_answer(response, about(document_id, IndexingState.read_document)), response.created_at


def batch_indexing(dataset_id: str, batch: str) -> Flow[tuple[tuple[IndexingState, ...], float]]:
    """Read the indexing states of a batch of documents, and the server's time of these states.

    :raises DifyNotFoundError: The batch has no documents (any more), or the knowledge base does not exist.

    https://docs.dify.ai/api-reference/documents/get-document-indexing-status
    """
    response = answered((yield Request("GET", f"/datasets/{dataset_id}/documents/{batch}/indexing-status")))
    states = read_answer(response, lambda payload: tuple(map(IndexingState.read, payload.items("data"))))
    return states, response.created_at


def document_is_missing(error: DifyNotFoundError) -> bool:
    """Whether a 404 is about the document, not the whole knowledge base."""
    return "document" in error.detail.lower()


def page_of(
    path: str,
    page: int,
    filters: dict[str, str | None],
    item: Callable[[Fields], T],
    limit: int = LONGEST_PAGE,
) -> Flow[Page[T]]:
    """Read one page of a list.

    :param item: Reads one item of it.
    """
    chosen = tuple((name, value) for name, value in filters.items() if value is not None)
    response = yield Request("GET", path, query=(("page", page), ("limit", limit), *chosen))

    def read(payload: Fields) -> Page[T]:
        items = tuple(map(item, payload.items("data")))
        # has_more is wrong for a last page that is exactly full, and for limits over 100, so the length decides.
        return Page(items, total=int(payload.read("total", answers.a_number)), full=len(items) >= limit)

    return read_answer(response, read)


def about(wanted: str, read: Callable[[Fields], T]) -> Callable[[Fields], T]:
    """Read a response about one thing, and check that it has the requested id: a cache may mix them up."""

    def checked(payload: Fields) -> T:
        if payload.id() != wanted:
            raise ValueError("it is about another id than the one that was asked for")
        return read(payload)

    return checked


def single_document(dataset_id: str, document_id: str, with_metadata: bool = False) -> Request:
    """Return the request for a document by itself."""
    metadata = "all" if with_metadata else "without"
    return Request("GET", f"/datasets/{dataset_id}/documents/{document_id}", query=(("metadata", metadata),))


def read_answer(response: Response | None, read: Callable[[Fields], T]) -> T:
    """Read a response that is an object.

    :raises DifyEndpointError: It has an unexpected form.
    """
    return read_json(response, lambda payload: read(Fields(payload)))


def read_json(response: Response | None, read: Callable[[JSON], T]) -> T:
    """Read a response of any form.

    :raises DifyEndpointError: It has an unexpected form.
    """
    response = answered(response)
    try:
        return read(json.loads(response.body))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise DifyEndpointError(
            f"The answer does not have the form of Dify's API ({type(error).__name__}: "
            f"{response.masked(str(error))}). Check the host of the connection, and whether something between Airflow "
            "and Dify changes responses.",
            status=response.status,
            server_version=response.headers.get("x-version"),
            trace_id=response.headers.get("x-trace-id"),
        ) from None
