"""Plans a sync: what to do so that a knowledge base has the contents of a source, before anything is sent.

It is a plain function of files and documents. A sync may only touch documents that it created; see
:mod:`airflow_provider_dify.knowledge.sync.sync`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.knowledge.documents import Action, Document
from airflow_provider_dify.knowledge.ingest.options import HASH_FIELD


class Retire(str, Enum):
    """What happens to a document whose file is gone."""

    ARCHIVE = "archive"
    DISABLE = "disable"
    DELETE = "delete"
    #: It stays unchanged.
    KEEP = "keep"

    @property
    def action(self) -> Action | None:
        """The status change, if it is one."""
        return Action(self.value) if self in (Retire.ARCHIVE, Retire.DISABLE) else None


class Move(str, Enum):
    """What to do about a file or document, in the order of the table in the log."""

    CREATE = "create"
    UPDATE = "update"
    RENAME = "rename"
    RESTORE = "restore"
    RETIRE = "retire"
    #: Impossible: a document that the sync did not create has the name.
    REFUSE = "refuse"
    #: The file exists, but cannot be read or become a document: its document stays.
    HOLD = "skip"
    #: Its file is gone, but it stays.
    LEAVE = "leave"
    KEEP = "keep"

    @property
    def sends(self) -> bool:
        """Whether a content is sent."""
        return self in (Move.CREATE, Move.UPDATE, Move.RENAME)


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file of the source.

    :param name: Name of its document.
    :param digest: SHA-256 of its content; ``None`` if there is a problem.
    :param problem: Why it cannot become a document.
    :param readable: Whether it can be read. If not, its problem may be temporary.
    """

    name: str
    digest: str | None
    problem: str | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """What to do about one file or document, and why.

    :param move: What to do.
    :param name: Name that the document has or gets.
    :param why: Why, for people.
    :param document: The document; ``None`` if there is none yet.
    :param namesakes: All documents that have the name now.
    :param clear: Ids of archived documents that have to be disabled first: Dify would overwrite them.
    """

    move: Move
    name: str
    why: str = ""
    document: Document | None = None
    namesakes: tuple[Document, ...] = ()
    clear: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether a document gets another content or name in place. Dify does not update a failed document."""
        return self.move.sends and self.document is not None and not self.document.failed


def digest_of(document: Document) -> str | None:
    """Return the digest of a document's content, if known."""
    stored = document.metadata.get(HASH_FIELD)
    return None if stored is None else str(stored)


def make_plan(
    wanted: Sequence[WantedFile],
    documents: Sequence[Document],
    synced: Collection[str],
    *,
    retire: Retire,
    unproven: bool = False,
) -> tuple[Planned, ...]:
    """Decide about each file, and about each document in use that the sync created.

    :param wanted: The files, with unique names.
    :param documents: The documents that the sync created, and all with the name of a file.
    :param synced: Ids of those that it created.
    :param retire: What happens to documents whose files are gone.
    :param unproven: Whether an earlier run may have retired documents without checking search: they are retired again.
    :return: Files in their order, then documents.
    """
    existing = _Existing(documents, synced)
    names = {one.name for one in wanted}
    spare = _Spare(d for d in existing.synced if _in_use(d) and d.name not in names)
    found = {one.name: _about_namesake(one, existing) for one in wanted}
    about_files = [found[one.name] or _about_new(one, existing, spare) for one in wanted]
    taken = {planned.document.id for planned in about_files if planned.document}
    held = {planned.name for planned in about_files if planned.move is Move.HOLD}
    left = [d for d in existing.synced if d.id not in taken and d.name not in held]
    rest = [_about_left(d, retire, gone=d.name not in names) for d in left if d.belongs_in_search]
    if unproven and retire.action:
        rest += [_again(d) for d in left if d.name not in names and d.indexed and _is_retired(d, retire.action)]
    return (*about_files, *sorted(rest, key=lambda planned: planned.name))


class _Existing:
    """The existing documents, by name."""

    def __init__(self, documents: Iterable[Document], synced: Collection[str]) -> None:
        self.synced: list[Document] = []
        self._by_name: dict[str, list[Document]] = {}
        self._ids = synced
        for document in documents:
            self._by_name.setdefault(document.name, []).append(document)
            if document.id in synced:
                self.synced.append(document)

    def named(self, name: str) -> tuple[Document, ...]:
        """All documents with a name."""
        return tuple(self._by_name.get(name, ()))

    def synced_named(self, name: str) -> list[Document]:
        """Those that the sync created."""
        return [document for document in self.named(name) if document.id in self._ids]

    def in_the_way(self, name: str) -> list[Document]:
        """Those that the sync did not create and that Dify would overwrite if one with that name were created."""
        return [document for document in self.named(name) if document.id not in self._ids and document.enabled]


