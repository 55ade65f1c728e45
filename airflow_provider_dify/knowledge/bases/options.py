"""The settings of a knowledge base. This module imports almost nothing, because every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnowledgeBaseOptions:
    """The settings of a knowledge base. Others stay as they are, or as Dify sets them.

    :param description: What it is about, at most 400 characters.
    :param permission: Who sees it in Dify: ``only_me`` (the owner of the workspace, for whom the API acts) or
        ``all_team_members``.
    :param indexing_technique: ``high_quality`` (vectors) or ``economy`` (keywords). Dify cannot change it back to
        ``economy``; it can change it to ``high_quality`` as long as there are no documents.
    :param embedding_model: Name of the embedding model, for ``high_quality``. It can change as long as there are no
        documents.
    :param embedding_model_provider: Who provides the embedding model, such as ``langgenius/openai/openai`` or
        ``openai``. Only needed if several providers have a model of this name.
    :param retrieval_model: How apps search it: some of ``search_method``, ``top_k``, ``score_threshold_enabled``,
        ``score_threshold``, ``reranking_enable``, ``reranking_mode``, ``reranking_model`` and ``weights``, as in Dify's
        API. The others stay.
    :param metadata_fields: Metadata fields that it should have: their types (``string``, ``number``, ``time``) by
        name. Missing fields are created; other fields stay.
    :param tags: Names of all its tags. Missing tags are created, and other tags are removed from it.
    :param tolerate: Names of settings that this Dify may ignore, such as ``("tags",)``; otherwise the task fails if a
        setting that was sent does not read back.
    """

    description: str | None = None
    permission: str | None = None
    indexing_technique: str | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    retrieval_model: Mapping[str, Any] | str | None = None
    metadata_fields: Mapping[str, str] | str | None = None
    tags: Iterable[str] | str | None = None
    tolerate: Iterable[str] | str = ()

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.bases import settings
        from airflow_provider_dify.knowledge.documents import Technique

        inputs.settle(
            self,
            description=inputs.or_none(settings.description),
            permission=inputs.or_none(inputs.one_of(settings.Permission)),
            indexing_technique=inputs.or_none(inputs.one_of(Technique)),
            embedding_model=inputs.or_none(inputs.text),
            embedding_model_provider=inputs.or_none(inputs.text),
            retrieval_model=inputs.or_none(settings.retrieval_model),
            metadata_fields=inputs.or_none(settings.metadata_fields),
            tags=inputs.or_none(settings.tags),
            tolerate=inputs.some_of(settings.Setting),
        )
        settings.check_model(self.embedding_model, self.embedding_model_provider, self.indexing_technique)
