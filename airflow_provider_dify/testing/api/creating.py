"""The endpoints that create a document or replace its content, from a text or a file."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_dify.testing.api import rules, shapes
from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    NotFoundError,
    Reply,
    bad_request,
    invalid,
)
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.model.rows import Row, parse_document_id
from airflow_provider_dify.testing.text.cutting import Rule
from airflow_provider_dify.testing.text.uploads import LONGEST_NAME, Upload


def create_by_text(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/document/create-by-text``."""
    dataset, body = call.dataset, call.json_object()
    try:
        str(body.get("text")).encode()
    except UnicodeEncodeError:
        # Half a character, which PostgreSQL cannot store.
        raise bad_request() from None
    rules.check_text(call.world.version, body)
    rules.check_provider(dataset)
    if not (body.get("indexing_technique") or dataset.indexing_technique):
        raise InvalidParamError("indexing_technique is required.")
    if call.world.is_recent:
        # Since 1.16.0, the settings of the knowledge base are enough, including its rule (file 27).
        body = {**body, "indexing_technique": body.get("indexing_technique") or dataset.indexing_technique}
    rules.check_config(call.world.version, dataset, body)
    if not (call.world.is_recent or len(dataset) or dataset.rule or body.get("process_rule")):
        raise InvalidParamError("Process rule is required")
    return _create(call, body, str(body["name"])[:LONGEST_NAME], str(body["text"]), None)


