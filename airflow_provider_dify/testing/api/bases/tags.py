"""The endpoints of tags, as recorded (1.16.0, files 28 and 29)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_provider_dify.testing.api.call import UUID, Call, route, suggestion
from airflow_provider_dify.testing.api.replies import (
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    NotFoundError,
    Reply,
    invalid,
    missing,
)
from airflow_provider_dify.testing.model.documents import Dataset

LONGEST_NAME = 50


def list_tags(call: Call) -> Reply:
    """``GET /datasets/tags``, the newest first."""
    return Reply(200, [_shown(call, tag_id) for tag_id in reversed(call.world.tags)], cost="dataset")


def create_tag(call: Call) -> Reply:
    """``POST /datasets/tags``."""
    name = _free_name(call, "TagCreatePayload")
    tag_id = call.world.new_id()
    call.world.tags[tag_id] = name
    return Reply(200, _shown(call, tag_id), cost="dataset")


def rename_tag(call: Call) -> Reply:
    """``PATCH /datasets/tags``."""
    tag_id = _known(call, "TagUpdatePayload")
    call.world.tags[tag_id] = _free_name(call, "TagUpdatePayload", tag_id)
    return Reply(200, _shown(call, tag_id), cost="dataset")


def delete_tag(call: Call) -> Reply:
    """``DELETE /datasets/tags``; knowledge bases lose it."""
    tag_id = _known(call, "TagDeletePayload")
    del call.world.tags[tag_id]
    for dataset in call.world.datasets.values():
        dataset.tag_ids.pop(tag_id, None)
    return Reply(204, cost="dataset")


def bind_tags(call: Call) -> Reply:
    """``POST /datasets/tags/binding``; unknown tags are passed over in silence."""
    body = call.json_object()
    if body.get("tag_ids") == []:
        raise _no_tags(call, "TagBindingPayload", "tag_ids", [])
    dataset = _target(call, "TagBindingPayload")
    _must_be_ids(body["tag_ids"])
    if "tags" not in call.world.ignored_settings:
        dataset.tag_ids |= {tag_id: None for tag_id in body["tag_ids"] if tag_id in call.world.tags}
    return Reply(204, cost="dataset")


def unbind_tags(call: Call) -> Reply:
    """``POST /datasets/tags/unbinding``; it also takes one tag as ``tag_id``."""
    body = call.json_object()
    tag_ids = body.get("tag_ids") or [body[name] for name in ("tag_id",) if body.get(name)]
    if not tag_ids:
        raise _no_tags(call, "TagUnbindingPayload", "", body)
    dataset = _target(call, "TagUnbindingPayload")
    _must_be_ids(tag_ids)
    for tag_id in tag_ids:
        dataset.tag_ids.pop(tag_id, None)
    return Reply(204, cost="dataset")


def tags_of_dataset(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/tags``."""
    tags = [{"id": tag_id, "name": call.world.tags[tag_id]} for tag_id in call.dataset.tag_ids]
    return Reply(200, {"data": tags, "total": len(tags)}, cost="dataset")


def _shown(call: Call, tag_id: str) -> Json:
    count = sum(tag_id in dataset.tag_ids for dataset in call.world.datasets.values())
    return {"id": tag_id, "name": call.world.tags[tag_id], "type": "knowledge", "binding_count": str(count)}


def _known(call: Call, model: str) -> str:
    """The tag that a request names."""
    body = call.json_object()
    if "tag_id" not in body:
        raise invalid(call.world.version, model, missing("tag_id", body))
    _must_be_ids([body["tag_id"]])
    if body["tag_id"] not in call.world.tags:
        raise NotFoundError("Tag not found." + suggestion(call))
    return str(body["tag_id"])


def _target(call: Call, model: str) -> Dataset:
    """The knowledge base that a request names."""
    body = call.json_object()
    if "target_id" not in body:
        raise invalid(call.world.version, model, missing("target_id", body))
    _must_be_ids([body["target_id"]])
    dataset = call.world.datasets.get(str(body["target_id"]))
    if dataset is None:
        raise NotFoundError("Dataset not found." + suggestion(call))
    return dataset


def _free_name(call: Call, model: str, own: str | None = None) -> str:
    """The name that a request gives a tag, which no other tag has."""
    body = call.json_object()
    if "name" not in body:
        raise invalid(call.world.version, model, missing("name", body))
    name = str(body["name"])
    if not 1 <= len(name) <= LONGEST_NAME:
        few = not name
        text = f"String should have at {'least 1 character' if few else f'most {LONGEST_NAME} characters'}"
        kind = "string_too_short" if few else "string_too_long"
        raise invalid(call.world.version, model, Complaint("name", text, kind, name))
    if any(other == name for tag_id, other in call.world.tags.items() if tag_id != own):
        raise InvalidParamError("Tag name already exists")
    return name


def _must_be_ids(values: Iterable[object]) -> None:
    """The database refuses anything else, and Dify does not expect that."""
    if not all(re.fullmatch(UUID, str(value)) for value in values):
        raise InternalError


def _no_tags(call: Call, model: str, where: str, value: object) -> InvalidParamError:
    text = "Value error, Tag IDs is required."
    return invalid(call.world.version, model, Complaint(where, text, "value_error", value))


ROUTES = [
    route("/datasets/tags", get=list_tags, post=create_tag, patch=rename_tag, delete=delete_tag),
    route("/datasets/tags/binding", post=bind_tags),
    route("/datasets/tags/unbinding", post=unbind_tags),
    route("/datasets/{dataset}/tags", get=tags_of_dataset),
]
