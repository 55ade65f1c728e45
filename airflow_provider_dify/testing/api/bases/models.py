"""The models that knowledge bases can use."""

from __future__ import annotations

from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import InvalidParamError, Json, Reply

TYPES = ("text-embedding", "rerank", "llm", "tts", "speech2text", "moderation")


def list_models(call: Call) -> Reply:
    """``GET /workspaces/current/models/model-types/{model_type}``: there are only embedding models.

    Recorded: 1.16.0, files 28 and 29.
    """
    kind = call.parts["type"]
    if kind not in TYPES:
        raise InvalidParamError(f"'{kind}' is not a valid ModelType")
    by_provider: dict[str, list[Json]] = {}
    if kind == "text-embedding":
        for provider, name in call.world.embedding_models:
            by_provider.setdefault(provider, []).append(_model(name))
    data = [_provider(call, name, models) for name, models in by_provider.items()]
    return Reply(200, {"data": data}, cost="dataset")


def check_embedding_model(call: Call, body: Json) -> tuple[str, str]:
    """Provider and name of the model that a request names, or of the default one.

    Dify accepts an unknown model of a provider that it knows (1.16.0, file 30).

    :raises InvalidParamError: there is no such provider.
    """
    models = call.world.embedding_models
    if not (body.get("embedding_model") and body.get("embedding_model_provider")):
        if models:
            return models[0]
        raise InvalidParamError("Default model not found for text-embedding")
    provider = str(body["embedding_model_provider"])
    provider = provider if "/" in provider else f"langgenius/{provider}/{provider}"
    found = (provider, str(body["embedding_model"]))
    if provider not in [known for known, _ in models]:
        raise InvalidParamError(f"Provider {provider} does not exist.")
    return found


def _provider(call: Call, name: str, models: list[Json]) -> Json:
    title = name.rpartition("/")[2].title()
    return {
        "tenant_id": call.world.user_id,
        "provider": name,
        "label": {"zh_Hans": title, "en_US": title},
        "icon_small": None,
        "icon_small_dark": None,
        "status": "active",
        "models": models,
    }


def _model(name: str) -> Json:
    return {
        "model": name,
        "label": {"zh_Hans": name, "en_US": name},
        "model_type": "text-embedding",
        "features": None,
        "fetch_from": "predefined-model",
        "model_properties": {"context_size": 8000, "max_chunks": 10},
        "deprecated": False,
        "status": "active",
        "load_balancing_enabled": False,
        "has_invalid_load_balancing_configs": False,
    }


ROUTES = [route("/workspaces/current/models/model-types/{type}", get=list_models)]
