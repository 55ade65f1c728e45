"""The endpoints of metadata: fields of a knowledge base, and their values in its documents."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import (
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    Reply,
    invalid,
    missing,
)
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.model.fields import BUILT_IN, MetadataField, built_in_values
from airflow_provider_dify.testing.model.rows import Row, parse_document_id

SUCCESS = {"result": "success"}
LONGEST_NAME = 255
TYPES = ("string", "number", "time")


def list_fields(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/metadata``."""
    fields = call.dataset.fields
    data = [{"id": one.id, "name": one.name, "type": one.type, "count": len(one.documents)} for one in fields.all()]
    return Reply(200, {"doc_metadata": data, "built_in_field_enabled": fields.built_in}, cost="metadata")


def create_field(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/metadata``."""
    dataset, body, version = call.dataset, call.json_object(), call.world.version
    complaints = [missing(name, body) for name in ("type", "name") if name not in body]
    if body.get("type", TYPES[0]) not in TYPES:
        text = "Input should be 'string', 'number' or 'time'"
        complaints.append(Complaint("type", text, "literal_error", body["type"]))
    if complaints:
        raise invalid(version, "MetadataArgs", *complaints)
    name = _free_name(dataset, str(body["name"]))
    made = dataset.add_field(name, body["type"])
    return Reply(201, {"id": made, "type": body["type"], "name": name}, cost="metadata")


def rename_field(call: Call) -> Reply:
    """``PATCH /datasets/{dataset_id}/metadata/{metadata_id}``; the values in the documents follow."""
    dataset, body, version = call.dataset, call.json_object(), call.world.version
    if "name" not in body:
        raise invalid(version, "MetadataUpdatePayload", missing("name", body))
    if not isinstance(body["name"], str):
        complaint = Complaint("name", "Input should be a valid string", "string_type", body["name"])
        raise invalid(version, "MetadataUpdatePayload", complaint)
    name = _free_name(dataset, body["name"])
    one = dataset.fields.get(call.parts["field"].lower())
    if one is None:
        # Dify logs the error, and fails to show what it did not find. Older versions respond with empty fields; that
        # was not recorded.
        if version.startswith(("1.12.", "1.13.", "1.14.")):
            return Reply(200, dict.fromkeys(("id", "type", "name")), cost="metadata")
        text = "Input should be a valid dictionary or object to extract fields from"
        raise invalid(version, "DatasetMetadataResponse", Complaint("", text, "model_attributes_type", None))
    for row in _documents(dataset, one):
        if row.metadata is not None:
            row.metadata[name] = row.metadata.pop(one.name, None)
    one.name = name
    return Reply(200, {"id": one.id, "type": one.type, "name": name}, cost="metadata")


def delete_field(call: Call) -> Reply:
    """``DELETE /datasets/{dataset_id}/metadata/{metadata_id}``; an unknown one is not an error."""
    one = call.dataset.fields.pop(call.parts["field"].lower())
    if one is not None:
        for row in _documents(call.dataset, one):
            (row.metadata or {}).pop(one.name, None)
    if call.world.version.startswith("1.12."):
        return Reply(200, "204\n", cost="metadata")
    return Reply(204, cost="metadata")


def built_in_fields(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/metadata/built-in``: the same everywhere."""
    del call
    return Reply(200, {"fields": [{"name": name, "type": kind} for name, kind in BUILT_IN.items()]})


def switch_built_in(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/metadata/built-in/{action}``; an unknown action does nothing, and succeeds."""
    dataset, action = call.dataset, call.parts["action"]
    if action in ("enable", "disable") and dataset.fields.built_in != (action == "enable"):
        dataset.fields.built_in = action == "enable"
        for row in dataset.in_order():
            if row.display_status == "available":
                kept = {name: value for name, value in (row.metadata or {}).items() if name not in BUILT_IN}
                row.metadata = kept | (built_in_values(row) if action == "enable" else {})
    return Reply(200, SUCCESS, cost="metadata")


def assign(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/metadata``: document by document, until there is an error.

    On 1.12.1 the error is ignored, and the next document follows.
    """
    body, version = call.json_object(), call.world.version
    if "operation_data" not in body:
        raise invalid(version, "MetadataOperationData", missing("operation_data", body))
    for operation in body["operation_data"]:
        try:
            _assign(call, operation)
        except (InvalidParamError, InternalError):
            if not version.startswith("1.12."):
                raise
    return Reply(200, SUCCESS, cost="metadata", size=len(body["operation_data"]))


def _assign(call: Call, operation: Json) -> None:
    dataset, world = call.dataset, call.world
    try:
        row = dataset.get(parse_document_id(operation["document_id"]))
    except ValueError:
        raise InternalError from None
    if row is None:
        raise InvalidParamError("Document not found.")
    if row.metadata_lock_until > world.clock.monotonic():
        raise InvalidParamError("Another document metadata operation is running, please wait a moment.")
    given: list[Json] = operation.get("metadata_list") or []
    values: dict[str, Any] = {one["name"]: one.get("value") for one in given}
    row.touch(world.clock.time())
    dataset.fields.assign(row, values, [one["id"] for one in given], partial=bool(operation.get("partial_update")))


def _documents(dataset: Dataset, one: MetadataField) -> list[Row]:
    return [row for row_id in one.documents if (row := dataset.get(row_id)) is not None]


def _free_name(dataset: Dataset, name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise InvalidParamError(f"Metadata name cannot exceed {LONGEST_NAME} characters.")
    if dataset.fields.named(name) is not None:
        raise InvalidParamError("Metadata name already exists.")
    if name in BUILT_IN:
        raise InvalidParamError("Metadata name already exists in Built-in fields.")
    return name


ROUTES = [
    route("/datasets/{dataset}/documents/metadata", post=assign),
    route("/datasets/{dataset}/metadata", get=list_fields, post=create_field),
    route("/datasets/{dataset}/metadata/{field}", patch=rename_field, delete=delete_field),
    route("/datasets/{dataset}/metadata/built-in", get=built_in_fields),
    route("/datasets/{dataset}/metadata/built-in/{action}", post=switch_built_in),
]
