"""The endpoints of knowledge bases: make, change and delete them.

What 1.16.0 answers was recorded (files 07, 20, 28 and 30).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_dify.testing.api import shapes
from airflow_provider_dify.testing.api.bases.models import check_embedding_model
from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InternalError,
    InvalidParamError,
    Json,
    Reply,
    invalid,
    missing,
)
from airflow_provider_dify.testing.model.documents import Dataset

LONGEST_NAME = 40
LONGEST_DESCRIPTION = 400
_CHOICES = {
    "indexing_technique": (("high_quality", "economy"), "literal_error"),
    "permission": (("only_me", "all_team_members", "partial_members"), "enum"),
}
#: What Dify asks for in a ``retrieval_model``.
_NEEDED = ("search_method", "reranking_enable", "top_k", "score_threshold_enabled")
_METHODS = ("semantic_search", "full_text_search", "hybrid_search", "keyword_search")
#: What Dify shows of a ``retrieval_model`` if a request does not name it.
_UNSET: Json = {
    "reranking_mode": None,
    "reranking_model": {"reranking_provider_name": None, "reranking_model_name": None},
    "weights": None,
    "score_threshold": None,
}


def create_dataset(call: Call) -> Reply:
    """``POST /datasets``."""
    body, world = call.json_object(), call.world
    _check(call, "DatasetCreatePayload", body, needs_name=True)
    name = str(body["name"])
    if world.checks_names and _is_taken(call, name):
        text = "The dataset name already exists. Please modify your dataset name."
        raise ApiError(409, "dataset_name_duplicate", text)
    technique = body.get("indexing_technique")
    model = check_embedding_model(call, body) if technique == "high_quality" else None
    dataset = world.add_dataset(name, technique)
    dataset.embedding_model = model
    _set(call, dataset, body)
    return Reply(200, shapes.dataset_json(dataset, created=True), cost="dataset")


def update_dataset(call: Call) -> Reply:
    """``PATCH /datasets/{dataset_id}``: what it does not name stays."""
    dataset, body = call.dataset, call.json_object()
    _check(call, "DatasetUpdatePayload", body, needs_name=False)
    name = str(body.get("name") or dataset.name)
    if name != dataset.name and _is_taken(call, name):
        raise InvalidParamError("Dataset name already exists")
    _change_technique(call, dataset, body)
    dataset.name = name
    _set(call, dataset, body)
    return Reply(200, shapes.dataset_json(dataset, created=True) | {"partial_member_list": []}, cost="dataset")


def delete_dataset(call: Call) -> Reply:
    """``DELETE /datasets/{dataset_id}``, with all documents. Dify does not ask whether apps use it."""
    dataset = call.dataset
    for document in list(dataset.in_order()):
        dataset.remove(document)
    del call.world.datasets[dataset.id]
    return Reply(204, cost="create")


def _set(call: Call, dataset: Dataset, body: Json) -> None:
    given = {name: body[name] for name in ("description", "permission") if body.get(name) is not None}
    if body.get("retrieval_model") is not None:
        given["retrieval_model"] = _UNSET | body["retrieval_model"]
    for name, value in given.items():
        if name not in call.world.ignored_settings:
            setattr(dataset, name, value)


def _change_technique(call: Call, dataset: Dataset, body: Json) -> None:
    """A model without a technique is only written down; a technique without a model is a 500, if it is new."""
    technique = body.get("indexing_technique") or dataset.indexing_technique
    if technique == "economy":
        dataset.embedding_model = None
    elif technique == "high_quality" and technique != dataset.indexing_technique:
        if not {"embedding_model", "embedding_model_provider"} <= body.keys():
            raise InternalError
        dataset.embedding_model = check_embedding_model(call, body)
    elif body.get("embedding_model") and body.get("embedding_model_provider"):
        dataset.embedding_model = check_embedding_model(call, body)
    dataset.indexing_technique = technique


def _is_taken(call: Call, name: str) -> bool:
    return any(one.name == name for one in call.world.datasets.values())


def _check(call: Call, model: str, body: Json, *, needs_name: bool) -> None:
    """See what pydantic has against a request: all that is wrong in it is told at once."""
    complaints = [missing("name", body)] if needs_name and "name" not in body else []
    complaints += [*_lengths(body), *_choices(body), *_retrieval(body)]
    if complaints:
        raise invalid(call.world.version, model, *complaints)


def _lengths(body: Json) -> Iterator[Complaint]:
    for name, most in (("name", LONGEST_NAME), ("description", LONGEST_DESCRIPTION)):
        value = body.get(name)
        if value is not None and len(value) > most:
            text = f"String should have at most {most} characters"
            yield Complaint(name, text, "string_too_long", value)
    if body.get("name") == "":
        yield Complaint("name", "String should have at least 1 character", "string_too_short", "")


def _choices(body: Json) -> Iterator[Complaint]:
    for name, (known, kind) in _CHOICES.items():
        if body.get(name) not in (None, *known):
            yield _choice(name, known, kind, body[name])


def _retrieval(body: Json) -> Iterator[Complaint]:
    given = body.get("retrieval_model")
    if given is not None:
        yield from (missing(f"retrieval_model.{name}", given) for name in _NEEDED if name not in given)
        if given.get("search_method", _METHODS[0]) not in _METHODS:
            yield _choice("retrieval_model.search_method", _METHODS, "enum", given["search_method"])


def _choice(name: str, known: Sequence[str], kind: str, value: object) -> Complaint:
    *first, last = [f"'{one}'" for one in known]
    return Complaint(name, f"Input should be {', '.join(first)} or {last}", kind, value)


ROUTES = [
    route("/datasets", post=create_dataset),
    route("/datasets/{dataset}", patch=update_dataset, delete=delete_dataset),
]
