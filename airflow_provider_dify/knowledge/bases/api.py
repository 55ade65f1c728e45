"""The endpoints of knowledge bases, their tags and the models that they use. Each function is a flow of one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.knowledge.answers import Fields, a_plain_value, an_object_or_nothing
from airflow_provider_dify.knowledge.api import about, read_answer, read_json
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request, answered


class ModelType(str, Enum):
    """What a model is for."""

    TEXT_EMBEDDING = "text-embedding"
    RERANK = "rerank"
    LLM = "llm"
    TTS = "tts"
    SPEECH2TEXT = "speech2text"
    MODERATION = "moderation"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of knowledge bases.

    :param id: Its id.
    :param name: Its name.
    :param knowledge_bases: How many knowledge bases have it; ``None`` if Dify does not say.
    """

    id: str
    name: str
    knowledge_bases: int | None = None

    @classmethod
    def read(cls, item: Fields) -> Tag:
        """Read one tag of a response."""
        count = item.read("binding_count", a_plain_value)
        return cls(item.id(), item.text("name"), None if count is None else int(count))


@dataclass(frozen=True, slots=True)
class Model:
    """A model that Dify can use.

    :param name: Its name.
    :param provider: Who provides it, such as ``langgenius/openai/openai``.
    :param status: ``active``, or why it cannot be used.
    """

    name: str
    provider: str
    status: str


@dataclass(frozen=True, slots=True)
class BaseState:
    """A knowledge base with its settings, as Dify shows it.

    :param id: Its id.
    :param name: Its name.
    :param description: What it is about.
    :param permission: Who sees it in Dify.
    :param indexing_technique: ``high_quality`` or ``economy``; ``None``: its first document decides.
    :param embedding_model: Name of its embedding model.
    :param embedding_model_provider: Who provides that.
    :param retrieval_model: How apps search it.
    :param fields: The types of its metadata fields, by name.
    :param tags: Its tags.
    :param document_count: How many documents it has.
    :param app_count: How many apps use it.
    :param external: Whether Dify keeps no documents in it.
    :param age: How many seconds ago it was created, by the server's clock.
    """

    id: str
    name: str
    description: str = ""
    permission: str = ""
    indexing_technique: str | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    retrieval_model: Mapping[str, JSON] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[Tag, ...] = ()
    document_count: int = 0
    app_count: int = 0
    external: bool = False
    age: float = 0.0

    @classmethod
    def read(cls, item: Fields, now: float = 0.0) -> BaseState:
        """Read a response that was created at ``now``."""
        fields = [(field.id(), field.text("name"), field.text("type")) for field in item.maybe_items("doc_metadata")]
        search = item.read("retrieval_model_dict", an_object_or_nothing)
        return cls(
            id=item.id(),
            name=item.text("name"),
            description=item.maybe_text("description") or "",
            permission=item.maybe_text("permission") or "",
            indexing_technique=item.maybe_text("indexing_technique"),
            embedding_model=item.maybe_text("embedding_model"),
            embedding_model_provider=item.maybe_text("embedding_model_provider"),
            retrieval_model=search or {},
            fields={name: kind for field_id, name, kind in fields if field_id != "built-in"},
            tags=tuple(map(Tag.read, item.maybe_items("tags"))),
            document_count=item.count("document_count"),
            app_count=item.count("app_count"),
            external=item.maybe_text("provider") == "external",
            age=now - item.number("created_at"),
        )


def read_base(dataset_id: str) -> Flow[BaseState]:
    """Read a knowledge base with its settings.

    https://docs.dify.ai/api-reference/knowledge-bases/get-knowledge-base
    """
    response = answered((yield Request("GET", f"/datasets/{dataset_id}")))
    return read_answer(response, about(dataset_id, lambda payload: BaseState.read(payload, response.created_at)))


def create_base(settings: Mapping[str, JSON]) -> Flow[BaseState]:
    """Create a knowledge base. Dify does not notice one with the same name that is created at the same moment.

    https://docs.dify.ai/api-reference/knowledge-bases/create-an-empty-knowledge-base
    """
    response = yield Request("POST", "/datasets", json=dict(settings), repeatable=False)
    return read_answer(response, BaseState.read)