@dataclass
class _Spare:
    """Documents in use whose files are gone. One with the same content only needs another name."""

    documents: Iterable[Document]
    _by_digest: dict[str, list[Document]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for document in sorted(self.documents, key=lambda document: (document.name, document.id), reverse=True):
            if digest := digest_of(document):
                self._by_digest.setdefault(digest, []).append(document)

    def take(self, digest: str | None) -> Document | None:
        """Return one with that content, and use it up."""
        documents = self._by_digest.get(digest or "")
        return documents.pop() if documents else None


def _about_namesake(one: WantedFile, existing: _Existing) -> Planned | None:
    """Decide about a file by the documents with its name that the sync created; ``None`` if none of
    them can be used.
    """
    synced, all_of_them = existing.synced_named(one.name), existing.named(one.name)
    live = [document for document in synced if document.belongs_in_search]
    if one.problem:
        return Planned(Move.HOLD, one.name, one.problem, next(iter(live or synced), None), all_of_them)
    same = [document for document in synced if digest_of(document) == one.digest]
    if good := [document for document in same if _in_use(document)]:
        return Planned(Move.KEEP, one.name, "", good[0], all_of_them)
    if live:
        return _update(one, next(filter(_in_use, live), live[0]), existing)
    if off := [document for document in same if document.indexed]:
        return Planned(Move.RESTORE, one.name, f"it is {_state(off[0])}, and its content is the same", off[0])
    return None


def _update(one: WantedFile, document: Document, existing: _Existing) -> Planned:
    namesakes = existing.named(one.name)
    if not document.failed:
        return Planned(Move.UPDATE, one.name, "its content differs", document, namesakes)
    # Dify does not update a failed document: creating one with that name replaces it, or another one of that name.
    if in_the_way := existing.in_the_way(one.name):
        return Planned(Move.REFUSE, one.name, _taken(in_the_way[0]), document, namesakes)
    return Planned(Move.UPDATE, one.name, "its indexing failed", document, namesakes, _to_clear(one.name, existing))


def _about_new(one: WantedFile, existing: _Existing, spare: _Spare) -> Planned:
    """Decide about a file for whose name the sync has no usable document."""
    namesakes = existing.named(one.name)
    if document := spare.take(one.digest):
        return Planned(Move.RENAME, one.name, f"it was '{document.name}'", document, namesakes)
    if in_the_way := existing.in_the_way(one.name):
        return Planned(Move.REFUSE, one.name, _taken(in_the_way[0]), None, namesakes)
    old = existing.synced_named(one.name)
    why = f"document {old[0].id} is {_state(old[0])}, and its content differs" if old else "it is new"
    return Planned(Move.CREATE, one.name, why, None, namesakes, _to_clear(one.name, existing))


def _to_clear(name: str, existing: _Existing) -> tuple[str, ...]:
    return tuple(document.id for document in existing.synced_named(name) if document.enabled and document.archived)


def _about_left(document: Document, retire: Retire, *, gone: bool) -> Planned:
    """Decide about a document in use without a file."""
    why = "its file is gone" if gone else "another document stands for its file"
    if retire is Retire.KEEP:
        return Planned(Move.LEAVE, document.name, why, document)
    if retire.action and not _in_use(document):
        stuck = "its indexing failed" if document.failed else "its indexing is paused"
        return Planned(Move.LEAVE, document.name, f"{why}; {stuck}, so Dify cannot {retire.value} it", document)
    return Planned(Move.RETIRE, document.name, why, document)


def _again(document: Document) -> Planned:
    return Planned(Move.RETIRE, document.name, "it is out of use; an earlier run did not check search", document)


def _is_retired(document: Document, action: Action) -> bool:
    return not document.belongs_in_search and action.reached(document)


def _in_use(document: Document) -> bool:
    """Whether search returns a document, or will when its indexing is complete."""
    return document.belongs_in_search and not document.failed and not document.paused


def _state(document: Document) -> str:
    if document.belongs_in_search:
        return "in use"
    off = "" if document.enabled else "disabled"
    return " and ".join(filter(None, ("archived" if document.archived else "", off)))


def _taken(document: Document) -> str:
    archived = " (it is archived)" if document.archived else ""
    return (
        f"Document {document.id} has this name{archived}. This sync did not create it, and Dify would overwrite it. "
        "Rename it, disable it, or let the sync take it over (adopt=True)."
    )


def table(plan: Sequence[Planned], limit: int = 20) -> str:
    """Return a plan for people: the number of kept documents, and a line for everything else, up to a limit."""
    rows = [("", "document", "why")]
    for move in Move:
        of_it = [planned for planned in plan if planned.move is move]
        if not of_it:
            continue
        shown = [] if move is Move.KEEP else of_it[:limit]
        rows.append((f"{move.value} {len(of_it):,}", "", ""))
        rows += [("", planned.name, planned.why) for planned in shown]
        if more := len(of_it) - len(shown) if shown else 0:
            rows.append(("", f"and {more:,} more", ""))
    rows = rows if any(row[1] for row in rows[1:]) else rows[1:]
    first = max((len(row[0]) for row in rows), default=0)
    second = min(60, max((len(row[1]) for row in rows), default=0))
    return "\n".join(f"  {a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows)
