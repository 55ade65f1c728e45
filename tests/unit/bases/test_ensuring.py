"""A knowledge base is set up as wanted, each setting is read back, and what Dify cannot change is refused."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyError,
    DifyInputError,
    DifyRequestError,
    DifyServerError,
    DifySetupFailed,
)
from airflow_provider_dify.testing import FakeDify, Fault
from tests.unit.bases.setting_up import only, run, sent

OPENAI = "langgenius/openai/openai"
EVERYTHING: dict[str, Any] = {
    "description": "All about travel",
    "permission": "all_team_members",
    "indexing_technique": "high_quality",
    "embedding_model": "text-embedding-3-small",
    "embedding_model_provider": "openai",
    "retrieval_model": {"search_method": "hybrid_search", "top_k": 7},
    "metadata_fields": {"team": "string", "year": "number", "seen": "time"},
    "tags": ["travel", "prod"],
}
#: What Dify shows of a search setting that was not given.
UNSET: dict[str, Any] = {
    "reranking_mode": None,
    "reranking_model": {"reranking_provider_name": None, "reranking_model_name": None},
    "weights": None,
    "score_threshold": None,
}
SETTINGS = [name for name in EVERYTHING if name != "embedding_model_provider"]


class TestCreating:
    """A missing knowledge base."""

    def test_with_all_settings(self, dify: FakeDify) -> None:
        result = run(**EVERYTHING)
        kb = only(dify)
        assert result.error is None
        assert result.returned == result.report["dataset_id"] == kb.id
        assert result.outcome == "created"
        assert result.settings == {"changed": SETTINGS}
        assert (kb.name, kb.description, kb.permission) == ("handbook", "All about travel", "all_team_members")
        assert (kb.indexing_technique, kb.embedding_model) == ("high_quality", (OPENAI, "text-embedding-3-small"))
        assert kb.retrieval_model == {
            "search_method": "hybrid_search",
            "top_k": 7,
            "reranking_enable": False,
            "score_threshold_enabled": False,
            **UNSET,
        }
        assert {field.name: field.type for field in kb.fields.all()} == EVERYTHING["metadata_fields"]
        assert kb.tags == ["travel", "prod"]
        assert dify.requests[-1].method == "GET"  # the proof

    def test_with_none(self, dify: FakeDify) -> None:
        result = run()
        assert result.error is None
        assert result.outcome == "created"
        assert result.settings == {}
        assert sent(dify) == ["POST /datasets"]
        assert dify.requests[1].json == {"name": "handbook"}

    def test_a_model_alone_means_high_quality_and_finds_its_provider(self, dify: FakeDify) -> None:
        dify.world.embedding_models.append(("acme/acme/acme", "small"))
        result = run(embedding_model="small")
        assert result.error is None
        assert only(dify).embedding_model == ("acme/acme/acme", "small")
        assert result.settings == {"changed": ["indexing_technique", "embedding_model"]}

    def test_the_default_model(self, dify: FakeDify) -> None:
        assert run(indexing_technique="high_quality").error is None
        assert only(dify).has_vectors

    def test_a_lost_answer_makes_no_second_one(self, dify: FakeDify) -> None:
        dify.faults.add(Fault("reset_after", method="POST", path="/datasets$"))
        result = run(description="x")
        assert result.error is None
        assert result.outcome == "created"
        assert result.returned == only(dify).id

    def test_a_failure_is_tried_again(self, dify: FakeDify) -> None:
        dify.faults.add(Fault("status", method="POST", path="/datasets$", times=2))
        assert run().error is None
        only(dify)

    def test_a_name_that_only_its_creator_sees(self, dify: FakeDify) -> None:
        dify.faults.add(Fault("status", method="GET", path="/datasets$", status=200, times=None,
                              body={"data": [], "total": 0, "page": 1, "limit": 100, "has_more": False}))  # fmt: skip
        dify.add_dataset("handbook")
        error = run().error
        assert isinstance(error, DifyRequestError)
        assert "only its creator can, in Dify. Share it there with the team, or use another name." in str(error)
        assert len(sent(dify)) == 4

    def test_those_of_other_members_are_listed_too(self, dify: FakeDify) -> None:
        run()
        assert dify.requests[0].query["include_all"] == "true"


class TestExisting:
    """A knowledge base that exists."""

    def test_as_wanted(self, dify: FakeDify) -> None:
        run(**EVERYTHING)
        dify.clock.advance(60)
        before = len(dify.requests)
        result = run(**EVERYTHING)
        assert result.outcome == "unchanged"
        assert result.settings == {"unchanged": SETTINGS}
        assert [one.method for one in dify.requests[before:]] == ["GET", "GET"]

    def test_only_what_differs_is_sent(self, dify: FakeDify) -> None:
        run(**EVERYTHING)
        kb = only(dify)
        dify.clock.advance(60)
        before = len(sent(dify))
        result = run(**{**EVERYTHING, "description": "", "retrieval_model": {"top_k": 9}, "tags": "prod"})
        assert result.outcome == "updated"
        assert result.settings["changed"] == ["description", "retrieval_model", "tags"]
        assert sent(dify)[before:] == [f"PATCH /datasets/{kb.id}", "POST /datasets/tags/unbinding"]
        assert kb.description == ""
        assert kb.retrieval_model
        assert (kb.retrieval_model["top_k"], kb.retrieval_model["search_method"]) == (9, "hybrid_search")
        assert kb.tags == ["prod"]

    def test_other_fields_stay(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("handbook")
        kb.add_field("author", "string")
        dify.clock.advance(60)
        result = run(metadata_fields='{"team": "string"}')
        assert result.outcome == "updated"
        assert [field.name for field in kb.fields.all()] == ["author", "team"]

    def test_an_empty_one_gets_vectors(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("handbook")
        dify.clock.advance(60)
        result = run(indexing_technique="high_quality", embedding_model="text-embedding-3-small")
        assert result.error is None
        assert kb.has_vectors

    def test_an_empty_one_gets_another_model(self, dify: FakeDify) -> None:
        dify.world.embedding_models.append(("acme/acme/acme", "small"))
        kb = dify.add_dataset("handbook", indexing_technique="high_quality")
        dify.clock.advance(60)
        assert run(embedding_model="small").settings == {"changed": ["embedding_model"],
                                                         "unchanged": ["indexing_technique"]}  # fmt: skip
        assert kb.embedding_model == ("acme/acme/acme", "small")
        # Without the technique Dify would write the model down, and not use it.
        (patch,) = (one.json for one in dify.requests if one.method == "PATCH")
        assert patch["indexing_technique"] == "high_quality"

    def test_incomplete_weights_are_not_sent_back(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("handbook", indexing_technique="high_quality")
        kb.retrieval_model = {
            "search_method": "semantic_search", "reranking_enable": False, "top_k": 3,
            "score_threshold_enabled": False, "weights": {"vector_setting": None},
        }  # fmt: skip
        dify.clock.advance(60)
        assert run(retrieval_model={"top_k": 4}).outcome == "updated"
        assert kb.retrieval_model == {"search_method": "semantic_search", "reranking_enable": False, "top_k": 4,
                                      "score_threshold_enabled": False, **UNSET}  # fmt: skip

    def test_a_tag_of_the_workspace_is_used(self, dify: FakeDify) -> None:
        first = dify.add_dataset("other")
        run("other", tags=["prod"])
        dify.add_dataset("handbook")
        dify.clock.advance(60)
        assert run(tags=["prod"]).outcome == "updated"
        assert list(dify.world.tags.values()) == ["prod"] == first.tags

    def test_a_tag_that_somebody_else_creates_meanwhile(self, dify: FakeDify) -> None:
        dify.faults.add(Fault("reset_after", method="POST", path="/tags$"))
        assert run(tags=["prod"]).error is None
        assert only(dify).tags == ["prod"]

    def test_names_in_other_forms_of_unicode(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("Bu\u0308cher ")
        dify.clock.advance(60)
        assert run("B\u00fccher").returned == kb.id

    def test_several_have_the_name(self, dify: FakeDify) -> None:
        first, second = dify.add_dataset("handbook"), dify.add_dataset("handbook")
        dify.clock.advance(3600)
        result = run(description="x")
        assert isinstance(result.error, DifyInputError)
        assert (
            f"'handbook' is the name of 2 knowledge bases. Delete or rename all but one in Dify: {second.id}, "
            in str(result.error)
        )
        assert first.id in str(result.error)
        assert sent(dify) == []

    def test_a_key_that_may_not_list(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("handbook")
        dify.world.keys[dify.api_key] = kb
        assert isinstance(run().error, DifyAccessError)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "back to economy": (
        {"indexing_technique": "high_quality"}, {"indexing_technique": "economy"}, "indexing_technique",
        "Dify cannot change high_quality back to economy. Create another knowledge base.",
    ),
    "vectors for documents": (
        {"indexing_technique": "economy"}, {"embedding_model": "text-embedding-3-small"}, "indexing_technique",
        "It has 1 document, which Dify would embed in the background without telling whether that worked.",
    ),
    "another model": (
        {"indexing_technique": "high_quality"}, {"embedding_model": "small"}, "embedding_model",
        "It has 1 document, indexed with text-embedding-3-small. Create another knowledge base with this model",
    ),
    "an external one": (
        {"provider": "external"}, {"embedding_model": "small"}, "indexing_technique",
        "It is an external knowledge base, which holds no documents. Remove this setting.",
    ),
    "a search without vectors": (
        {}, {"retrieval_model": {"search_method": "semantic_search"}}, "retrieval_model",
        "It is an economy knowledge base, without vectors, so search_method cannot be semantic_search.",
    ),
    "a field of another type": (
        {}, {"metadata_fields": {"author": "number"}}, "metadata_fields",
        "Field 'author' exists with type string. Use another name.",
    ),
}  # fmt: skip


class TestRefusing:
    """What Dify cannot change."""

    @pytest.mark.parametrize(("there", "given", "setting", "says"), REFUSED.values(), ids=REFUSED)
    def test_before_anything_is_sent(
        self, dify: FakeDify, there: dict[str, Any], given: dict[str, Any], setting: str, says: str
    ) -> None:
        dify.world.embedding_models.append(("acme/acme/acme", "small"))
        kb = dify.add_dataset("handbook", **there)
        kb.add_document("page", metadata={"author": "Ada"})
        dify.clock.advance(60)
        result = run(description="new", **given)
        assert isinstance(result.error, DifySetupFailed)
        assert says in str(result.error)
        assert setting in result.report["refused"]
        assert says in result.report["errors"][setting]
        assert "description" in result.report["not_attempted"]
        assert result.returned is None
        assert result.outcome == "unchanged"
        assert sent(dify) == []
        assert kb.description == ""

    def test_vectors_without_a_model(self, dify: FakeDify) -> None:
        dify.add_dataset("handbook")
        dify.clock.advance(60)
        error = run(indexing_technique="high_quality").error
        assert "To change it, Dify needs to know the embedding model. Set embedding_model, too." in str(error)
        assert sent(dify) == []

    @pytest.mark.parametrize("there", [False, True])
    def test_a_model_that_dify_does_not_have(self, dify: FakeDify, there: bool) -> None:
        if there:
            dify.add_dataset("handbook")
            dify.clock.advance(60)
        result = run(embedding_model="text-embedding-3-smal")
        assert isinstance(result.error, DifySetupFailed)
        assert (
            "Did you mean 'text-embedding-3-small'? It has text-embedding-3-small (langgenius/openai/openai)."
            in str(result.error)
        )
        assert sent(dify) == []

    def test_a_model_of_several_providers(self, dify: FakeDify) -> None:
        dify.world.embedding_models += [("acme/acme/acme", "small"), ("b/b/b", "small")]
        error = run(embedding_model="small").error
        assert "Several providers have the embedding model 'small': acme/acme/acme, b/b/b." in str(error)
        assert run(embedding_model="small", embedding_model_provider="b/b/b").error is None

    def test_a_search_for_which_a_new_one_would_have_no_vectors(self, dify: FakeDify) -> None:
        error = run(retrieval_model={"search_method": "semantic_search"}).error
        assert "It has no indexing_technique yet, so search_method cannot be semantic_search." in str(error)
        assert sent(dify) == []


class TestReadingBack:
    """A server that ignores settings."""

    @pytest.mark.parametrize("setting", ["description", "permission", "retrieval_model", "tags"])
    @pytest.mark.parametrize("there", [False, True])
    def test_what_it_ignores_is_red_or_tolerated_by_name(self, dify: FakeDify, setting: str, there: bool) -> None:
        if there:
            dify.add_dataset("handbook")
            dify.clock.advance(60)
        dify.world.ignored_settings = {setting}
        wanted = {name: value for name, value in EVERYTHING.items()
                  if name in ("description", "permission", "tags")} | {"retrieval_model": {"top_k": 9}}  # fmt: skip
        result = run(**wanted)
        assert isinstance(result.error, DifySetupFailed)
        assert f"1 ignored ({setting}): accepted, but Dify shows another value" in str(result.error)
        assert result.settings == {"changed": [name for name in wanted_order(wanted) if name != setting],
                                   "ignored": [setting]}  # fmt: skip
        again = run(**wanted, tolerate=[setting])
        assert again.error is None
        assert again.returned == only(dify).id
        assert again.report["unsupported"] == [setting]
        other = run(**wanted, tolerate=["metadata_fields"])
        assert isinstance(other.error, DifySetupFailed)

    def test_a_server_without_tags(self, dify: FakeDify) -> None:
        dify.faults.add(Fault("page", path="/datasets/tags", status=404, times=None))
        result = run(tags=["prod"])
        assert isinstance(result.error, DifySetupFailed)
        assert "This Dify has no tags in its API." in str(result.error)
        assert run(tags=["prod"], tolerate="tags").error is None

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/datasets$"), ("PATCH", "/datasets/"), ("POST", "/metadata"), ("POST", "/tags")]
    )
    def test_the_report_is_there_if_dify_fails(self, dify: FakeDify, method: str, path: str) -> None:
        kb = dify.add_dataset("handbook")
        dify.clock.advance(60)
        dify.faults.add(Fault("status", method=method, path=path, times=None))
        result = run(description="x", metadata_fields={"team": "string"}, tags=["prod"])
        assert isinstance(result.error, DifyServerError)
        assert result.report["dataset_id"] == ("" if method == "GET" else kb.id)
        assert set(result.settings) == {"not_attempted"}
        dify.faults.clear()
        assert run(description="x", metadata_fields={"team": "string"}, tags=["prod"]).error is None

    @pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
    def test_older_versions(self, dify: FakeDify, version: str) -> None:
        dify.world.version = version
        assert run(**EVERYTHING).outcome == "created"


def wanted_order(wanted: dict[str, Any]) -> list[str]:
    return [name for name in SETTINGS if name in wanted]


def test_the_error_goes_to_other_processes(dify: FakeDify) -> None:
    dify.world.ignored_settings = {"description"}
    error = run(description="x").error
    assert error
    assert type(DifyError.from_json(error.to_json())) is DifySetupFailed
