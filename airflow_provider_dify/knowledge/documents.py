"""What a Dify document is, which status changes it allows, and when a change is complete."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, TypeAlias

from airflow_provider_dify.knowledge.answers import Fields, Plain, a_plain_value
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.text.names import canonical

ActionName: TypeAlias = Literal["enable", "disable", "archive", "un_archive"]

#: Shared by all documents without metadata, of which there may be many.
_NO_METADATA: Mapping[str, Plain] = {}


@dataclass(frozen=True, slots=True)
class Flags:
    """The two flags of a document. They are independent of each other.

    :param enabled: Whether it is enabled.
    :param archived: Whether it is archived.
    """

    enabled: bool
    archived: bool

    @property
    def in_search(self) -> bool:
        """Whether search should return a document with these flags."""
        return self.enabled and not self.archived

    def after(self, action: Action) -> Flags:
        """Return the flags after Dify has applied an action."""
        if action in (Action.ENABLE, Action.DISABLE):
            return replace(self, enabled=action is Action.ENABLE)
        return replace(self, archived=action is Action.ARCHIVE)


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a knowledge base, as Dify lists it.

    :param id: Its id.
    :param name: Its name, which may not be unique, in the form returned by :func:`names.canonical`.
    :param indexing_status: ``waiting``, ``parsing``, ``cleaning``, ``splitting``, ``indexing``, ``completed``,
        ``error`` or ``paused``.
    :param display_status: As on Dify's pages: ``queuing``, ``indexing``, ``paused``, ``error``, ``available``,
        ``disabled`` or ``archived``.
    :param enabled: Whether it is enabled. Independent of ``archived``.
    :param archived: Whether it is archived.
    :param error: Why its indexing failed, if it did.
    :param created_at: When it was created, in whole seconds since the epoch.
    :param word_count: Its length in characters; ``None`` if not known yet.
    :param hit_count: How often search has returned it.
    :param segment_count: Number of its segments so far; ``None`` if it comes from a list.
    :param updated_at: When it was last changed, in whole seconds since the epoch; ``None`` if it comes from a list.
    :param position: Its number in the knowledge base: a new document has a higher number than all existing ones.
    :param metadata: Its metadata values by name. In a list, all values are texts; a document that was read by itself
        has none.
    :param by_api: Whether it was created through the API, not by hand.
    :param size: Size in bytes of the uploaded content; ``None`` if Dify does not say.
    """

    id: str
    name: str
    indexing_status: str
    display_status: str
    enabled: bool
    archived: bool
    error: str | None
    created_at: int
    word_count: int | None
    hit_count: int
    segment_count: int | None = None
    updated_at: int | None = None
    metadata: Mapping[str, Plain] = field(default_factory=lambda: _NO_METADATA, hash=False)
    position: int = 0
    by_api: bool = False
    size: int | None = None

    @classmethod
    def read(cls, item: Fields) -> Document:
        """Read one document of a response."""
        return cls(
            id=item.id(),
            name=canonical(item.text("name")),
            # Few distinct words, but maybe many documents.
            indexing_status=sys.intern(item.text("indexing_status")),
            display_status=sys.intern(item.maybe_text("display_status") or ""),
            enabled=item.flag("enabled"),
            archived=item.flag("archived"),
            error=item.maybe_text("error"),
            created_at=item.count("created_at"),
            word_count=item.maybe_count("word_count"),
            hit_count=item.count("hit_count"),
            segment_count=item.maybe_count("segment_count"),
            updated_at=item.maybe_count("updated_at"),
            metadata=_read_metadata(item),
            position=item.count("position"),
            by_api=item.get("created_from") == "api",
            size=_size(item.get("data_source_detail_dict")),
        )

    @property
    def indexed(self) -> bool:
        """Whether its indexing is complete."""
        return self.indexing_status == "completed"

    @property
    def failed(self) -> bool:
        """Whether its indexing ended in an error."""
        return self.indexing_status == "error"

    @property
    def paused(self) -> bool:
        """Whether somebody has paused its indexing."""
        return "paused" in (self.indexing_status, self.display_status)

    @property
    def flags(self) -> Flags:
        """Its two flags."""
        return Flags(self.enabled, self.archived)

    @property
    def belongs_in_search(self) -> bool:
        """Whether search should return it, by its flags."""
        return self.flags.in_search


