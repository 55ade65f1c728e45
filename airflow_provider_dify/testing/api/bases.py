"""The endpoints of knowledge bases: create, change and delete them; tags and embedding models."""

from __future__ import annotations

from airflow_provider_dify.testing.api import shapes
from airflow_provider_dify.testing.api.call import Call
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InvalidParamError,
    Json,
    Reply,
    invalid,
    missing,
)

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
    _check_free(call, name)
    dataset = world.add_dataset(name, body.get("indexing_technique"))
    return Reply(200, shapes.dataset_json(dataset, created=True), cost="dataset")


def delete_dataset(call: Call) -> Reply:
    """``DELETE /datasets/{dataset_id}``."""
    dataset = call.dataset
    for document in list(dataset.in_order()):
        dataset.remove(document)
    del call.world.datasets[dataset.id]
    return Reply(204, cost="create")


def update_dataset(call: Call) -> Reply:
    """``PATCH /datasets/{dataset_id}``: its name, description, and how apps search it (1.16.0, file 28)."""
    dataset, body = call.dataset, call.json_object()
    name = str(body.get("name") or dataset.name)
    if name != dataset.name:
        _check_free(call, name)
    dataset.name = name
    dataset.description = str(body.get("description") or dataset.description)
    dataset.retrieval_model = body.get("retrieval_model") or dataset.retrieval_model
    return Reply(200, shapes.dataset_json(dataset, created=True) | {"partial_member_list": []}, cost="dataset")


def _check_free(call: Call, name: str) -> None:
    if any(one.name == name for one in call.world.datasets.values()):
        text = "The dataset name already exists. Please modify your dataset name."
        raise ApiError(409, "dataset_name_duplicate", text)


def list_tags(call: Call) -> Reply:
    """``GET /datasets/tags``."""
    return Reply(200, list(call.world.tags), cost="dataset")


def create_tag(call: Call) -> Reply:
    """``POST /datasets/tags``."""
    body = call.json_object()
    if "name" not in body:
        raise invalid(call.world.version, "TagCreatePayload", missing("name", body))
    tag: Json = {"id": call.world.new_id(), "name": str(body["name"]), "type": "knowledge", "binding_count": "0"}
    call.world.tags.append(tag)
    return Reply(200, tag, cost="dataset")


def embedding_models(call: Call) -> Reply:
    """``GET /workspaces/current/models/model-types/text-embedding``: one model, that of the high-quality knowledge
    bases.
    """
    label = {"zh_Hans": "OpenAI", "en_US": "OpenAI"}
    model: Json = {
        "model": "text-embedding-3-small",
        "label": {"zh_Hans": "text-embedding-3-small", "en_US": "text-embedding-3-small"},
        "model_type": "text-embedding",
        "features": None,
        "fetch_from": "predefined-model",
        "model_properties": {"context_size": 8000, "max_chunks": 10},
        "deprecated": False,
        "status": "active",
        "load_balancing_enabled": False,
        "has_invalid_load_balancing_configs": False,
    }
    provider: Json = {
        "tenant_id": call.world.user_id,
        "provider": "langgenius/openai/openai",
        "label": label,
        "icon_small": None,
        "icon_small_dark": None,
        "status": "active",
        "models": [model],
    }
    return Reply(200, {"data": [provider]}, cost="dataset")


def pipeline_plugins(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/pipeline/datasource-plugins``: there are no pipelines here."""
    del call
    raise InvalidParamError("Pipeline not found")
