"""Methods of the hook about knowledge bases, their tags, and models."""

from __future__ import annotations

import pytest

from airflow_provider_dify.exceptions import (
    DifyGuardError,
    DifyInputError,
    DifyNotFoundError,
    DifyRequestError,
    DifySetupFailed,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.bases.setting_up import sent
from tests.unit.conftest import UNKNOWN


class TestKnowledgeBases:
    """Create, change, delete."""

    def test_create(self, dify: FakeDify, hook: DifyHook) -> None:
        report = hook.create_dataset("handbook", KnowledgeBaseOptions(description="x"))
        assert (report.outcome, report.changed) == ("created", ("description",))
        assert dify.world.datasets[report.dataset_id].description == "x"

    def test_ensure(self, dify: FakeDify, hook: DifyHook) -> None:
        first = hook.ensure_dataset("handbook", KnowledgeBaseOptions(metadata_fields={"team": "string"}))
        second = hook.ensure_dataset("handbook")
        assert (first.outcome, second.outcome) == ("created", "unchanged")
        assert first.dataset_id == second.dataset_id
        assert list(dify.world.datasets) == [first.dataset_id]

    def test_create_what_exists(self, dify: FakeDify, hook: DifyHook) -> None:
        kb = dify.add_dataset("handbook")
        dify.clock.advance(60)
        with pytest.raises(DifyInputError, match=f"with the name 'handbook' exists already: {kb.id}. Use another name"):
            hook.create_dataset("handbook", KnowledgeBaseOptions(description="x"))
        assert sent(dify) == []

    def test_update(self, dify: FakeDify, hook: DifyHook, kb: Dataset) -> None:
        report = hook.update_dataset(kb.id, KnowledgeBaseOptions(tags=["a"]), name="manual")
        assert (report.outcome, report.changed) == ("updated", ("name", "tags"))
        assert (kb.name, kb.tags) == ("manual", ["a"])
        assert hook.update_dataset(kb.id, name="manual").outcome == "unchanged"
        assert hook.update_dataset(kb.id).outcome == "unchanged"

    def test_update_to_a_name_that_is_taken(self, dify: FakeDify, hook: DifyHook, kb: Dataset) -> None:
        dify.add_dataset("manual")
        with pytest.raises(DifyRequestError, match="Dataset name already exists"):
            hook.update_dataset(kb.id, name="manual")

    def test_update_what_dify_cannot_change(self, dify: FakeDify, hook: DifyHook) -> None:
        kb = dify.add_dataset("manual", indexing_technique="high_quality")
        with pytest.raises(DifySetupFailed, match="cannot change high_quality back to economy"):
            hook.update_dataset(kb.id, KnowledgeBaseOptions(indexing_technique="economy"))
        assert sent(dify) == []

    def test_update_one_that_is_not_there(self, hook: DifyHook) -> None:
        with pytest.raises(DifyNotFoundError):
            hook.update_dataset(UNKNOWN, name="x")

    def test_delete(self, dify: FakeDify, hook: DifyHook, kb: Dataset) -> None:
        kb.add_document("page")
        with pytest.raises(DifyGuardError):
            hook.delete_dataset(kb.id)
        assert hook.delete_dataset(kb.id, max_documents=1).outcome == "deleted"
        assert hook.delete_dataset(kb.id).outcome == "absent"
        assert dify.world.datasets == {}

    def test_without_an_id(self, hook: DifyHook) -> None:
        for call in (hook.update_dataset, hook.delete_dataset):
            with pytest.raises(DifyInputError, match="dataset_id is not a UUID: None"):
                call(None)  # type: ignore[arg-type]


class TestTags:
    """Tags of knowledge bases."""

    def test_from_creation_to_deletion(self, hook: DifyHook, kb: Dataset) -> None:
        first, second = hook.create_tag("a"), hook.create_tag("b")
        assert [tag.name for tag in hook.list_tags()] == ["b", "a"]
        assert hook.bind_tags(kb.id, [first.id, second.id]) == hook.list_dataset_tags(kb.id)
        assert {tag.name: tag.knowledge_bases for tag in hook.list_tags()} == {"a": 1, "b": 1}
        assert hook.rename_tag(first.id, "c").name == "c"
        assert [tag.name for tag in hook.unbind_tags(kb.id, second.id)] == ["c"]
        hook.delete_tag(first.id)
        assert [tag.name for tag in hook.list_tags()] == ["b"]
        assert kb.tags == []

    def test_what_dify_refuses(self, hook: DifyHook, kb: Dataset) -> None:
        tag = hook.create_tag("a")
        with pytest.raises(DifyRequestError, match="Tag name already exists"):
            hook.create_tag("a")
        for call in (lambda: hook.delete_tag(UNKNOWN), lambda: hook.rename_tag(UNKNOWN, "b"),
                     lambda: hook.bind_tags(UNKNOWN, tag.id), lambda: hook.unbind_tags(UNKNOWN, tag.id)):  # fmt: skip
            with pytest.raises(DifyNotFoundError):
                call()
        # Dify passes over unknown tags in silence: what is read back shows it.
        assert hook.bind_tags(kb.id, UNKNOWN) == ()

    def test_wrong_names(self, dify: FakeDify, hook: DifyHook) -> None:
        with pytest.raises(DifyInputError, match="name must be the name of a tag, not ''"):
            hook.create_tag("")
        with pytest.raises(DifyInputError, match="tag_id is not a UUID: 'a'"):
            hook.rename_tag("a", "b")
        assert dify.requests == []

    def test_an_object_instead_of_a_list(self, dify: FakeDify, hook: DifyHook) -> None:
        dify.faults.add(Fault("status", path="/tags$", status=200, body={"data": []}))
        with pytest.raises(DifyRequestError, match="does not have the form of Dify's API"):
            hook.list_tags()


def test_models(dify: FakeDify, hook: DifyHook) -> None:
    (model,) = hook.list_models()
    assert (model.name, model.provider) == ("text-embedding-3-small", "langgenius/openai/openai")
    assert model.status == "active"
    assert hook.list_models("rerank") == ()
    with pytest.raises(DifyInputError, match="model_type must be one of text-embedding, rerank, "):
        hook.list_models("embedding")
