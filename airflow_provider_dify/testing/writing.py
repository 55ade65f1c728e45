"""The endpoints that create and delete."""

from __future__ import annotations

from airflow_provider_dify.testing import shapes
from airflow_provider_dify.testing.api import Call
from airflow_provider_dify.testing.replies import (
    ApiError,
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    NotFoundError,
    Reply,
    bad_request,
    invalid,
    missing,
)
from airflow_provider_dify.testing.rows import Row
from airflow_provider_dify.testing.world import Dataset

LONGEST_NAME = 40
#: Characters of a text that make one segment, about what Dify's automatic rule cuts.
SEGMENT_LENGTH = 1000


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
    for document in dataset.in_order():
        dataset.remove(document)
    del call.world.datasets[dataset.id]
    return Reply(204, cost="create")


def create_by_text(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/document/create-by-text``."""
    dataset, body = call.dataset, call.json_object()
    _check_creation(call, dataset, body)
    name, text = str(body["name"]), str(body["text"])
    document = _namesake(dataset, name)
    if document is None:
        document = dataset.new_row(name, text, _segment_count(text))
        dataset.insert(document)
    else:
        # An enabled namesake is replaced in place, even an archived one, which then is found although archived.
        document.text = text
        document.segments = _segment_count(text)
    return _start_indexing(call, document)


def _check_creation(call: Call, dataset: Dataset, body: Json) -> None:
    try:
        str(body.get("text")).encode()
    except UnicodeEncodeError:
        # Half a character, which PostgreSQL cannot store.
        raise bad_request() from None
    absent = [missing(name, body) for name in ("name", "text") if body.get(name) is None]
    if absent:
        raise invalid(call.world.version, "DocumentTextCreatePayload", *absent)
    technique = body.get("indexing_technique")
    if technique is None:
        raise InvalidParamError("indexing_technique is required.")
    if technique not in ("high_quality", "economy"):
        text = "Input should be 'high_quality' or 'economy'"
        complaint = Complaint("indexing_technique", text, "literal_error", technique)
        raise invalid(call.world.version, "KnowledgeConfig", complaint)
    if not len(dataset) and not body.get("process_rule"):
        raise InvalidParamError("Process rule is required")


def _namesake(dataset: Dataset, name: str) -> Row | None:
    return next((one for one in dataset.in_order() if one.name == name and one.enabled), None)


def _segment_count(text: str) -> int:
    """How many segments a text makes; none, where it is blank."""
    return -(-len(text.strip()) // SEGMENT_LENGTH)


def _start_indexing(call: Call, document: Row, batch: str | None = None) -> Reply:
    """Put the document back to the start of indexing, and queue it."""
    world = call.world
    document.restart_indexing(batch or world.new_batch(), world.clock.time())
    if not (world.broker.alive and not world.broker.full):
        # The document stays, in ``waiting``, and nobody will index it.
        return InternalError(cost="create").reply()
    # On 1.12.1 every update blocks itself in the database, just before its end.
    world.worker.queue_indexing(document, hangs=batch is not None and world.version.startswith("1.12."))
    world.tick()
    body: Json = {"document": shapes.listed_document(document) | {"tokens": None}, "batch": document.batch}
    return Reply(200, body, cost="create")


def update_by_text(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/{document_id}/update-by-text``: same id, same batch, a gap in search."""
    body, version = call.json_object(), call.world.version
    text, name = body.get("text"), body.get("name")
    if text is not None and name is None:
        complaint = Complaint("", "Value error, name is required when text is provided", "value_error", body)
        raise invalid(version, "DocumentTextUpdate", complaint)
    document = call.dataset.get(call.parts["document"].lower())
    if document is None:
        raise NotFoundError("Document not found")
    if not text and not body.get("process_rule"):
        raise InvalidParamError("Data source or Process rule is required")
    if not (document.enabled and not document.archived and document.indexing_status == "completed"):
        raise InvalidParamError("Document is not available")
    if text:
        document.name, document.text = str(name), str(text)
        document.segments = _segment_count(document.text)
    return _start_indexing(call, document, batch=document.batch)


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
