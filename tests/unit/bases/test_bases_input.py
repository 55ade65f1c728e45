"""What a user can write wrongly about a knowledge base: what is said, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.testing import FakeDify
from tests.unit.bases.setting_up import run

FIELDS = "string, number, time"
SEARCH = (
    "search_method, top_k, score_threshold_enabled, score_threshold, reranking_enable, reranking_mode, "
    "reranking_model, weights"
)
TABLE: dict[str, tuple[str, Any, str]] = {
    "no name": ("dataset_name", None, "dataset_name must be the name of a knowledge base, not None. It is missing, or"),
    "an empty name": ("dataset_name", "", "dataset_name must be the name of a knowledge base, not ''."),
    "a blank name": ("dataset_name", "  ", "dataset_name must be the name of a knowledge base, not '  '."),
    "a name that is too long": ("dataset_name", "x" * 41, "dataset_name has 41 characters, 'xxx"),
    "a list as name": ("dataset_name", ["a"], "dataset_name must be the name of a knowledge base, not ['a']."),
    "a name with NUL": ("dataset_name", "a\0b", "dataset_name must be the name of a knowledge base, not 'a\\x00b'."),
    "not rendered": ("dataset_name", 7.5j, "dataset_name must be the name of a knowledge base, not 7.5j."),
    "an unknown state": ("state", "deleted", "state must be one of present, absent, not 'deleted'."),
    "no state": ("state", None, "state must be one of present, absent, not None."),
    "a number as description": ("description", [1], "description must be text that is not empty, not [1]."),
    "a blank description": ("description", " ", "description must be text that is not empty, not ' '."),
    "a long description": ("description", "x" * 401, "description has 401 characters, "),
    "an unknown permission": (
        "permission", "everybody", "permission must be one of only_me, all_team_members, not 'everybody'."
    ),
    "members": ("permission", "partial_members", "permission must be one of only_me, all_team_members, not 'partial_"),
    "an unknown technique": (
        "indexing_technique", "high", "indexing_technique must be one of high_quality, economy, not 'high'."
    ),
    "an empty model": ("embedding_model", "", "embedding_model must be text that is not empty, not ''."),
    "a provider alone": (
        "embedding_model_provider", "openai", "embedding_model_provider is given without embedding_model. Set both"
    ),
    "text as search": ("retrieval_model", "semantic", "retrieval_model must be a mapping, not 'semantic'."),
    "a set in the search": ("retrieval_model", {"weights": {1, 2}}, "retrieval_model must be a mapping, not {'wei"),
    "an unknown part": (
        "retrieval_model", {"topk": 3},
        f"retrieval_model has no setting 'topk'. Did you mean 'top_k'? It has {SEARCH}.",
    ),
    "a wrong top_k": (
        "retrieval_model", {"top_k": 0}, "retrieval_model['top_k'] must be a whole number of at least 1, not 0."
    ),
    "a wrong method": (
        "retrieval_model", {"search_method": "vector"}, "retrieval_model['search_method'] must be one of "
    ),
    "a wrong score": (
        "retrieval_model", {"score_threshold": 2}, "retrieval_model['score_threshold'] must be a number from 0 to 1"
    ),
    "a wrong flag": (
        "retrieval_model", {"reranking_enable": "maybe"}, "retrieval_model['reranking_enable'] must be True or False"
    ),
    "a wrong mode": (
        "retrieval_model", {"reranking_mode": "x"}, "retrieval_model['reranking_mode'] must be one of reranking_model, "
    ),
    "wrong weights": ("retrieval_model", {"weights": 3}, "retrieval_model['weights'] must be a mapping, not 3."),
    "a list of fields": ("metadata_fields", ["team"], "metadata_fields must be a mapping, not ['team']."),
    "an unknown type": (
        "metadata_fields", {"team": "text"}, f"metadata_fields['team'] must be one of {FIELDS}, not 'text'."
    ),
    "a built-in field": ("metadata_fields", {"source": "string"}, "metadata_fields names 'source', a built-in field"),
    "an empty field": ("metadata_fields", {"": "string"}, "metadata_fields contains something that is not the name of"),
    "a mapping of tags": ("tags", {"a": 1}, "tags must be a list of names of tags, not {'a': 1}."),
    "a number of tags": ("tags", 3, "tags must be a list of names of tags, not 3."),
    "empty text as tags": ("tags", "", "tags must be a list of names of tags, not ''. A template rendered to nothing"),
    "an empty tag": ("tags", ["a", ""], "tags[1] must be the name of a tag, not ''."),
    "a long tag": ("tags", ["x" * 51], "tags[0] has 51 characters, "),
    "an unknown setting": (
        "tolerate", ["colour"],
        (
            "tolerate must be one of name, description, permission, indexing_technique, embedding_model, "
            "retrieval_model, metadata_fields, tags, not 'colour'."
        ),
    ),
    "no time": ("timeout", 0, "timeout must be a number above 0, not 0."),
}  # fmt: skip
ABSENT: dict[str, tuple[str, Any, str]] = {
    "a negative limit": ("max_documents", -1, "max_documents must be a whole number of at least 0, not -1."),
    "text as limit": ("max_documents", "all", "max_documents must be a whole number of at least 0, not 'all'."),
    "True as limit": ("max_documents", True, "max_documents must be a whole number of at least 0, not True."),
}


def check(dify: FakeDify, given: dict[str, Any], says: str) -> None:
    result = run(**{"name": "handbook", **given})
    assert type(result.error) is DifyInputError
    assert str(result.error).startswith(says)
    assert result.report == {}
    assert dify.requests == []


@pytest.mark.parametrize(("parameter", "value", "says"), TABLE.values(), ids=TABLE)
def test_wrong_values(dify: FakeDify, parameter: str, value: object, says: str) -> None:
    check(dify, {"name" if parameter == "dataset_name" else parameter: value}, says)


@pytest.mark.parametrize(("parameter", "value", "says"), ABSENT.values(), ids=ABSENT)
def test_wrong_limits(dify: FakeDify, parameter: str, value: object, says: str) -> None:
    check(dify, {"state": "absent", parameter: value}, says)


def test_a_model_for_keywords(dify: FakeDify) -> None:
    says = "embedding_model is given for an economy knowledge base, which has no vectors. Remove it, or set"
    check(dify, {"indexing_technique": "economy", "embedding_model": "small"}, says)


def test_what_templates_make_of_values(dify: FakeDify) -> None:
    result = run(
        2026,  # as a DAG with native rendering has it
        retrieval_model="{'top_k': 3}",
        metadata_fields='{"team": "string"}',
        tags="['a', 'b']",
        tolerate="tags",
        timeout="300",
    )
    assert result.error is None
    (kb,) = dify.world.datasets.values()
    assert (kb.name, kb.tags) == ("2026", ["a", "b"])