def _size(detail: JSON) -> int | None:
    file = detail.get("upload_file") if isinstance(detail, dict) else None
    size = file.get("size") if isinstance(file, dict) else None
    return size if isinstance(size, int) else None


def _read_metadata(item: Fields) -> Mapping[str, Plain]:
    if isinstance(item.get("doc_metadata"), dict):  # as in a response of search
        return item.maybe_object("doc_metadata").plain()
    # The names are those of the knowledge base's fields: few, for many documents.
    values = item.maybe_items("doc_metadata")
    return {sys.intern(one.text("name")): one.read("value", a_plain_value) for one in values} or _NO_METADATA


class Action(str, Enum):
    """A status change, as named in Dify's API."""

    ENABLE = "enable"
    DISABLE = "disable"
    ARCHIVE = "archive"
    UN_ARCHIVE = "un_archive"

    @property
    def opposite(self) -> Action:
        """The action that reverts it."""
        return _OPPOSITES[self]

    @property
    def verb(self) -> str:
        """The verb for it in a sentence."""
        return self.value.replace("_", "-")

    @property
    def adds(self) -> bool:
        """Whether it brings documents into search. The other actions remove them."""
        return self in (Action.ENABLE, Action.UN_ARCHIVE)

    def reached(self, document: Document) -> bool:
        """Whether a document has the flags that this action sets."""
        if self is Action.ENABLE:
            return document.belongs_in_search
        if self is Action.DISABLE:
            return not document.enabled
        return document.archived is (self is Action.ARCHIVE)

    def applied_to(self, document: Document) -> Document:
        """Return the document as it is after Dify has applied the action."""
        flags = document.flags.after(self)
        return replace(document, enabled=flags.enabled, archived=flags.archived)

    def harm(self, document: Document) -> str | None:
        """Why the action must not be applied to a document; ``None`` if it may."""
        if self is Action.ENABLE and document.archived:
            return "It is archived. Enabling it would put it into search while archived: un_archive it first."
        return None


_OPPOSITES = {
    Action.ENABLE: Action.DISABLE,
    Action.DISABLE: Action.ENABLE,
    Action.ARCHIVE: Action.UN_ARCHIVE,
    Action.UN_ARCHIVE: Action.ARCHIVE,
}


class Technique(str, Enum):
    """How a knowledge base finds its documents."""

    #: By vectors.
    HIGH_QUALITY = "high_quality"
    #: By keywords.
    ECONOMY = "economy"


