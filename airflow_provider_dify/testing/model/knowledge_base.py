"""A knowledge base without its documents: its settings, and its metadata fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_dify.testing.model.fields import Described, Fields
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.text.cutting import Rule

#: Provider and name of the embedding model, unless another one was chosen.
DEFAULT_MODEL = ("langgenius/openai/openai", "text-embedding-3-small")
#: Approximate size of a token; only counted if there is an embedding model.
CHARACTERS_PER_TOKEN = 4


class KnowledgeBase:
    """What a document knows about its knowledge base."""

    def __init__(self, world: Site, name: str, *, indexing_technique: str | None, dataset_id: str) -> None:
        self.world = world
        self.id = dataset_id
        self.name = name
        self.indexing_technique = indexing_technique
        self.created_at = world.clock.time()
        self.description = ""
        #: Who may see it in Dify: ``only_me``, ``all_team_members`` or ``partial_members``.
        self.permission = "only_me"
        #: Provider and name of its embedding model; ``None``: the default one, if search goes by vectors.
        self.embedding_model: tuple[str, str] | None = None
        #: Ids of its tags, in the order in which it got them.
        self.tag_ids: dict[str, None] = {}
        #: How many apps use it.
        self.app_count = 0
        #: How apps search it, if somebody configured that; parts may be null or missing, such as ``weights``.
        self.retrieval_model: dict[str, Any] | None = None
        #: Whether API access is enabled for the knowledge base.
        self.api_enabled = True
        #: ``False``: the embedding model is missing, and every action is refused.
        self.embedding_available = True
        #: ``rag_pipeline``: created by a knowledge pipeline.
        self.runtime_mode = "general"
        #: ``external``: its documents are elsewhere, and it accepts none.
        self.provider = "vendor"
        #: Whether the vector store refuses vectors that it already has, like pgvector. Only matters with
        #: ``high_quality``, like the next two.
        self.duplicate_insert_fails = True
        #: Whether the vector store silently ignores deletions.
        self.refuses_deletes = False
        #: How many segments the vector store examines for a search, unless its ``top_k`` is large.
        self.candidates = 40
        #: The latest process rule, used for documents without their own.
        self.rule: Rule | None = None
        #: Metadata fields, and which documents have values for them.
        self.fields = Fields()
        #: Form of its documents, determined by the first one.
        self.doc_form: str | None = None
        #: How often its documents, and how often their texts, have changed so far.
        self.changes = self.text_changes = 0

    @property
    def has_vectors(self) -> bool:
        """Whether search uses vectors instead of keywords."""
        return self.indexing_technique == "high_quality"

    @property
    def tags(self) -> list[str]:
        """Names of its tags."""
        return [self.world.tags[tag_id] for tag_id in self.tag_ids]

    def tokens(self, text: str) -> int:
        """The number of tokens that Dify counts for a text: 0 if no embedding model reads it."""
        return len(text) // CHARACTERS_PER_TOKEN if self.has_vectors else 0

    def changed(self) -> None:
        """Record that a document changed: cached filter results are outdated."""
        self.changes += 1

    def text_changed(self) -> None:
        """Record that texts changed, so that search has to be updated."""
        self.text_changes += 1

    def add_field(self, name: str, kind: str) -> str:
        """Create a metadata field; return its id.

        :param kind: ``string``, ``number`` or ``time``.
        """
        return self.fields.add(self.world.new_id(), name, kind).id

    def set_metadata(self, document: Described, values: Mapping[str, Any]) -> None:
        """Give a document exactly these values, by name; missing fields are created."""
        ids = []
        for name, value in values.items():
            known = self.fields.named(name)
            kind = "number" if isinstance(value, (int, float)) else "string"
            ids.append(self.add_field(name, kind) if known is None else known.id)
        self.fields.assign(document, dict(values), ids)
