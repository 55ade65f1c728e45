"""What has to be done so that a knowledge base holds what a source holds: decided before anything is sent.

A plain function of what is wanted and of what is there. What a sync may touch are the documents that it made, and no
others; see :mod:`airflow_provider_dify.knowledge.sync.sync`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.knowledge.documents import Action, Document
from airflow_provider_dify.knowledge.ingest.options import HASH_FIELD


class Retire(str, Enum):
    """What becomes of a document whose file is gone."""

    ARCHIVE = "archive"
    DISABLE = "disable"
    DELETE = "delete"
    #: It stays as it is.
    KEEP = "keep"

    @property
    def action(self) -> Action | None:
        """The change of status that it is, if it is one."""
        return Action(self.value) if self in (Retire.ARCHIVE, Retire.DISABLE) else None


class Move(str, Enum):
    """What is done about a file or a document. The order is that of the table in the log."""

    CREATE = "create"
    UPDATE = "update"
    RENAME = "rename"
    RESTORE = "restore"
    RETIRE = "retire"
    #: It cannot be done: a document that the sync did not make has the name.
    REFUSE = "refuse"
    #: The file is there, and cannot be read or cannot become a document: its document stays.
    HOLD = "hold"
    #: Its file is gone, and it stays all the same.
    LEAVE = "leave"
    KEEP = "keep"

    @property
    def sends(self) -> bool:
        """Whether a content is sent."""
        return self in (Move.CREATE, Move.UPDATE, Move.RENAME)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of the source.

    :param name: Name of its document.
    :param digest: SHA-256 of its content; ``None`` where there is a problem.
    :param problem: Why it cannot become a document.
    :param readable: Whether it can be read. Where it cannot, its problem may pass.
    """

    name: str
    digest: str | None
    problem: str | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """What is done about one file or document, and why.

    :param move: What.
    :param name: Name that the document has, or gets.
    :param why: Why, for people.
    :param document: The document that it is about; ``None`` where there is none yet.
    :param namesakes: All documents that have the name now.
    :param clear: Ids of archived documents that have to be switched off first: Dify would overwrite them.
    """

    move: Move
    name: str
    why: str = ""
    document: Document | None = None
    namesakes: tuple[Document, ...] = ()
    clear: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether a document gets another content or name in place. Dify updates none that has failed."""
        return self.move.sends and self.document is not None and not self.document.failed


def digest_of(document: Document) -> str | None:
    """Return the digest of a document's content, where it is known."""
    stored = document.metadata.get(HASH_FIELD)
    return None if stored is None else str(stored)


def make_plan(
    wanted: Sequence[Wanted],
    documents: Sequence[Document],
    ours: Collection[str],
    *,
    retire: Retire,
    unproven: bool = False,
) -> tuple[Planned, ...]:
    """Decide about each file, and about each document that the sync made and that is in use.

    :param wanted: The files; no two have the same name.
    :param documents: The documents that the sync made, and all that have the name of a file.
    :param ours: Ids of those that it made.
    :param retire: What becomes of documents whose files are gone.
    :param unproven: Whether an earlier run may have retired documents and not seen search follow: they are named again.
    :return: Files in their order, then documents.
    """
    there = _There(documents, ours)
    names = {one.name for one in wanted}
    spare = _Spare(d for d in there.ours if _in_use(d) and d.name not in names)
    found = {one.name: _about_namesake(one, there) for one in wanted}
    about_files = [found[one.name] or _about_new(one, there, spare) for one in wanted]
    taken = {planned.document.id for planned in about_files if planned.document}
    held = {planned.name for planned in about_files if planned.move is Move.HOLD}
    left = [d for d in there.ours if d.id not in taken and d.name not in held]
    rest = [_about_left(d, retire, gone=d.name not in names) for d in left if d.belongs_in_search]
    if unproven and retire.action:
        rest += [_again(d) for d in left if d.name not in names and d.indexed and _is_retired(d, retire.action)]
    return (*about_files, *sorted(rest, key=lambda planned: planned.name))


class _There:
    """The documents that are there, by name."""

    def __init__(self, documents: Iterable[Document], ours: Collection[str]) -> None:
        self.ours: list[Document] = []
        self._by_name: dict[str, list[Document]] = {}
        self._ids = ours
        for document in documents:
            self._by_name.setdefault(document.name, []).append(document)
            if document.id in ours:
                self.ours.append(document)

    def named(self, name: str) -> tuple[Document, ...]:
        """All that have a name."""
        return tuple(self._by_name.get(name, ()))

    def ours_named(self, name: str) -> list[Document]:
        """Those that the sync made."""
        return [document for document in self.named(name) if document.id in self._ids]

    def in_the_way(self, name: str) -> list[Document]:
        """Those that the sync did not make and that Dify would overwrite, were one of that name created."""
        return [document for document in self.named(name) if document.id not in self._ids and document.enabled]


