"""The endpoints that delete a document and index failed ones again."""

from __future__ import annotations

from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InternalError,
    Json,
    NotFoundError,
    Reply,
    invalid,
    missing,
    page_not_found,
)
from airflow_provider_dify.testing.model.rows import Row, parse_document_id

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
    """``POST /datasets/{dataset_id}/documents/retry``, from 1.17.0 on: index failed documents again, all or none.

    It follows Dify's source, since no such server was recorded: the checks, their status and their order. There, one
    job indexes all documents of a request one after the other; here, each is a job of its own.
    """
    world = call.world
    if not world.retries_documents:
        return page_not_found()
    documents = [_retried(call, one) for one in _ids_to_retry(call, call.json_object())]
    for document in documents:
        document.restart_indexing(str(document.batch or world.new_batch()), world.clock.time())
    if not (world.broker.alive and not world.broker.full):
        # They stay, in ``waiting``, and nobody will index them.
        return InternalError(cost="create").reply()
    for document in documents:
        world.worker.queue_indexing(document)
    world.tick()
    return Reply(204, cost="changed", size=len(documents))


def _ids_to_retry(call: Call, body: Json) -> list[str]:
    ids, version, model = body.get("document_ids"), call.world.version, "DocumentRetryPayload"
    if ids is None:
        raise invalid(version, model, missing("document_ids", body))
    if not isinstance(ids, list) or not 0 < len(ids) <= MOST_RETRIED:
        text = f"List should have 1 to {MOST_RETRIED} items after validation"
        raise invalid(version, model, Complaint("document_ids", text, "too_long", ids))
    try:
        return list(dict.fromkeys(parse_document_id(one) for one in ids))
    except ValueError:
        raise invalid(
            version, model, Complaint("document_ids", "Input should be a valid UUID", "uuid_parsing", ids)
        ) from None


def _retried(call: Call, document_id: str) -> Row:
    document = call.dataset.get(document_id)
    if document is None:
        raise NotFoundError("Document not found.")
    if document.archived:
        raise ApiError(403, "archived_document_immutable", "The archived document is not editable.")
    if document.indexing_status != "error" or document.paused:
        raise ApiError(400, "document_indexing", "Only documents whose indexing has failed can be retried.")
    return document


ROUTES = [
    route("/datasets/{dataset}/documents/retry", post=retry_documents),
    route("/datasets/{dataset}/documents/{document}", delete=delete_document),
]
