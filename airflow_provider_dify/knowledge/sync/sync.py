"""Syncs a knowledge base with a source, however often it is tried.

**Which documents a sync may touch.** Only those with its name in their metadata (:data:`SOURCE_FIELD`). So several
syncs can share a knowledge base, and documents that people created by hand survive. If a file has the name of such a
document, the file is refused, because Dify would overwrite the document.

**What in sync means.** Each file has one document in use with its name and its content, which is identified by the
SHA-256 in the document's metadata. Each run reads the files for it. A modification time or an ETag would save that, but
neither proves that a content is the same (a copy keeps times, a storage computes ETags by parts), and nobody would
notice a wrong guess.

**Order.** New contents are sent and indexed first, outdated documents are retired last, so that no content is out of
search in between, except one that is replaced while Dify indexes it again. Dify cannot change a name alone (400, "Data
source or Process rule is required"), so a document is renamed by sending the same content under the new name: it keeps
its id, and is indexed again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyError, DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, a_list_or_nothing
from airflow_provider_dify.knowledge.documents import Action, Dataset, Document
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.ingest.arrival import Arrival
from airflow_provider_dify.knowledge.ingest.contents import Source
from airflow_provider_dify.knowledge.ingest.delivery import Delivery
from airflow_provider_dify.knowledge.ingest.options import HASH_FIELD, DocumentOptions
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.ingest.sender import ContentSender, Item
from airflow_provider_dify.knowledge.ingest.target import check_latest_rule, check_replacing, read_target
from airflow_provider_dify.knowledge.metadata.fields import check_fields, check_own_values, kinds_of
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.report import StatusReport
from airflow_provider_dify.knowledge.sync import journal as sync_journal
from airflow_provider_dify.knowledge.sync.changes import Change, Changes, a_list_of_pairs
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.plan import Move, Planned, Retire, table
from airflow_provider_dify.knowledge.sync.report import SyncEntry, SyncOutcome, SyncReport
from airflow_provider_dify.knowledge.sync.steps import changes_of, first_entry, item_of, so_far
from airflow_provider_dify.knowledge.sync.survey import SOURCE_FIELD, SyncSurvey, checked_name, read_files
from airflow_provider_dify.knowledge.text.counts import number_of

#: What to do instead of replacing contents.
_NEW_INSTEAD = "disable these documents first: the sync then creates new ones next to them."
#: How many characters of a digest are kept to recognize it in another process.
_DIGEST_KEPT = 8


class Sync:
    """A sync of a knowledge base with a source, from the first read to the proof.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment, even if the
    task is killed halfway.

    :param dataset_id: UUID of the knowledge base.
    :param sources: The files; their names are those of the documents.
    :param sync_source: Name of the sync, stored in its documents.
    :param options: How it is done.
    :param before: The state to continue from, if it started in another process: the result of :meth:`state`.
    :raises DifyInputError: An argument is invalid, or two files would become one document.
    """

    def __init__(
        self,
        dataset_id: object,
        sources: Sequence[Source],
        options: SyncOptions | None = None,
        *,
        sync_source: object,
        before: Mapping[str, JSON] | None = None,
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.sync_source = checked_name(sync_source)
        self._options = inputs.given(options, SyncOptions, "options")
        self._retire = Retire(self._options.retire)
        self._sources = _by_name(sources)
        self._entries: list[SyncEntry] = []
        self._items: dict[int, Item] = {}
        own = {HASH_FIELD: "the digests", SOURCE_FIELD: "the name of the sync"}
        self._metadata = check_own_values(self._options.metadata, own)
        values = {**self._metadata, SOURCE_FIELD: self.sync_source}
        self._delivery = Delivery(self.dataset_id, self._options, hash_field=HASH_FIELD, values=values)
        self._arrival = Arrival(self.dataset_id, self._options)
        #: Whether an earlier part of this run has checked that search returns the documents.
        self._arrived = False
        self._changes = Changes(self.dataset_id, (), self._options)
        self._journal: tuple[str, ...] = ()
        #: Why indexed documents are not in the expected state, by id.
        self._wrong: dict[str, tuple[IngestOutcome, str]] = {}
        self._goes_on = before is not None
        #: Whether each created document has the name of the sync.
        self._marked = True
        self._repaired_before = 0
        if before is not None:
            self._restore(before)

    def report(self) -> SyncReport:
        """Return the outcome of each file and document so far; complete and consistent at any moment."""
        bad = {**self._delivery.errors, **self._arrival.ended, **self._delivery.watch.ended, **self._wrong}
        results, sent = self._changes.results, self._items
        entries = tuple(so_far(entry, sent.get(number), bad, results) for number, entry in enumerate(self._entries))
        return SyncReport(self.dataset_id, self.sync_source, entries, self._options.dry_run, self._repaired())

    @property
    def names(self) -> dict[str, str]:
        """The names of the documents, by id."""
        return {entry.document_id: entry.name for entry in self._entries if entry.document_id}

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to wait elsewhere: for indexing, or for search to reflect a change of status."""
        change = self._changes.under_way
        return self._delivery.watch.awaited or (change is not None and change.leaves_at(pause))

    def waits_for(self) -> StatusChange | IndexingWait:
        """Return what to wait for elsewhere after :meth:`flow` left. Pass its result to :meth:`take`
        before continuing.
        """
        if self._changes.under_way:
            return self._changes.under_way
        return self._delivery.watch.elsewhere(len(self._entries))

    def take(self, report: Mapping[str, JSON], error: DifyError | None) -> None:
        """Take the result of the wait elsewhere.

        :param report: Its report, as plain JSON.
        :param error: How it failed.
        :raises DifyError: Nothing is known about the documents: requests to Dify failed.
        """
        if self._active:
            known = self._delivery.watch.take(error)
        else:
            self._changes.waited(StatusReport.from_json(report))
            known = isinstance(error, DifyDocumentStatusError)
        if error and not known:
            error.report = self.report()
            raise error

    @property
    def _active(self) -> list[str]:
        """The documents that are being indexed."""
        return list(self._delivery.watch.active)

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[SyncReport]:
        """Sync the knowledge base.

        :param deadline: How long to wait for documents that are being indexed, busy, or not yet reflected by search.
        :param retries: How failed requests are retried.
        :return: The report; see :meth:`SyncReport.raise_for_outcomes`.
        :raises DifySourceError: No file can become a document; nothing was changed.
        :raises DifyGuardError: A limit would be exceeded; nothing was changed.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        progress = Progress(deadline)
        try:
            if not self._goes_on:
                yield from self._begin(deadline, retries, progress)
            if not self._options.dry_run:
                yield from self._index(deadline, progress)
                yield from self._arrive(deadline, retries, progress)
                self._changes.total = len(self._entries)
                yield from self._change(deadline, retries)
                yield from self._check_kept(deadline, retries, progress)
                yield from self._end()
        except DifyError as error:
            error.report = self.report()
            raise
        return self.report()

    def state(self) -> dict[str, JSON]:
        """Return what is needed to continue, as ``before`` of another sync: plain JSON, without secrets."""
        entries, expected = self.report().entries, self._delivery.expected
        digests = [expected.get(entry.document_id or "") for entry in entries]
        return {
            "dataset_id": self.dataset_id,
            "entries": [[entry.outcome.value, entry.to_json()] for entry in entries],
            "digests": [digest and digest[:_DIGEST_KEPT] for digest in digests],
            "active": self._active,
            "changes": self._changes.to_json(),
            "journal": list(self._journal),
            "marked": self._marked,
            "arrived": self._arrived,
            "repaired": self._repaired(),
        }

    def _restore(self, before: Mapping[str, JSON]) -> None:
        state = Fields(before)
        pairs = state.read("entries", a_list_of_pairs)
        self._entries = [SyncEntry.from_json(entry, SyncOutcome(str(outcome))) for outcome, entry in pairs]
        self._delivery.watch.active.update(dict.fromkeys(state.texts("active"), "waiting"))
        for entry, digest in zip(self._entries, state.read("digests", a_list_or_nothing) or (), strict=False):
            if entry.outcome.good and entry.document_id is not None and isinstance(digest, str):
                self._delivery.expected[entry.document_id] = digest
        self._changes = Changes.from_json(state.get("changes"), self.dataset_id, self._options)
        self._arrived, self._repaired_before = state.flag("arrived"), state.count("repaired")
        self._journal = tuple(state.texts("journal"))
        self._marked = state.flag("marked")

    def _begin(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        """Read, plan, and send."""
        wanted = yield from read_files(self._sources.values(), progress)
        dataset, options = yield from read_target(self.dataset_id, self._options)
        survey = SyncSurvey(dataset, self.sync_source, wanted, adopt=self._options.adopt)
        yield from survey.flow(progress)
        plan = survey.plan(self._retire)
        unreadable = {one.name for one in wanted if not one.readable}
        self._entries = [first_entry(planned, readable=planned.name not in unreadable) for planned in plan]
        yield from self._tell(plan, survey)
        self._options.check_plan(plan, survey.in_use)
        yield from self._check_target(plan, dataset, options)
        if survey.adopted or any(planned.move.sends for planned in plan):
            own = {SOURCE_FIELD: "", HASH_FIELD: ""}
            yield from check_fields(self.dataset_id, kinds_of([self._metadata, own]))
        if self._options.dry_run:
            yield Note("This is a dry run: nothing was changed.")
            return
        sender = ContentSender(dataset, options, retries, deadline)
        yield from self._prepare(plan, survey, sender)
        yield from self._delivery.flow([item for item in self._items.values() if not item.outcome], sender, progress)
        self._marked = not self._delivery.errors

    def _check_target(self, plan: Sequence[Planned], dataset: Dataset, options: DocumentOptions) -> Flow[None]:
        """Check that the knowledge base supports the plan."""
        replaced = [one.document.name for one in plan if one.document and one.replaces]
        check_replacing(dataset, replaced, _NEW_INSTEAD)
        if any(one.move.sends for one in plan):
            yield from check_latest_rule(dataset, options)

    def _tell(self, plan: Sequence[Planned], survey: SyncSurvey) -> Flow[None]:
        yield Note(f"Plan of sync '{self.sync_source}':\n{table(plan)}")
        if strays := survey.strays:
            names = ", ".join(f"'{document.name}' ({document.id})" for document in strays[:5])
            text = (
                f"{number_of(len(strays))} of unknown origin appeared after a run of this sync was interrupted, and "
                f"will stay: {names}{' and others' if len(strays) > 5 else ''}."
            )
            yield Note(text, logging.WARNING)

    def _prepare(self, plan: Sequence[Planned], survey: SyncSurvey, sender: ContentSender) -> Flow[None]:
        """Make sure that a later run can continue after a kill, and that Dify overwrites nothing."""
        for planned in plan:
            if planned.document and (planned.move is Move.KEEP or planned.document.id in survey.adopted):
                self._delivery.there(planned.document)
        yield from self._delivery.mark(sender)
        changes = list(changes_of(plan, self._retire, restores=survey.journal.restores))
        self._changes = Changes(self.dataset_id, changes, self._options)
        self._journal = survey.journal.field_ids
        if changes or any(planned.move is Move.CREATE for planned in plan):
            yield from self._begin_journal(survey, changes)
        blocked = yield from self._clear(plan, sender)
        for number, planned in enumerate(plan):
            if planned.move.sends:
                self._items[number] = item = item_of(planned, self._sources[planned.name])
                if why := next((blocked[i] for i in planned.clear if i in blocked), None):
                    item.end(IngestOutcome.FAILED, why)

    def _begin_journal(self, survey: SyncSurvey, changes: Sequence[Change]) -> Flow[None]:
        restores = any(change.action and change.action.adds for change in changes)
        field_id = yield from sync_journal.begin(survey.dataset, self.sync_source, survey.position, restores=restores)
        old = [one for one in self._journal if one != field_id]
        self._journal = (*self._journal, *([] if field_id in self._journal else [field_id]))
        yield from sync_journal.end(self.dataset_id, old)
        self._journal = (field_id,)

    def _clear(self, plan: Sequence[Planned], sender: ContentSender) -> Flow[dict[str, str]]:
        """Disable archived documents whose names are needed; return errors by id."""
        ids = tuple(i for planned in plan for i in planned.clear)
        clearing = Changes(self.dataset_id, [Change(Action.DISABLE, ids)], self._options)
        yield from clearing.flow(sender.deadline, sender.retries)
        why = "Document {} has this name. It is archived, Dify would overwrite it, and disabling it failed: {}"
        return {i: why.format(i, error) for i, error in clearing.results.items() if error}

    def _index(self, deadline: Deadline, progress: Progress) -> Flow[None]:
        """Wait until everything that was sent is indexed, and check the result."""
        watch = self._delivery.watch
        yield from watch.finish(deadline, progress)
        names = {entry.document_id: entry.name for entry in self.report().entries if entry.move.sends}
        for document in watch.through.values():
            if (error := _wrong(document, names.get(document.id, document.name))) is not None:
                self._wrong[document.id] = IngestOutcome.FAILED, error

    def _arrive(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        """Prove that search returns what was sent, before anything is retired."""
        if self._arrived:
            return
        brought = self.report().ids(SyncOutcome.CREATED, SyncOutcome.UPDATED, SyncOutcome.RENAMED)
        yield from self._arrival.flow(brought, deadline, retries, progress, in_use=brought)
        self._arrived = True

    def _check_kept(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        """Check at the end that good documents still exist, are in use, and are returned by search."""
        report = self.report()
        ids = report.ids(SyncOutcome.KEPT)
        yield from self._arrival.flow((), deadline, retries, progress, kept=ids, in_use=ids)

    def _repaired(self) -> int:
        return self._repaired_before + self._arrival.repaired + self._changes.repaired

    def _change(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Restore and retire documents, but only after all new contents are in Dify."""
        if any(e.move.sends and e.outcome is SyncOutcome.NOT_ATTEMPTED for e in self.report().entries):
            return
        yield from self._changes.flow(deadline, retries)

    def _end(self) -> Flow[None]:
        """Check the metadata, and remove the journal unless the next run has something to continue."""
        if self._delivery.acted or self._goes_on or self._changes.results:
            yield from self._delivery.prove()
        self._marked = self._marked and not self._delivery.errors
        if not self._journal:
            return
        entries = self.report().entries
        open_end = any(entry.outcome is SyncOutcome.NOT_ATTEMPTED for entry in entries)
        if self._marked and not open_end and not any(self._changes.results.values()):
            yield from sync_journal.end(self.dataset_id, self._journal)
            self._journal = ()


def _by_name(sources: Sequence[Source]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for source in sources:
        if (other := found.setdefault(source.name, source)) is not source:
            raise DifyInputError(
                f"{other.place} and {source.place} would both become the document {inputs.show(source.name)}. Rename "
                "one of them, or exclude it."
            )
    return found


def _wrong(document: Document, name: str) -> str | None:
    """Return what is wrong with an indexed document, by its name and flags."""
    if document.name != name:
        return f"Read back from Dify, its name is {inputs.show(document.name)}."
    if not document.belongs_in_search:
        return "It was archived or disabled while it was being indexed."
    return None
