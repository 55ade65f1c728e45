"""The endpoint that deletes a document."""

from __future__ import annotations

from airflow_provider_dify.testing.api.call import Call
from airflow_provider_dify.testing.api.replies import ApiError, InternalError, NotFoundError, Reply


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