def create_by_file(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/document/create-by-file``."""
    dataset, body = call.dataset, _data(call)
    rules.check_provider(dataset)
    technique = body.get("indexing_technique") or dataset.indexing_technique
    if not technique:
        raise InvalidParamError("indexing_technique is required.")
    if "file" not in call.form.file_fields:
        raise ApiError(400, "no_file_uploaded", "Please upload your file.")
    file = _file(call)
    if not file.supported or file.too_large:
        # Dify loses the specific errors of files here, including their texts.
        raise InvalidParamError("")
    rules.check_config(call.world.version, dataset, body | {"indexing_technique": technique})
    if not (len(dataset) or dataset.rule or body.get("process_rule")):
        raise InvalidParamError("process_rule is required.")
    return _create(call, body, _stored_name(file), file.text, file)


def update_by_text(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/{document_id}/update-by-text``: same id, same batch, a gap in search."""
    body, version = call.json_object(), call.world.version
    text, name = body.get("text"), body.get("name")
    if text is not None and name is None:
        complaint = Complaint("", "Value error, name is required when text is provided", "value_error", body)
        raise invalid(version, "DocumentTextUpdate", complaint)
    return _update(call, body, str(name)[:LONGEST_NAME], str(text) if text else None, None)


def update_by_file(call: Call) -> Reply:
    """``PATCH /datasets/{dataset_id}/documents/{document_id}``, and ``POST …/update-by-file`` as it was before."""
    body = _data(call)
    if "file" not in call.form.file_fields:
        return _update(call, body, "", None, None)
    file = _file(call)
    if not file.supported:
        raise ApiError(415, "unsupported_file_type", "File type not allowed.")
    if file.too_large:
        # Dify's own mistake: the placeholder is not filled in.
        raise ApiError(413, "file_too_large", "File size exceeded. {message}")
    return _update(call, body, str(body.get("name") or _stored_name(file)), file.text, file)


def _data(call: Call) -> Json:
    """The field ``data`` of a form: JSON as text; may be missing."""
    try:
        data: Any = json.loads(call.form.fields.get("data", "{}"))
    except ValueError as error:
        # Dify treats it as a wrong parameter, with the message of Python's parser.
        raise InvalidParamError(str(error)) from None
    if not isinstance(data, dict):
        raise InternalError
    return data


def _file(call: Call) -> Upload:
    """The single file of a form, with a valid name."""
    if len(call.form.file_fields) > 1:
        raise ApiError(400, "too_many_files", "Only one file is allowed.")
    file = next(one for one in call.form.files if one.field == "file")
    if not file.name:
        raise ApiError(400, "filename_not_exists_error", "The specified filename does not exist.")
    if file.forbidden_name:
        raise InvalidParamError("Filename contains invalid characters")
    return file


def _stored_name(file: Upload) -> str:
    """The name of a file as Dify stores it; very long names are cut off."""
    if len(file.name) <= LONGEST_NAME:
        return file.name
    return f"{file.name.split('.')[0][:LONGEST_NAME]}.{file.extension}"


def _create(call: Call, body: Json, name: str, text: str, file: Upload | None) -> Reply:
    dataset, at = call.dataset, call.world.clock.time()
    if body.get("original_document_id"):
        return _update(call, body, name, text, file)
    # Dify ignores ``duplicate`` for texts.
    replace = file is None or body.get("duplicate", True)
    document = _namesake(dataset, name) if replace else None
    if document is None:
        dataset.doc_form = dataset.doc_form or body.get("doc_form")
        dataset.indexing_technique = dataset.indexing_technique or body.get("indexing_technique")
        document = dataset.new_row(name, "")
        document.uploads = 0
        dataset.insert(document)
    document.created_from = "api"
    # An enabled document with the same name is replaced in place, even an archived one, which search then returns.
    document.take(text, file, at)
    document.rule = _rule(call, body)
    document.flaw = document.flaw or rules.flaw(body)
    return _start_indexing(call, document, call.world.new_batch())


def _rule(call: Call, body: Json) -> Rule:
    """The rule for a content: the given one, which becomes the latest, or the latest (1.16.0, file 27)."""
    dataset = call.dataset
    if body.get("process_rule"):
        dataset.rule = call.world.new_rule(body["process_rule"])
    dataset.rule = dataset.rule or call.world.new_rule({})
    return dataset.rule


def _namesake(dataset: Dataset, name: str) -> Row | None:
    return next((one for one in dataset.named(name) if one.enabled), None)


def _update(call: Call, body: Json, name: str, text: str | None, file: Upload | None) -> Reply:
    """Index a document again, with another content or another rule.

    :param text: The new content; ``None``: it stays.
    """
    dataset = call.dataset
    document = _updated(call, body)
    if text is None and not body.get("process_rule"):
        raise InvalidParamError("Data source or Process rule is required")
    rules.check_rule(body)
    rules.check_form(dataset, body)
    if document.display_status != "available":
        raise InvalidParamError("Document is not available")
    if text is not None:
        dataset.rename(document, name)
        document.take(text, file, call.world.clock.time())
    document.rule = _rule(call, body)
    document.flaw = document.flaw or rules.flaw(body)
    document.created_from = "web"
    hangs = call.world.version.startswith("1.12.")
    return _start_indexing(call, document, str(document.batch or call.world.new_batch()), hangs=hangs)


def _updated(call: Call, body: Json) -> Row:
    """The document of the path, or the one that a creation replaces."""
    rules.check_provider(call.dataset)
    wanted = call.parts.get("document") or body["original_document_id"]
    try:
        document = call.dataset.get(parse_document_id(wanted))
    except ValueError:
        raise InternalError from None
    if document is None:
        raise NotFoundError("Document not found")
    return document


def _start_indexing(call: Call, document: Row, batch: str, *, hangs: bool = False) -> Reply:
    """Set the document back to the start of indexing, and queue it.

    :param hangs: On 1.12.1 every update blocks itself in the database, just before its end.
    """
    world = call.world
    pieces = document.rule.cut(document.text, call.dataset.doc_form or "text_model") if document.rule else []
    document.restart_indexing(batch, world.clock.time(), pieces=pieces)
    if not (world.broker.alive and not world.broker.full):
        # The document stays, in ``waiting``, and nobody will index it.
        return InternalError(cost="create").reply()
    world.worker.queue_indexing(document, hangs=hangs)
    world.tick()
    return Reply(200, {"document": shapes.listed_document(document), "batch": document.batch}, cost="create")


ROUTES = [
    route("/datasets/{dataset}/document/create-by-text", post=create_by_text),
    route("/datasets/{dataset}/document/create_by_text", post=create_by_text),
    route("/datasets/{dataset}/document/create-by-file", post=create_by_file),
    route("/datasets/{dataset}/document/create_by_file", post=create_by_file),
    route("/datasets/{dataset}/documents/{document}", patch=update_by_file),
    route("/datasets/{dataset}/documents/{document}/update-by-text", post=update_by_text),
    route("/datasets/{dataset}/documents/{document}/update_by_text", post=update_by_text),
    route("/datasets/{dataset}/documents/{document}/update-by-file", post=update_by_file),
    route("/datasets/{dataset}/documents/{document}/update_by_file", post=update_by_file),
]
