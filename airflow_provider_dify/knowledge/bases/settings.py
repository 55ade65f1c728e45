"""The settings of a knowledge base: what a user may write, and whether Dify shows the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases.lookup import check_name as name_of_base
from airflow_provider_dify.knowledge.documents import Technique
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.metadata.fields import FieldType, check_name
from airflow_provider_dify.knowledge.retrieval.search import SearchMethod, check_score
from airflow_provider_dify.knowledge.text.hints import did_you_mean, why

LONGEST_NAME = 40
_LONGEST_DESCRIPTION = 400
_LONGEST_TAG = 50


class Setting(str, Enum):
    """A setting of a knowledge base, by its parameter."""

    NAME = "name"
    DESCRIPTION = "description"
    PERMISSION = "permission"
    INDEXING_TECHNIQUE = "indexing_technique"
    EMBEDDING_MODEL = "embedding_model"
    RETRIEVAL_MODEL = "retrieval_model"
    METADATA_FIELDS = "metadata_fields"
    TAGS = "tags"


class Presence(str, Enum):
    """Whether a knowledge base should exist."""

    PRESENT = "present"
    ABSENT = "absent"


class Permission(str, Enum):
    """Who sees a knowledge base in Dify."""

    ONLY_ME = "only_me"
    ALL_TEAM_MEMBERS = "all_team_members"


class RerankingMode(str, Enum):
    """How the results of a search are reranked."""

    MODEL = "reranking_model"
    WEIGHTS = "weighted_score"


def new_name(value: object, parameter: str) -> str:
    """Return the name of a knowledge base that Dify would accept.

    :raises DifyInputError: It would not.
    """
    return _short(name_of_base(value, parameter), parameter, LONGEST_NAME)


def description(value: object, parameter: str) -> str:
    """Return a description, which may be empty."""
    text = "" if value == "" else inputs.text(value, parameter)
    return _short(text, parameter, _LONGEST_DESCRIPTION)


def tags(value: object, parameter: str) -> tuple[str, ...]:
    """Return names of tags: a list, a text that contains a list, or one name."""
    found = inputs.literal(value)
    items = [found] if isinstance(found, str) and found.strip() else found
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise DifyInputError(f"{parameter} must be a list of names of tags, not {inputs.show(value)}.{why(value)}")
    return tuple(dict.fromkeys(tag_name(one, f"{parameter}[{n}]") for n, one in enumerate(items)))


def tag_name(value: object, parameter: str) -> str:
    """Return the name of a tag."""
    return _short(inputs.text(value, parameter, "the name of a tag").strip(), parameter, _LONGEST_TAG)


def metadata_fields(value: object, parameter: str) -> dict[str, FieldType]:
    """Return the type of each field by its name."""
    return {
        check_name(name, parameter): inputs.choice(kind, FieldType, f"{parameter}[{inputs.show(name)}]")
        for name, kind in _mapping(value, parameter).items()
    }


def retrieval_model(value: object, parameter: str) -> dict[str, JSON]:
    """Return search settings, each of the type that Dify accepts."""
    checked: dict[str, JSON] = {}
    for name, given in _mapping(value, parameter).items():
        if name not in _SEARCH:
            hint = did_you_mean(name, _SEARCH)
            raise DifyInputError(f"{parameter} has no setting {inputs.show(name)}.{hint} It has {', '.join(_SEARCH)}.")
        checked[name] = _SEARCH[name](given, f"{parameter}['{name}']")
    return checked


def _mapping(value: object, parameter: str) -> Mapping[str, Any]:
    found = inputs.literal(value)
    if not isinstance(found, Mapping) or not inputs.is_json(dict(found)):
        raise DifyInputError(f"{parameter} must be a mapping, not {inputs.show(value)}.{why(value)}")
    return found


def _short(text: str, parameter: str, most: int) -> str:
    if len(text) > most:
        raise DifyInputError(
            f"{parameter} has {len(text)} characters, {inputs.show(text)}. Dify accepts at most {most}."
        )
    if inputs.without_keys(text) != text:
        raise DifyInputError(f"{parameter} contains what looks like a secret: {inputs.show(text)}. Dify would show it.")
    return text


def _object(value: object, parameter: str) -> dict[str, JSON]:
    return dict(_mapping(value, parameter))


_SEARCH: Mapping[str, Callable[[Any, str], JSON]] = {
    "search_method": inputs.one_of(SearchMethod),
    "top_k": inputs.whole_number,
    "score_threshold_enabled": inputs.flag,
    "score_threshold": inputs.or_none(check_score),
    "reranking_enable": inputs.flag,
    "reranking_mode": inputs.or_none(inputs.one_of(RerankingMode)),
    "reranking_model": inputs.or_none(_object),
    "weights": inputs.or_none(_object),
}
#: Dify's search settings of a new knowledge base (1.16.0, file 20).
_NEW_SEARCH: Mapping[str, JSON] = {"reranking_enable": False, "top_k": 2, "score_threshold_enabled": False}


def check_model(model: str | None, provider: str | None, technique: str | None) -> None:
    """Check the settings of the embedding model, which depend on each other.

    :raises DifyInputError: They do not fit.
    """
    if provider and not model:
        raise DifyInputError("embedding_model_provider is given without embedding_model. Set both, or none.")
    if model and technique == Technique.ECONOMY.value:
        raise DifyInputError(
            "embedding_model is given for an economy knowledge base, which has no vectors. Remove it, or set "
            "indexing_technique to 'high_quality'."
        )


def whole_search(given: Mapping[str, JSON], present: Mapping[str, JSON], technique: str | None) -> dict[str, JSON]:
    """Return all settings of a search, as Dify requires: the given ones, and the current values of the others.

    Dify shows parts that it would not accept: they are left out.
    """
    usual = SearchMethod.SEMANTIC if technique == Technique.HIGH_QUALITY.value else SearchMethod.KEYWORD
    kept = {name: value for name, value in present.items() if name in _SEARCH and value is not None}
    if not _is_complete(kept.get("weights")):
        kept.pop("weights", None)
    return {**_NEW_SEARCH, "search_method": usual.value, **kept, **given}


def _is_complete(weights: JSON) -> bool:
    """Whether no value in them is null."""
    if isinstance(weights, dict):
        return all(map(_is_complete, weights.values()))
    return weights is not None


def covers(shown: JSON, wanted: JSON) -> bool:
    """Whether Dify shows the requested value, perhaps with additional or empty parts."""
    if isinstance(wanted, Mapping):
        return isinstance(shown, Mapping) and all(covers(shown.get(name), value) for name, value in wanted.items())
    if wanted is None or wanted == "":
        return _is_empty(shown)
    return bool(shown == wanted)


def _is_empty(shown: JSON) -> bool:
    return all(map(_is_empty, shown.values())) if isinstance(shown, Mapping) else shown in (None, "")


def same_provider(one: str | None, other: str | None) -> bool:
    """Whether two names mean the same provider of models: ``openai`` is short for ``langgenius/openai/openai``."""
    if one is None or other is None:
        return one is other
    short = "/" not in one or "/" not in other
    return one.rpartition("/")[2] == other.rpartition("/")[2] if short else one == other