class DocumentForm(str, Enum):
    """How a document is cut into segments."""

    TEXT = "text_model"
    #: Search finds the segments by their child chunks.
    HIERARCHICAL = "hierarchical_model"
    QUESTIONS = "qa_model"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A knowledge base, as Dify lists it.

    :param id: Its id.
    :param name: Its name.
    :param indexing_technique: ``economy`` (keywords) or ``high_quality`` (vectors); ``None`` until it has documents.
    :param document_count: How many documents it has, in any state.
    :param total_available_documents: How many of them search can return; ``None`` if Dify does not say.
    :param enable_api: Whether its API access is enabled.
    :param doc_form: How its documents are split into segments: ``text_model``, ``hierarchical_model`` or ``qa_model``;
        ``None`` if Dify does not say.
    :param fields: Id and name of each of its metadata fields.
    :param provider: ``vendor``, or ``external`` for one that Dify only forwards queries to.
    :param runtime_mode: ``general``, or ``rag_pipeline`` for one that a knowledge pipeline fills.
    :param embedding_available: Whether its embedding model can be used; ``None`` if Dify does not say.
    :param ever_used: Whether it has, or had, a document. It has a process rule from then on.
    :param server_version: Version of Dify, from its response; ``None`` if it does not say.
    :param word_count: Length of all its documents in characters; 0 if Dify does not say.
    :param created_at: When it was created, in whole seconds since the epoch.
    """

    id: str
    name: str
    indexing_technique: str | None
    document_count: int
    total_available_documents: int | None
    enable_api: bool
    doc_form: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    provider: str | None = None
    runtime_mode: str | None = None
    embedding_available: bool | None = None
    ever_used: bool = True
    server_version: str | None = None
    word_count: int = 0
    created_at: int = 0

    @classmethod
    def read(cls, item: Fields) -> Dataset:
        """Read one knowledge base of a response."""
        return cls(
            id=item.id(),
            name=item.text("name"),
            indexing_technique=item.maybe_text("indexing_technique"),
            document_count=item.count("document_count"),
            total_available_documents=item.maybe_count("total_available_documents"),
            enable_api=bool(item.get("enable_api", True)),
            doc_form=item.maybe_text("doc_form"),
            fields=tuple((field.id(), field.text("name")) for field in item.maybe_items("doc_metadata")),
            provider=item.maybe_text("provider"),
            runtime_mode=item.maybe_text("runtime_mode"),
            embedding_available=item.maybe_flag("embedding_available"),
            # Dify sets it with the first document and never resets it (1.16.0, files 20 and 27).
            ever_used=item.get("data_source_type", "unknown") is not None,
            word_count=item.count("word_count"),
            created_at=item.count("created_at"),
        )

    @property
    def external(self) -> bool:
        """Whether its documents are not in Dify."""
        return self.provider == "external"

    @property
    def made_by_pipeline(self) -> bool:
        """Whether a knowledge pipeline decides how its documents are processed."""
        return self.runtime_mode == "rag_pipeline"


#: When a step of indexing ended, as named in Dify's responses.
_STEPS = ("processing_started_at", "parsing_completed_at", "cleaning_completed_at", "splitting_completed_at")
_STEPS_OF_DOCUMENT = ("updated_at", "completed_at")


@dataclass(frozen=True, slots=True)
class IndexingState:
    """The progress of a document's indexing.

    :param id: Id of the document.
    :param status: As ``Document.indexing_status``; also ``paused`` if Dify stores that separately.
    :param name: Its name; ``None`` if unknown.
    :param error: Why its indexing failed, if it did.
    :param completed_segments: Number of indexed segments. Dify counts them when all are done.
    :param total_segments: Number of segments so far. Both are ``None`` if unknown.
    :param step_at: When Dify recorded the last step, in whole seconds since the epoch by its own clock; ``None`` if
        unknown, 0 if it has recorded none.
    """

    id: str
    status: str
    name: str | None = None
    error: str | None = None
    completed_segments: int | None = None
    total_segments: int | None = None
    step_at: int | None = None

    @classmethod
    def read(cls, item: Fields) -> IndexingState:
        """Read one document of a response about the indexing of a batch."""
        return cls(
            id=item.id(),
            status=sys.intern(item.text("indexing_status")),
            error=item.maybe_text("error"),
            completed_segments=item.maybe_count("completed_segments"),
            total_segments=item.maybe_count("total_segments"),
            step_at=_latest(item, (*_STEPS, "completed_at")),
        )

    @classmethod
    def of(cls, document: Document, step_at: int | None = None) -> IndexingState:
        """Return the state as shown by the document itself."""
        total = document.segment_count
        return cls(
            id=document.id,
            status="paused" if document.paused and not document.indexed else document.indexing_status,
            name=document.name,
            error=document.error,
            completed_segments=None if total is None else total if document.indexed else 0,
            total_segments=total,
            step_at=step_at,
        )

    @classmethod
    def read_document(cls, item: Fields) -> IndexingState:
        """Read a response about a single document."""
        return cls.of(Document.read(item), _latest(item, _STEPS_OF_DOCUMENT))

    @property
    def completed(self) -> bool:
        """Whether it is complete. ``completed_at`` is not enough: it remains when indexing starts again."""
        return self.status == "completed"

    @property
    def broken_off(self) -> bool:
        """Whether it does not continue by itself: it failed, or somebody paused it."""
        return self.status in ("error", "paused")

    def differs(self, before: IndexingState) -> bool:
        """Whether it has made progress. Values that one of the two does not know are ignored."""
        counts = (
            (self.completed_segments, before.completed_segments),
            (self.total_segments, before.total_segments),
        )
        return self.status != before.status or any(a != b for a, b in counts if a is not None and b is not None)


def _latest(item: Fields, names: tuple[str, ...]) -> int:
    return max(map(item.count, names))
