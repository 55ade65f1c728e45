"""The endpoints that delete a document and index failed ones again."""

from __future__ import annotations

from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    NotFoundError,
    Reply,
    invalid,
    missing,
    page_not_found,
)
from airflow_provider_dify.testing.model.rows import LOCK_SECONDS, Row, parse_document_id

#: Maximum number of documents in one request to index them again.
MOST_RETRIED = 100


def delete_document(call: Call) -> Reply:
    """``DELETE /datasets/{dataset_id}/documents/{document_id}``; a lock does not prevent it."""
    dataset = call.dataset
    document = dataset.get(call.parts["document"].lower())
    if document is None:
        raise NotFoundError("Document Not Exists.")
    if document.archived:
        text = "The archived document is not editable."
        raise ApiError(403, "archived_document_immutable", text)
    if not call.world.broker.alive:
        return InternalError(cost="create").reply()
    dataset.remove(document)
    if call.world.version.startswith("1.12."):
        return Reply(200, "204\n", cost="create")
    return Reply(204, cost="create")


def retry_documents(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/retry``, in releases after 1.17.1: index failed documents again.

    It takes all of them or none. This follows Dify's source, since no such release was recorded. There, one job
    indexes all documents of a request one after the other, and ends at the first one that was deleted meanwhile; here,
    each is a job of its own.
    """
    world = call.world
    if not world.retries_documents:
        return page_not_found()
    documents = [_retried(call, one) for one in _ids_to_retry(call, call.json_object())]
    now = world.clock.monotonic()
    if any(document.retry_lock_until > now for document in documents):
        raise InvalidParamError("Document is being retried, please try again later")
    for document in documents:
        document.retry_lock_until = now + LOCK_SECONDS
        error = document.error
        document.restart_indexing(str(document.batch or world.new_batch()), world.clock.time())
        document.error = error  # it stays until the document is indexed (seen with the worker of 1.16.0)
    if not (world.broker.alive and not world.broker.full):
        # They stay, in ``waiting``, and nobody will index them.
        return InternalError(cost="create").reply()
    for document in documents:
        world.worker.queue_indexing(document)
    world.tick()
    return Reply(204, cost="changed", size=len(documents))


def _ids_to_retry(call: Call, body: Json) -> list[str]:
    if complaint := _complaint_about_ids(body):
        raise invalid(call.world.version, "DocumentRetryPayload", complaint)
    return list(dict.fromkeys(parse_document_id(one) for one in body["document_ids"]))


def _complaint_about_ids(body: Json) -> Complaint | None:
    where = "document_ids"
    if where not in body:
        return missing(where, body)
    ids = body[where]
    if not isinstance(ids, list):
        return Complaint(where, "Input should be a valid list", "list_type", ids)
    if not ids:
        return Complaint(where, "List should have at least 1 item after validation, not 0", "too_short", ids)
    if len(ids) > MOST_RETRIED:
        text = f"List should have at most {MOST_RETRIED} items after validation, not {len(ids)}"
        return Complaint(where, text, "too_long", ids)
    for place, one in enumerate(ids):
        try:
            parse_document_id(one)
        except ValueError:
            return Complaint(f"{where}.{place}", "Input should be a valid UUID", "uuid_parsing", one)
    return None


def _retried(call: Call, document_id: str) -> Row:
    document = call.dataset.get(document_id)
    if document is None:
        raise NotFoundError("Document not found.")
    if document.archived:
        raise ApiError(403, "archived_document_immutable", "The archived document is not editable.")
    if document.indexing_status != "error" or document.paused:
        raise ApiError(400, "document_indexing", "Only failed documents that are not paused can be retried.")
    return document


ROUTES = [
    route("/datasets/{dataset}/documents/retry", post=retry_documents),
    route("/datasets/{dataset}/documents/{document}", delete=delete_document),
]