@dataclass
class _Spare:
    """Documents in use whose files are gone: one of the same content only needs another name."""

    documents: Iterable[Document]
    _by_digest: dict[str, list[Document]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for document in sorted(self.documents, key=lambda document: (document.name, document.id), reverse=True):
            if digest := digest_of(document):
                self._by_digest.setdefault(digest, []).append(document)

    def take(self, digest: str | None) -> Document | None:
        """Return one of that content, which is not spare any more."""
        documents = self._by_digest.get(digest or "")
        return documents.pop() if documents else None


def _about_namesake(one: Wanted, there: _There) -> Planned | None:
    """Decide about a file by the documents of its name that the sync made; ``None`` where none of them can be used."""
    ours, all_of_them = there.ours_named(one.name), there.named(one.name)
    live = [document for document in ours if document.belongs_in_search]
    if one.problem:
        return Planned(Move.HOLD, one.name, one.problem, next(iter(live or ours), None), all_of_them)
    same = [document for document in ours if digest_of(document) == one.digest]
    if good := [document for document in same if _in_use(document)]:
        return Planned(Move.KEEP, one.name, "", good[0], all_of_them)
    if live:
        return _update(one, next(filter(_in_use, live), live[0]), there)
    if off := [document for document in same if document.indexed]:
        return Planned(Move.RESTORE, one.name, f"it is {_state(off[0])}, and its content is the same", off[0])
    return None


def _update(one: Wanted, document: Document, there: _There) -> Planned:
    namesakes = there.named(one.name)
    if not document.failed:
        return Planned(Move.UPDATE, one.name, "its content differs", document, namesakes)
    # Dify updates no document that has failed: it replaces it as it creates, or another one of that name.
    if in_the_way := there.in_the_way(one.name):
        return Planned(Move.REFUSE, one.name, _taken(in_the_way[0]), document, namesakes)
    return Planned(Move.UPDATE, one.name, "its indexing failed", document, namesakes, _to_clear(one.name, there))


def _about_new(one: Wanted, there: _There, spare: _Spare) -> Planned:
    """Decide about a file of whose name the sync has no document that it could use."""
    namesakes = there.named(one.name)
    if document := spare.take(one.digest):
        return Planned(Move.RENAME, one.name, f"it was '{document.name}'", document, namesakes)
    if in_the_way := there.in_the_way(one.name):
        return Planned(Move.REFUSE, one.name, _taken(in_the_way[0]), None, namesakes)
    old = there.ours_named(one.name)
    why = f"document {old[0].id} is {_state(old[0])}, and its content differs" if old else "it is new"
    return Planned(Move.CREATE, one.name, why, None, namesakes, _to_clear(one.name, there))


def _to_clear(name: str, there: _There) -> tuple[str, ...]:
    return tuple(document.id for document in there.ours_named(name) if document.enabled and document.archived)


def _about_left(document: Document, retire: Retire, *, gone: bool) -> Planned:
    """Decide about a document in use for which there is no file."""
    why = "its file is gone" if gone else "another document stands for its file"
    if retire is Retire.KEEP:
        return Planned(Move.LEAVE, document.name, why, document)
    if retire.action and not _in_use(document):
        stuck = "its indexing failed" if document.failed else "its indexing is paused"
        return Planned(Move.LEAVE, document.name, f"{why}; {stuck}, so Dify cannot {retire.value} it", document)
    return Planned(Move.RETIRE, document.name, why, document)


def _again(document: Document) -> Planned:
    return Planned(Move.RETIRE, document.name, "it is out of use; whether search follows was not seen", document)


def _is_retired(document: Document, action: Action) -> bool:
    return not document.belongs_in_search and action.reached(document)


def _in_use(document: Document) -> bool:
    """Whether search finds a document, or will when its indexing is through."""
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
    """Return a plan for people: what is kept as a number, of everything else a line for each, up to a limit."""
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
    first = max(len(row[0]) for row in rows)
    second = min(60, max(len(row[1]) for row in rows))
    return "\n".join(f"  {a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows)
