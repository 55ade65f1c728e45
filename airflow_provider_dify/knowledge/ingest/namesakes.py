"""Decides what to do with a content whose name exists in the knowledge base.

Dify itself silently replaces an enabled document of the same name, even an archived one, and creates a second document
next to a disabled one. So this is decided here, from the existing documents, before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.ingest.contents import Source
from airflow_provider_dify.knowledge.ingest.options import IfExists

#: How many characters of the digest are shown to distinguish the versions of a document.
_DIGEST_SHOWN = 8


class Verb(Enum):
    """What to do with a content."""

    CREATE = "create"
    UPDATE = "update"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """What to do with a content, and why.

    :param verb: What to do.
    :param name: The name that the document has or gets.
    :param document: The document to update, replace or keep.
    :param old: Ids of other documents that the content stands for, in use or not.
    :param why: The message if it is refused.
    """

    verb: Verb
    name: str
    document: Document | None = None
    old: tuple[str, ...] = ()
    why: str = ""


def stem_of(name: str) -> str:
    """Return the common beginning of the names of all versions of a document."""
    return _split(name)[0]


def keyword_of(text: str) -> str:
    r"""Return the part of a text by which Dify lists all names that contain it: its database interprets ``\``."""
    return max(text.split("\\"), key=len)


def base_name(name: str) -> str:
    """Return the base name of a version, or the name itself."""
    begin, end = _split(name)
    return re.sub(rf" \([0-9a-f]{{{_DIGEST_SHOWN}}}\)$", "", begin) + end


def decide(source: Source, documents: Sequence[Document], if_exists: IfExists, hash_field: str | None) -> Decision:
    """Decide what to do with a content.

    :param documents: The documents with its name, and their versions (:func:`base_name`), newest first.
    :param hash_field: Name of the metadata field with the digest of a document's content.
    :raises DifySourceError: The content has to be compared, and cannot be read.
    """
    namesakes = [document for document in documents if document.name == source.name]
    if if_exists in (IfExists.NEW_VERSION, IfExists.FOR_RELEASE):
        return _new_version(source, documents, reuse=if_exists is IfExists.FOR_RELEASE)
    if not namesakes:
        return Decision(Verb.CREATE, source.name)
    ids = _named(namesakes)
    if if_exists is IfExists.SKIP:
        shown = next((document for document in namesakes if document.belongs_in_search), namesakes[0])
        return Decision(Verb.SKIP, source.name, shown)
    if if_exists is IfExists.FAIL:
        return Decision(Verb.REFUSE, source.name, why=f"A document with this name exists: {ids}.")
    return _update(source, namesakes, hash_field)


def _update(source: Source, namesakes: list[Document], hash_field: str | None) -> Decision:
    live = [document for document in namesakes if document.belongs_in_search]
    name, same = source.name, [document for document in namesakes if _holds(document, source, hash_field)]
    if len(live) > 1:
        why = (
            f"{len(live)} documents in use have this name: {_named(live)}. Retire all but one, or use "
            "if_exists='new_version'."
        )
        return Decision(Verb.REFUSE, name, why=why)
    if live and live[0] in same and not (live[0].failed or live[0].paused):
        return Decision(Verb.SKIP, name, live[0])
    if live and not live[0].failed:
        return Decision(Verb.UPDATE, name, live[0])
    if hidden := [document for document in namesakes if document.enabled and document.archived]:
        why = (
            f"Dify would overwrite the archived document of this name: {_named(hidden)}. un_archive it to update it, "
            "disable it to keep it next to a new one, or use new_version."
        )
        return Decision(Verb.REFUSE, name, why=why)
    if same and not live:
        why = f"A document with this name and content is disabled: {_named(same)}. Enable it instead."
        return Decision(Verb.REFUSE, name, why=why)
    # If the one in use has failed, Dify replaces its content when it creates the new one.
    failed = live[0] if live else None
    return Decision(Verb.CREATE, name, failed, old=tuple(document.id for document in namesakes))


def _new_version(source: Source, documents: Sequence[Document], *, reuse: bool) -> Decision:
    begin, end = _split(source.name)
    version = f"{begin} ({source.digest()[:_DIGEST_SHOWN]}){end}"
    same = [document for document in documents if document.name == version]
    others = [document for document in documents if document.name != version]
    old = tuple(document.id for document in others if document.belongs_in_search)
    if live := [document for document in same if document.belongs_in_search and not document.failed]:
        return Decision(Verb.SKIP, version, live[0], old)
    off = [document for document in same if not document.belongs_in_search]
    if reuse and (ready := [document for document in off if not (document.failed or document.paused)]):
        return Decision(Verb.SKIP, version, ready[0], old)
    if off:
        why = f"This content exists, but is archived or disabled: {_named(off)}. un_archive or enable it instead."
        return Decision(Verb.REFUSE, version, why=why)
    return Decision(Verb.CREATE, version, old=old)


def _split(name: str) -> tuple[str, str]:
    """Split a name before its suffix."""
    suffix = PurePosixPath(name).suffix if "/" not in name else ""  # a text may be named "before/after"
    return name[: len(name) - len(suffix)], suffix


def _holds(document: Document, source: Source, hash_field: str | None) -> bool:
    stored = document.metadata.get(hash_field) if hash_field else None
    return stored is not None and stored == source.digest()


def _named(documents: Sequence[Document]) -> str:
    return ", ".join(document.id for document in documents[:3]) + (" and others" if len(documents) > 3 else "")
