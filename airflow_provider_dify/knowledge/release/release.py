"""Replaces old documents with a new version, or leaves everything as it was.

The new documents are in search, which is proven, before the first old one leaves. If a step fails, all changes are
undone. The previous flags are stored in the documents themselves (see :mod:`journal`), so that any process can continue
or undo the release of a killed task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, TypeAlias

from airflow_provider_dify.exceptions import DifyError, DifyKilledError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.conversation import is_long
from airflow_provider_dify.knowledge.deletion.deletion import Deletion
from airflow_provider_dify.knowledge.documents import Flags
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.metadata.update import MetadataChange
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.release.journal import Side, Version, clear_journal, missing_entries
from airflow_provider_dify.knowledge.release.known import Known
from airflow_provider_dify.knowledge.release.manifest import (
    Manifest,
    ReleaseState,
    changed_meanwhile,
    missing_documents,
    not_released,
)
from airflow_provider_dify.knowledge.release.options import ReleaseOptions, Retire, Until
from airflow_provider_dify.knowledge.release.replacement import Replacement
from airflow_provider_dify.knowledge.release.switch import can_change, flags_of, retired
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.retrieval.check import RetrievalCheck
from airflow_provider_dify.knowledge.selection.choice import Choice, SelectedDocuments
from airflow_provider_dify.knowledge.selection.guards import Guard
from airflow_provider_dify.knowledge.status.chunks import DisabledChunks
from airflow_provider_dify.knowledge.text.counts import if_one, number_of

#: Gets its deadline, and raises if the release must not continue.
Gate: TypeAlias = Callable[[Deadline], None]
_LIVE = Flags(enabled=True, archived=False)
_OFF = Flags(enabled=False, archived=False)
#: If an earlier try left the release in one of these states, its manifest has the previous flags.
_UNFINISHED = frozenset(ReleaseState) - {ReleaseState.NOT_BEGUN, ReleaseState.UNDONE}
#: Seconds in which queries may fail at first: search was proven to have the documents.
_SECONDS_FOR_QUERIES = 60.0
#: After a wait of this many seconds, the documents are read again before anything is changed.
_LONG_AGO = 1.0


class Release:
    """A release, from the first read to the proof, or back.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment, even if the
    task is killed halfway.

    :param dataset_id: UUID of the knowledge base.
    :param replacement: The new documents, and what they replace.
    :param version: Its identity. A retry needs the same name to find the previous flags.
    :param options: How it is done.
    :param before: The manifest of an earlier try, if there is one.
    :param keep: Called before anything is changed or deleted, to store :meth:`report` outside of the process.
    :param gate: Called when the new version is in search, before the old one leaves. If it raises a ``DifyError``, the
        release is undone. It needs a worker: in the triggerer, a release stops before it.
    :raises DifyInputError: An argument is invalid.
    """

    kind: ClassVar[str] = "release"

    def __init__(
        self,
        dataset_id: object,
        replacement: Replacement,
        version: Version,
        options: ReleaseOptions,
        *,
        before: Manifest | None = None,
        keep: Callable[[], None] = lambda: None,
        gate: Gate | None = None,
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.version = version
        self.replacement = replacement
        self.options = options
        self._before = before if before and before.release == str(version) and before.state in _UNFINISHED else None
        self._keep = keep
        self._gate = gate
        #: Whether it stops in front of its gate.
        self._stops_at_gate = False
        self._check = self._queries()
        self._wait = IndexingWait(
            self.dataset_id,
            document_ids=replacement.new,
            stall_timeout=options.stall_timeout,
            poll_interval=options.poll_interval,
        )
        self._old: tuple[str, ...] = self._before.deleted if self._before else ()
        self._total: int | None = None
        self._known = Known(self.dataset_id, options.changes)
        self._previous: dict[str, Flags] = {}
        self._missing: tuple[str, ...] = self._before.missing if self._before else ()
        self._state = ReleaseState.NOT_BEGUN
        self._step = "check"
        self._chunks = DisabledChunks(self.dataset_id, self._before.disabled_chunks if self._before else None)
        self._deletion: Deletion | None = None
        self._deleted: set[str] = set(self._before.deleted) if self._before else set()

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents read so far, by id."""
        return self._known.names

    def to_json(self) -> dict[str, JSON]:
        """Return everything needed to continue in another process."""
        # Documents that filters selected may be deleted afterwards.
        tolerate = ("missing",) if self.replacement.selects else self.options.tolerate
        options = replace(self.options, tolerate=tolerate)
        return {"manifest": self.report().pack(), "options": options.to_json(), "gate": self._gate is not None}

    @classmethod
    def from_json(cls, data: JSON) -> Release:
        """Return a release that continues where :meth:`to_json` was called."""
        state = Fields(data)
        manifest = Manifest.unpack(state.get("manifest"))
        options = ReleaseOptions.from_json(state.get("options"))
        old = Choice(manifest.old) if manifest.old else None
        fresh = frozenset(i for i in manifest.new if manifest.previous.get(i) == _OFF)
        replacement = Replacement(manifest.new, old, Guard(), none=old is None, fresh=fresh)
        release = cls(manifest.dataset_id, replacement, Version.read(manifest.release), options, before=manifest)
        release._stops_at_gate = state.flag("gate")
        return release

    @property
    def goes_back(self) -> bool:
        """Whether a step failed and changes are being undone."""
        return self._state in (ReleaseState.PARTLY_UNDONE, ReleaseState.UNDONE)

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere instead of waiting here."""
        return is_long(pause) and not self.goes_back

    def report(self) -> Manifest:
        """Return what was done so far; complete and consistent at any moment."""
        now = self._known.flags()
        deleted = self._deleted_by_now()
        changed = [i for i, flags in self._previous.items() if i in deleted or now.get(i, flags) != flags]
        goes_back = self.goes_back
        return Manifest(
            self.dataset_id,
            str(self.version),
            self._state,
            self._step,
            self.options.retire,
            new=self.replacement.new,
            old=self._old,
            enabled=tuple(i for i in self.replacement.new if i in changed),
            retired=tuple(i for i in self._old if i in changed),
            deleted=tuple(i for i in self._old if i in deleted),
            missing=self._missing,
            not_undone=tuple(i for i in self._previous if goes_back and (i in changed or i in self._known.errors)),
            previous=self._previous,
            errors=self._known.errors,
            dry_run=self.options.dry_run,
            disabled_chunks=self._chunks.noted,
        )

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[Manifest]:
        """Release the documents.

        :param deadline: How long to wait for documents that are busy, being indexed, or not yet in search. Undoing may
            take the same time again.
        :param retries: How failed requests are retried.
        :return: The manifest.
        :raises DifyReleaseUndone: A step failed, and everything is as it was before.
        :raises DifyReleaseIncomplete: A step failed, and not everything could be undone; or not everything is deleted.
        :raises DifyError: Something failed before anything was changed; the manifest is its ``report``.
        """
        try:
            yield from self._go_forward(deadline, retries)
        except DifyKilledError as error:
            error.report = self.report()
            raise
        except DifyError as error:
            if self._state is ReleaseState.RELEASING:
                yield from self._go_back(error, deadline, retries)
            elif self._state is ReleaseState.NOT_BEGUN:
                error.report = self.report()
                raise
            raise not_released(error, self.report()) from None
        return self.report()

    def _go_forward(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        progress = Progress(deadline)
        yield from self._find(progress)
        yield from self._look()
        self._check_what_is_there()
        yield Note(self._plan())
        if staying := self._staying():
            yield Note(
                f"In search already, and still there after an undo: {number_of(staying, 'new document')}. If an "
                "ingestion has just created them, pass its whole report as document_ids, not only the ids.",
                logging.WARNING,
            )
        if self.options.dry_run:
            yield Note("This is a dry run: nothing was changed.")
            return
        yield from self._wait_for_indexing(deadline)
        yield from self._note_chunks(deadline)
        yield from self._write_journal(deadline, retries)
        if self._state is not ReleaseState.PARTLY_DELETED:
            self._state = ReleaseState.RELEASING
        self._keep()
        yield from self._enable(deadline, retries)
        can_go_back = self._state is ReleaseState.RELEASING
        if can_go_back:
            self._pass_gate(deadline)
        if self.options.until == Until.ENABLE.value or (can_go_back and self._stops_at_gate):
            self._state = ReleaseState.ENABLED
            return
        yield from self._retire(deadline, retries)
        self._state = ReleaseState.RELEASED

    def _find(self, progress: Progress) -> Flow[None]:
        """Find the documents to replace. This happens once: documents that are added later are not selected."""
        chosen: SelectedDocuments = yield from self.replacement.find(self.dataset_id, self.version, progress)
        self._old = tuple(dict.fromkeys((*chosen.ids, *self._old)))
        self._total = chosen.total
        self._known.total = len(self.replacement.new) + len(self._old)

    def _look(self) -> Flow[None]:
        """Read the flags of all documents, and what they were before an earlier try."""
        yield from self._known.read((*self.replacement.new, *self._old))
        kept = self._before.previous if self._before else {}
        for document_id in (*self.replacement.new, *self._old):
            if document := self._known.documents.get(document_id):
                journal = self.version.journal_of(document)
                fresh = document_id in self.replacement.fresh and document.belongs_in_search
                before = _OFF if fresh else document.flags
                self._previous[document_id] = journal[1] if journal else before
                if journal and journal[1] != document.flags:
                    self._state = ReleaseState.RELEASING
            elif document_id in kept:
                self._previous[document_id] = kept[document_id]

    def _check_what_is_there(self) -> None:
        self.replacement.guard.check(len(self._old), self._total)
        gone = [i for i in (*self.replacement.new, *self._old) if i not in self._known.documents]
        if self.options.retire == Retire.DELETE.value and self._only_deleting_is_left():
            # It existed when the release began: the release or somebody else has deleted it.
            self._deleted.update(i for i in gone if i in self._old and i not in self._missing)
            if self._deleted:
                self._state = ReleaseState.PARTLY_DELETED
        self._missing = tuple(i for i in gone if i not in self._deleted)
        tolerated = set(self._old) if self.options.tolerate or self.replacement.selects else set()
        if fatal := tuple(i for i in self._missing if i not in tolerated):
            raise missing_documents(fatal, self.dataset_id, self.report())

    def _only_deleting_is_left(self) -> bool:
        """Whether an earlier try has done everything except deleting."""
        new, old = self._known.of(self.replacement.new), self._known.of(self._old)
        begun = any(self.version.journal_of(document) for document in new)
        return begun and all(d.belongs_in_search for d in new) and not any(d.belongs_in_search for d in old)

    def _plan(self) -> str:
        new = len(self.replacement.new)
        live = sum(d.belongs_in_search for d in self._known.of(self.replacement.new))
        found = sum(d.belongs_in_search for d in self._known.of(self._old))
        return (
            f"Release {self.version}: {number_of(new, 'new document')} ({live} in search already) "
            f"{if_one(new, 'replaces', 'replace')} {number_of(len(self._old), 'old document')} ({found} in search); "
            f"retire: {self.options.retire}."
        )

    def _staying(self) -> int:
        """Return how many new documents an undo leaves in search, because they were in search before."""
        flags = (self._previous.get(document_id) for document_id in self.replacement.new)
        return sum(one is not None and one.in_search for one in flags)

    def _wait_for_indexing(self, deadline: Deadline) -> Flow[None]:
        self._step = "index"
        began = deadline.elapsed
        yield from self._wait.flow(deadline)
        if deadline.elapsed - began > _LONG_AGO:
            yield from self._look()
            self._check_what_is_there()

    def _note_chunks(self, deadline: Deadline) -> Flow[None]:
        """Remember the chunks that a person disabled: Dify enables them if it brings an old document back."""
        if self.options.until == Until.ENABLE.value:
            return
        for document in self._known.of(self._old):
            if chunks := self.version.chunks_of(document):
                self._chunks.noted[document.id] = chunks
        fresh = [d for d in self._known.of(self._old) if d.belongs_in_search and not self.version.journal_of(d)]
        known = self._chunks.noted
        yield from self._chunks.note([d.id for d in fresh if d.id not in known], Progress(deadline))

    def _write_journal(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        self._step = "enable"
        sides = {**dict.fromkeys(self._old, Side.OLD), **dict.fromkeys(self.replacement.new, Side.NEW)}
        entries = missing_entries(self.version, self._known.documents, sides, self._previous, self._chunks.noted)
        if entries:
            yield Note(f"Saving the flags of {number_of(len(entries))} in metadata, so that a retry can restore them.")
            change = MetadataChange(self.dataset_id, entries)
            yield from change.flow(deadline, retries)

    def _enable(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        switch = self._known.switch_to(dict.fromkeys(self.replacement.new, _LIVE))
        yield from switch.bring_in(deadline, retries)
        self._known.settle()
        if self._check is None:
            return
        self._step = "search"
        report = yield from self._check.flow(deadline.within(_SECONDS_FOR_QUERIES))
        yield Note("\n".join(["What the queries returned:", *report.table()]))
        report.raise_for_failures()

    def _pass_gate(self, deadline: Deadline) -> None:
        if self._gate is None:
            return
        self._step = "answers"
        self._gate(deadline)
        self._gate = None

    def _retire(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        self._step = "retire"
        targets = {d.id: retired(d, self.options.retire) for d in self._known.of(self._old) if can_change(d)}
        switch = self._known.switch_to(targets, done=len(self.replacement.new))
        yield from switch.take_out(deadline, retries)
        yield from self._prove({**dict.fromkeys(self.replacement.new, _LIVE), **targets})
        if self.options.retire == Retire.DELETE.value and self._old:
            yield from self._delete(deadline, retries)

    def _prove(self, targets: Mapping[str, Flags]) -> Flow[None]:
        """Read everything back: a worker that fails undoes a change long after Dify's response."""
        step, self._step = self._step, "prove"
        yield from self._known.read(targets)
        now = flags_of(self._known.documents)
        unlike = [i for i, flags in targets.items() if now.get(i) != flags]
        unlike += [d.id for d in self._known.of(self.replacement.new) if not d.indexed and d.id not in unlike]
        if unlike:
            raise changed_meanwhile(tuple(unlike), self.report())
        self._step = step

    def _delete(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        self._step = "delete"
        self._keep()
        left = [i for i in self._old if i in self._known.documents]
        if not left:
            return
        # This cannot be undone. Search has the new version already.
        self._state = ReleaseState.PARTLY_DELETED
        self._deletion = Deletion(self.dataset_id, left, poll_interval=self.options.poll_interval)
        try:
            yield from self._deletion.flow(deadline, retries)
        finally:
            self._known.errors.update(self._deletion.report().errors)

    def _go_back(self, cause: DifyError, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Undo all changes, and check whether everything is as before."""
        yield Note(f"Undoing the release, because its step '{self._step}' failed: {cause.message}", logging.WARNING)
        self._state = ReleaseState.PARTLY_UNDONE
        yield from self._known.undo(self._previous, self._chunks, deadline, retries)
        if not self.report().not_undone and not self._known.errors:
            self._state = ReleaseState.UNDONE
            yield from clear_journal(self.dataset_id, self.version, self._known.documents, deadline, retries)

    def _deleted_by_now(self) -> set[str]:
        if self._deletion is None:
            return self._deleted
        report = self._deletion.report()
        return self._deleted | set(report.deleted) | set(report.missing)

    def _queries(self) -> RetrievalCheck | None:
        queries = inputs.literal(self.options.queries)
        if queries in (None, "", []):
            return None
        return RetrievalCheck(self.dataset_id, queries, poll_interval=self.options.poll_interval)
