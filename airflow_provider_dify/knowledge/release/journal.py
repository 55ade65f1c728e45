"""What a release writes into the metadata of its documents, so that any process can continue it.

Before a release changes a flag, it writes into each document which release it belongs to, on which side, and its flags.
So a killed task finds the previous flags in the documents themselves when it is retried, whatever Airflow keeps or
deletes, and whoever else changes the documents meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.documents import Document, Flags
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.metadata.fields import Value
from airflow_provider_dify.knowledge.metadata.update import MetadataChange
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.knowledge.text.packing import pack_ids, unpack_ids

#: Metadata of a new document: its release, such as ``handbook | 2026-11-25``.
RELEASE_FIELD = "airflow_release"
#: Metadata of each document of a release: the release, the document's side, and its flags before.
JOURNAL_FIELD = "airflow_release_journal"
#: Metadata of a document of a release in which a person had disabled chunks: their ids, packed.
CHUNKS_FIELD = "airflow_release_chunks"
#: Maximum number of chunk ids that are stored there. If there are more, they are only in the task's report.
MOST_CHUNKS = 40

_SEPARATOR = " | "
_LONGEST = 250


class Side(str, Enum):
    """The side of a release that a document is on."""

    NEW = "new"
    OLD = "old"


@dataclass(frozen=True)
class Version:
    """Identifies a release.

    :param channel: What it is a release of: releases of one channel replace each other.
    :param name: Its name; the same in each try of the same release.
    """

    channel: str
    name: str

    @classmethod
    def of(cls, channel: object, name: object, document_ids: Iterable[str]) -> Version:
        """Check what a user gave. A release without a name is named by its documents."""
        hashed = hashlib.sha256("".join(sorted(document_ids)).encode()).hexdigest()[:12]
        return cls(_text(channel, "channel"), _text(hashed if name is None else name, "release"))

    @classmethod
    def read(cls, text: str) -> Version:
        """Parse the result of :meth:`__str__`."""
        channel, _, name = text.partition(_SEPARATOR)
        return cls(channel, name)

    def __str__(self) -> str:
        return f"{self.channel}{_SEPARATOR}{self.name}"

    def entries(self, side: Side, flags: Flags) -> dict[str, Value]:
        """Return the metadata to write into a document."""
        entry = _SEPARATOR.join((str(self), side.value, _words(flags)))
        return {JOURNAL_FIELD: entry, **({RELEASE_FIELD: str(self)} if side is Side.NEW else {})}

    def chunks_of(self, document: Document) -> tuple[str, ...]:
        """Return the ids of chunks that were disabled in a document when this release began."""
        packed = document.metadata.get(CHUNKS_FIELD)
        return unpack_ids(packed) if self.journal_of(document) and isinstance(packed, str) and packed else ()

    def journal_of(self, document: Document) -> tuple[Side, Flags] | None:
        """Return what this release has written into a document; ``None`` if nothing."""
        entry = document.metadata.get(JOURNAL_FIELD)
        if not isinstance(entry, str) or not entry.startswith(f"{self}{_SEPARATOR}"):
            return None
        side, _, words = entry.removeprefix(f"{self}{_SEPARATOR}").partition(_SEPARATOR)
        found = [flags for flags in _ALL_FLAGS if _words(flags) == words]
        return (Side(side), found[0]) if found and side in ("new", "old") else None

    def replaces(self, document: Document) -> bool:
        """Whether a document belongs to the release before this one, or this one has begun to replace it."""
        journal = self.journal_of(document)
        if journal:
            return journal[0] is Side.OLD
        released = document.metadata.get(RELEASE_FIELD)
        if not isinstance(released, str) or not document.belongs_in_search:
            return False
        before = Version.read(released)
        return before.channel == self.channel and before != self


def missing_entries(
    version: Version,
    documents: Mapping[str, Document],
    sides: Mapping[str, Side],
    previous: Mapping[str, Flags],
    chunks: Mapping[str, tuple[str, ...]],
) -> dict[str, dict[str, Value]]:
    """Return the metadata for those documents that have no entry of a release yet.

    :param chunks: Ids of disabled chunks, by document id.
    """
    return {
        i: {**version.entries(side, previous[i]), **_chunk_entry(documents[i], chunks.get(i, ()))}
        for i, side in sides.items()
        if i in documents and version.journal_of(documents[i]) is None
    }


def clear_journal(
    dataset_id: str, version: Version, documents: Mapping[str, Document], deadline: Deadline, retries: Retries
) -> Flow[None]:
    """Remove the previous flags from the metadata: they are the current ones again. A failure does no harm.

    :param documents: The documents by id, with their metadata.
    """
    marked = [document_id for document_id, document in documents.items() if version.journal_of(document)]
    if marked:
        yield Note(f"Everything is as before release {version}. Removing its entries from the metadata.")
        with suppress(DifyError):
            fields = (JOURNAL_FIELD, *((CHUNKS_FIELD,) if _have_chunks(documents.values()) else ()))
            clear = MetadataChange.same_for_all(dataset_id, marked, clear=fields)
            yield from clear.flow(deadline, retries)


def _chunk_entry(document: Document, chunks: tuple[str, ...]) -> dict[str, Value]:
    if chunks and len(chunks) <= MOST_CHUNKS:
        return {CHUNKS_FIELD: pack_ids(chunks)}
    return {CHUNKS_FIELD: None} if document.metadata.get(CHUNKS_FIELD) else {}  # of an earlier release


def _have_chunks(documents: Iterable[Document]) -> bool:
    return any(document.metadata.get(CHUNKS_FIELD) for document in documents)


_ALL_FLAGS = tuple(Flags(enabled, archived) for enabled in (True, False) for archived in (True, False))


def _words(flags: Flags) -> str:
    return f"was {'enabled' if flags.enabled else 'disabled'}{', archived' if flags.archived else ''}"


def _text(value: object, parameter: str) -> str:
    given = inputs.as_text(value)
    text = given.strip() if isinstance(given, str) else ""
    if not text or len(text) > _LONGEST or _SEPARATOR.strip() in text or not text.isprintable():
        raise DifyInputError(
            f"{parameter} must be text of at most {_LONGEST} characters without '|', not "
            f"{inputs.show(value)}.{why(value)}"
        )
    return inputs.without_keys(text)
