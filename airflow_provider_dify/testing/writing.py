"""The endpoints that make and delete knowledge bases, delete documents, and add segments."""

from __future__ import annotations

from airflow_provider_dify.testing import shapes
from airflow_provider_dify.testing.api import Call
from airflow_provider_dify.testing.replies import (
    ApiError,
    Complaint,
    InternalError,
    InvalidParamError,
    NotFoundError,
    Reply,
    invalid,
    missing,
)
from airflow_provider_dify.testing.rows import Segment

LONGEST_NAME = 40


def create_dataset(call: Call) -> Reply:
    """``POST /datasets``."""
    body, world = call.json_object(), call.world
    if "name" not in body:
        raise invalid(world.version, "DatasetCreatePayload", missing("name", body))
    name = str(body["name"])
    if len(name) > LONGEST_NAME:
        text = f"String should have at most {LONGEST_NAME} characters"
        raise invalid(world.version, "DatasetCreatePayload", Complaint("name", text, "string_too_long", name))
    if any(one.name == name for one in world.datasets.values()):
        text = "The dataset name already exists. Please modify your dataset name."
        raise ApiError(409, "dataset_name_duplicate", text)
    dataset = world.add_dataset(name, body.get("indexing_technique"))
    return Reply(200, shapes.dataset_json(dataset, created=True), cost="dataset")


def delete_dataset(call: Call) -> Reply:
    """``DELETE /datasets/{dataset_id}``."""
    dataset = call.dataset
    for document in list(dataset.in_order()):
        dataset.remove(document)
    del call.world.datasets[dataset.id]
    return Reply(204, cost="create")


def delete_document(call: Call) -> Reply:
    """``DELETE /datasets/{dataset_id}/documents/{document_id}``; a lock does not stand in its way."""
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


def add_segments(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/{document_id}/segments``: they can be found at once."""
    body, document = call.json_object(), call.dataset.get(call.parts["document"].lower())
    if document is None:
        raise NotFoundError("Document not found.")
    # The refusals were read in Dify's source, not recorded.
    if document.indexing_status != "completed":
        raise NotFoundError("Document is not completed.")
    if not document.enabled:
        raise NotFoundError("Document is disabled.")
    if not body.get("segments"):
        raise InvalidParamError("Segments is required")
    made = []
    for one in body["segments"]:
        document.number_added += 1
        key = f"{document.uploads}+{document.number_added}"
        made.append(Segment(str(one["content"]), key, one.get("keywords") or None, enabled=True, in_index=True))
    document.added += made
    document.touch(call.world.clock.time())
    data = [shapes.segment_json(document, one) for one in made]
    return Reply(200, {"data": data, "doc_form": call.dataset.doc_form}, cost="segments", size=len(data))
