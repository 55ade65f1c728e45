"""The methods of the hook for tags of knowledge bases, and for models."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases import api
from airflow_provider_dify.knowledge.bases.api import Model, ModelType, Tag
from airflow_provider_dify.knowledge.bases.settings import tag_name


class TagVerbs(FlowHook):
    """Reads and changes tags, and lists models."""

    def list_tags(self) -> tuple[Tag, ...]:
        """List all tags of knowledge bases, newest first.

        https://docs.dify.ai/api-reference/tags/list-knowledge-tags

        :return: The tags.
        :raises DifyError: A request to Dify failed.
        """
        return self.run(api.list_tags())

    def list_dataset_tags(self, dataset_id: str) -> tuple[Tag, ...]:
        """List the tags of a knowledge base.

        https://docs.dify.ai/api-reference/tags/get-knowledge-base-tags

        :param dataset_id: UUID of the knowledge base.
        :return: The tags.
        :raises DifyNotFoundError: The key cannot access such a knowledge base.
        """
        return self.run(api.tags_of(inputs.canonical_id(dataset_id, "dataset_id")))

    def create_tag(self, name: str) -> Tag:
        """Create a tag.

        https://docs.dify.ai/api-reference/tags/create-knowledge-tag

        :param name: Its name, at most 50 characters.
        :return: The tag.
        :raises DifyInputError: The name is invalid; nothing was sent.
        :raises DifyRequestError: There is a tag with this name, among other reasons.
        """
        return self.run(api.create_tag(tag_name(name, "name")))

    def rename_tag(self, tag_id: str, name: str) -> Tag:
        """Rename a tag; knowledge bases keep it.

        https://docs.dify.ai/api-reference/tags/update-knowledge-tag

        :param tag_id: UUID of the tag.
        :param name: Its new name, at most 50 characters.
        :return: The tag.
        :raises DifyInputError: The name is invalid; nothing was sent.
        :raises DifyRequestError: There is no such tag, or another one has this name, among other reasons.
        """
        return self.run(api.rename_tag(inputs.canonical_id(tag_id, "tag_id"), tag_name(name, "name")))

    def delete_tag(self, tag_id: str) -> None:
        """Delete a tag. Knowledge bases lose it, and stay.

        https://docs.dify.ai/api-reference/tags/delete-knowledge-tag

        :param tag_id: UUID of the tag.
        :raises DifyNotFoundError: There is no such tag.
        """
        self.run(api.delete_tag(inputs.canonical_id(tag_id, "tag_id")))

    def bind_tags(self, dataset_id: str, tag_ids: Iterable[str] | str) -> tuple[Tag, ...]:
        """Add tags to a knowledge base; its other tags stay. Dify silently ignores unknown tags.

        https://docs.dify.ai/api-reference/tags/create-tag-binding

        :param dataset_id: UUID of the knowledge base.
        :param tag_ids: UUIDs of the tags.
        :return: All its tags, read back.
        :raises DifyInputError: The ids are invalid; nothing was sent.
        :raises DifyNotFoundError: There is no such knowledge base.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.run(api.bind_tags(dataset_id, inputs.canonical_ids(tag_ids, "tag_ids")))
        return self.run(api.tags_of(dataset_id))

    def unbind_tags(self, dataset_id: str, tag_ids: Iterable[str] | str) -> tuple[Tag, ...]:
        """Remove tags from a knowledge base.

        https://docs.dify.ai/api-reference/tags/delete-tag-binding

        :param dataset_id: UUID of the knowledge base.
        :param tag_ids: UUIDs of the tags.
        :return: The remaining tags, read back.
        :raises DifyInputError: The ids are invalid; nothing was sent.
        :raises DifyNotFoundError: There is no such knowledge base.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        for tag_id in inputs.canonical_ids(tag_ids, "tag_ids"):
            self.run(api.unbind_tag(dataset_id, tag_id))
        return self.run(api.tags_of(dataset_id))

    def list_models(self, model_type: str = "text-embedding") -> tuple[Model, ...]:
        """List the models that the workspace can use, such as embedding models.

        https://docs.dify.ai/api-reference/models/get-available-models

        :param model_type: ``text-embedding``, ``rerank``, ``llm``, ``tts``, ``speech2text`` or ``moderation``.
        :return: The models, each with its provider.
        :raises DifyInputError: There is no such type; nothing was sent.
        """
        return self.run(api.list_models(inputs.choice(model_type, ModelType, "model_type")))