def update_base(dataset_id: str, settings: Mapping[str, JSON]) -> Flow[None]:
    """Change settings of a knowledge base; the others stay.

    https://docs.dify.ai/api-reference/knowledge-bases/update-knowledge-base
    """
    response = yield Request("PATCH", f"/datasets/{dataset_id}", json=dict(settings))
    read_answer(response, about(dataset_id, BaseState.read))


def delete_base(dataset_id: str) -> Flow[None]:
    """Delete a knowledge base with all documents, even if apps use it.

    :raises DifyNotFoundError: It does not exist (any more).

    https://docs.dify.ai/api-reference/knowledge-bases/delete-knowledge-base
    """
    yield Request("DELETE", f"/datasets/{dataset_id}")


def list_tags() -> Flow[tuple[Tag, ...]]:
    """List all tags of knowledge bases.

    https://docs.dify.ai/api-reference/tags/list-knowledge-tags
    """
    response = yield Request("GET", "/datasets/tags")
    return read_json(response, lambda payload: tuple(map(Tag.read, map(Fields, _a_list(payload)))))


def create_tag(name: str) -> Flow[Tag]:
    """Create a tag.

    :raises DifyRequestError: A tag of that name exists, among other reasons.

    https://docs.dify.ai/api-reference/tags/create-knowledge-tag
    """
    return read_answer((yield Request("POST", "/datasets/tags", json={"name": name})), Tag.read)


def rename_tag(tag_id: str, name: str) -> Flow[Tag]:
    """Rename a tag.

    https://docs.dify.ai/api-reference/tags/update-knowledge-tag
    """
    return read_answer((yield Request("PATCH", "/datasets/tags", json={"name": name, "tag_id": tag_id})), Tag.read)


def delete_tag(tag_id: str) -> Flow[None]:
    """Delete a tag; knowledge bases lose it.

    https://docs.dify.ai/api-reference/tags/delete-knowledge-tag
    """
    yield Request("DELETE", "/datasets/tags", json={"tag_id": tag_id})


def bind_tags(dataset_id: str, tag_ids: Sequence[str]) -> Flow[None]:
    """Add tags to a knowledge base. Dify silently ignores unknown tags.

    https://docs.dify.ai/api-reference/tags/create-tag-binding
    """
    yield Request("POST", "/datasets/tags/binding", json={"tag_ids": list(tag_ids), "target_id": dataset_id})


def unbind_tag(dataset_id: str, tag_id: str) -> Flow[None]:
    """Remove a tag from a knowledge base: one at a time, because older versions do not accept a list.

    https://docs.dify.ai/api-reference/tags/delete-tag-binding
    """
    yield Request("POST", "/datasets/tags/unbinding", json={"tag_id": tag_id, "target_id": dataset_id})


def tags_of(dataset_id: str) -> Flow[tuple[Tag, ...]]:
    """List the tags of a knowledge base.

    https://docs.dify.ai/api-reference/tags/get-knowledge-base-tags
    """
    response = yield Request("GET", f"/datasets/{dataset_id}/tags")
    return read_answer(response, lambda payload: tuple(map(Tag.read, payload.items("data"))))


def list_models(kind: ModelType) -> Flow[tuple[Model, ...]]:
    """List the models of a type that the workspace can use.

    https://docs.dify.ai/api-reference/models/get-available-models
    """
    response = yield Request("GET", f"/workspaces/current/models/model-types/{kind.value}")
    return read_answer(response, lambda payload: tuple(one for item in payload.items("data") for one in _models(item)))


def _a_list(payload: JSON) -> Sequence[JSON]:
    if not isinstance(payload, list):
        raise TypeError(f"a {type(payload).__name__} instead of a list")
    return payload


def _models(provider: Fields) -> list[Model]:
    name = provider.text("provider")
    return [Model(one.text("model"), name, one.maybe_text("status") or "") for one in provider.items("models")]
