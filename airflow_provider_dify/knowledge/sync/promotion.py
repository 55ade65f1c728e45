"""Recreates an export in a knowledge base, however often it is tried.

Documents are identified by the ids that they had where they were exported; see :mod:`.promotion_plan`. Each content is
sent with the process rule that it had. Dify replaces an enabled document that has the name of a new one. So if several
documents have the same name, each is indexed and disabled before the next one is sent, and all get their flags at the
end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from airflow_provider_dify.exceptions import DifyError, DifyMetadataError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.bases.provision import Provision
from airflow_provider_dify.knowledge.documents import Action, Dataset, Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.ingest.arrival import Arrival
from airflow_provider_dify.knowledge.ingest.delivery import Delivery
from airflow_provider_dify.knowledge.ingest.namesakes import Decision, Verb
from airflow_provider_dify.knowledge.ingest.options import HASH_FIELD, DocumentOptions
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.ingest.sender import ContentSender, Item
from airflow_provider_dify.knowledge.ingest.target import check_replacing, read_target
from airflow_provider_dify.knowledge.ingest.watch import Watch
from airflow_provider_dify.knowledge.metadata.fields import Value, check_own_values, create_missing, list_fields
from airflow_provider_dify.knowledge.metadata.update import set_values
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.sync import journal as sync_journal
from airflow_provider_dify.knowledge.sync.changes import Change, Changes
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.plan import Move, Retire, table
from airflow_provider_dify.knowledge.sync.promotion_plan import (
    EXPORT_FIELD,
    OWN_FIELDS,
    Exported,
    Part,
    PromotionPlan,
    check_contents,
    document_options,
    rounds,
    settings_for,
    steps_to,
)
from airflow_provider_dify.knowledge.sync.report import SyncOutcome, SyncReport
from airflow_provider_dify.knowledge.sync.survey import SOURCE_FIELD, checked_name

#: How many documents get their metadata at once. After a kill, this many have to be sent again.
_AT_ONCE = 50
#: Stands for the missing id of documents that this sync created from something else than an export.
_NO_ORIGINAL = ""
_NEW_INSTEAD = "use an empty knowledge base."


class Promotion:
    """An export on its way into a knowledge base, from the first read to the proof.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment, even if the
    task is killed halfway.

    :param dataset_id: UUID of the knowledge base.
    :param exported: The export.
    :param options: How it is done.
    :param sync_source: Name of the sync, stored in the copies.
    :raises DifyInputError: An argument is invalid, or no metadata field can have a value of the export.
    """

    def __init__(self, dataset_id: object, exported: Exported, options: SyncOptions, *, sync_source: object) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.sync_source = checked_name(sync_source)
        self._exported = exported
        self._options = options
        own = dict.fromkeys(OWN_FIELDS, "what the sync stores in copies")
        self._plan = PromotionPlan(exported, self.sync_source, check_own_values(options.metadata, own))
        self._arrival = Arrival(self.dataset_id, options)
        self._delivery = Delivery(self.dataset_id, options)
        self._parts: list[Part] = []
        self._documents: dict[str, Document] = {}
        self._by_name: dict[str, list[Document]] = {}
        self._journal: sync_journal.Journal = sync_journal.Journal()
        self._repaired = 0

    def report(self) -> SyncReport:
        """Return the outcome of each document so far; complete and consistent at any moment."""
        entries = tuple(part.report() for part in self._parts)
        repaired = self._repaired + self._arrival.repaired
        return SyncReport(self.dataset_id, self.sync_source, entries, self._options.dry_run, repaired)

    @property
    def names(self) -> dict[str, str]:
        """The names of the copies, by id."""
        return {part.document_id: part.name for part in self._parts if part.document_id}

    def leaves_at(self, pause: Pause) -> bool:  # noqa: ARG002 - as called
        """Whether to wait elsewhere: it never does."""
        return False

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[SyncReport]:
        """Recreate the export.

        :param deadline: How long to wait for documents that are being indexed, busy, or not yet reflected by search.
        :param retries: How failed requests are retried.
        :return: The report; see :meth:`SyncReport.raise_for_outcomes`.
        :raises DifyInputError: The export is damaged, or does not fit the knowledge base; nothing was changed.
        :raises DifyGuardError: A limit would be exceeded; nothing was changed.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        progress = Progress(deadline)
        try:
            dataset, options = yield from self._read(deadline, progress)
            if self._options.dry_run:
                yield Note("This is a dry run: nothing was changed.")
                return self.report()
            yield from self._prepare(dataset, deadline, retries)
            for number, parts in enumerate(rounds(part for part in self._parts if part.sends)):
                yield from self._send(parts, number, dataset, options, deadline, retries, progress)
            if deadline.passed and any(part.outcome is SyncOutcome.NOT_ATTEMPTED for part in self._parts):
                return self.report()
            yield from self._settle(deadline, retries, progress)
        except DifyError as error:
            error.report = self.report()
            raise
        return self.report()

    def _read(self, deadline: Deadline, progress: Progress) -> Flow[tuple[Dataset, DocumentOptions]]:
        """Read the export and the knowledge base, and plan."""
        problems = yield from check_contents(self._exported, progress)
        there = yield from api.get_dataset(self.dataset_id)
        options = document_options(self._exported.manifest, self._options, there)
        dataset, options = yield from read_target(self.dataset_id, options)
        self._journal = sync_journal.Journal.read(dataset, self.sync_source)
        yield from self._list(progress)
        yield from self._await_earlier(deadline, progress)
        in_the_way = {one.name: one for one in self._documents.values() if one.enabled and not self._is_promoted(one)}
        retire = Retire(self._options.retire)
        self._parts = self._plan.make(problems, self._copies(), in_the_way, retire)
        plan = [part.planned() for part in self._parts]
        yield Note(f"Plan of sync '{self.sync_source}':\n{table(plan)}")
        promoted = [one for one in self._documents.values() if self._is_promoted(one) and one.belongs_in_search]
        self._options.check_plan(plan, len(promoted))
        check_replacing(dataset, [part.name for part in self._parts if part.replaces], _NEW_INSTEAD)
        return dataset, options

    def _list(self, progress: Progress) -> Flow[None]:
        pager: Pager[Document] = Pager()
        found: dict[str, Document] = {}
        while not pager.done:
            page = yield from api.document_page(self.dataset_id, pager.page, limit=pager.limit)
            found.update({document.id: document for document in pager.take(page)})
            yield from progress.note("Listed", len(found), pager.total)
        self._documents = found
        self._by_name = {}
        for document in found.values():
            self._by_name.setdefault(document.name, []).append(document)

    def _await_earlier(self, deadline: Deadline, progress: Progress) -> Flow[None]:
        """Wait for documents that a killed run has sent: Dify can neither replace nor disable them before."""
        active = [one.id for one in self._documents.values() if self._is_promoted(one) and _is_active(one)]
        if not active or self._options.dry_run:
            return
        watch = Watch(self.dataset_id, self._options)
        watch.add(active, deadline)
        yield from watch.until_below(1, deadline, progress)
        yield from self._list(progress)

    def _is_promoted(self, document: Document) -> bool:
        return str(document.metadata.get(SOURCE_FIELD)) == self.sync_source or self._may_be_synced(document)

    def _may_be_synced(self, document: Document) -> bool:
        """Whether a killed run may have created a document: it is newer than the run, and nobody has marked it."""
        position = self._journal.position
        return position is not None and document.position > position and not document.metadata.keys() & set(OWN_FIELDS)

    def _copies(self) -> dict[str, list[Document]]:
        """The documents that the sync created, by their ids in the export. Without a mark, the name has to do."""
        copies: dict[str, list[Document]] = {}
        unmarked: dict[str, list[Document]] = {}
        for document in self._documents.values():
            if EXPORT_FIELD in document.metadata and self._is_promoted(document):
                copies.setdefault(str(document.metadata[EXPORT_FIELD]), []).append(document)
            elif self._is_promoted(document):
                unmarked.setdefault(document.name, []).append(document)
        for entry in self._exported.manifest.entries:
            if entry.id not in copies and unmarked.get(entry.name):
                copies[entry.id] = [unmarked[entry.name].pop()]
        rest = [one for documents in unmarked.values() for one in documents]
        copies[_NO_ORIGINAL] = [one for one in rest if str(one.metadata.get(SOURCE_FIELD)) == self.sync_source]
        return copies

    def _prepare(self, dataset: Dataset, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Set up the knowledge base and its metadata fields, and make sure that a later run can continue after a kill.

        :raises DifySetupFailed: Dify cannot apply the settings of the export; nothing was sent.
        """
        if any(part.sends for part in self._parts):
            if settings := settings_for(self._exported.manifest, self._options, dataset):
                yield from Provision(None, settings, dataset_id=self.dataset_id).flow(deadline, retries)
            position = max((one.position for one in self._documents.values()), default=0)
            field_id = yield from sync_journal.begin(dataset, self.sync_source, position, restores=False)
            yield from sync_journal.end(self.dataset_id, [one for one in self._journal.field_ids if one != field_id])
            self._journal = replace(self._journal, field_ids=(field_id,))
        if not any(part.move in (Move.CREATE, Move.UPDATE) for part in self._parts):
            return
        there = {field.name: field for field in (yield from list_fields(self.dataset_id))}
        yield from create_missing(self.dataset_id, self._plan.kinds, there)
        # A killed run must not leave a digest of a content that a document no longer has.
        stale = [part.document for part in self._parts if part.sends and part.document]
        yield from self._mark(
            {one.id: {HASH_FIELD: None} for one in stale if HASH_FIELD in one.metadata}, deadline, retries
        )
        lacking = {
            part.document.id: self._plan.lacking(part, part.document)
            for part in self._parts
            if part.move is Move.UPDATE and not part.sends and part.document
        }
        yield from self._mark({i: values for i, values in lacking.items() if values}, deadline, retries)

    def _send(
        self,
        parts: Sequence[Part],
        number: int,
        dataset: Dataset,
        options: DocumentOptions,
        deadline: Deadline,
        retries: Retries,
        progress: Progress,
    ) -> Flow[None]:
        """Send contents with different names, and wait until they are indexed."""
        if number:
            yield from self._list(progress)
        yield from self._clear({part.name for part in parts if not part.replaces}, deadline, retries)
        for rule, of_rule in _by_rule(parts):
            process_rule = self._options.process_rule or self._exported.manifest.rules.get(rule or "")
            ready = replace(options, process_rule=process_rule).for_dataset(dataset)
            sender = ContentSender(dataset, ready, retries, deadline)
            for start in range(0, len(of_rule), _AT_ONCE):
                yield from self._put(of_rule[start : start + _AT_ONCE], sender, progress)
        watch = self._delivery.watch
        yield from watch.finish(deadline, progress)
        for part in parts:
            if ended := watch.ended.get(part.document_id or ""):
                part.ended(*ended)

    def _clear(self, names: Collection[str], deadline: Deadline, retries: Retries) -> Flow[None]:
        """Disable documents of this sync that Dify would overwrite."""
        mine = {part.document_id for part in self._parts}
        there = [one for one in self._documents.values() if one.name in names and one.enabled and not one.failed]
        ids = [one.id for one in there if one.id in mine or one.metadata.get(SOURCE_FIELD) == self.sync_source]
        if ids:
            yield from self._change([Change(Action.DISABLE, tuple(ids))], deadline, retries)

    def _put(self, parts: Sequence[Part], sender: ContentSender, progress: Progress) -> Flow[None]:
        items = [self._item(part) for part in parts]
        yield from self._delivery.flow(items, sender, progress)
        values: dict[str, dict[str, Value]] = {}
        for part, item in zip(parts, items, strict=True):
            part.document_id = item.document_id or part.document_id
            if item.outcome and not item.outcome.good:
                outcome = IngestOutcome.FAILED if item.outcome is IngestOutcome.REFUSED else item.outcome
                part.ended(outcome, item.error)
            elif item.outcome and item.document_id:
                values[item.document_id] = dict(part.values)
        yield from self._mark(values, sender.deadline, sender.retries)

    def _item(self, part: Part) -> Item:
        verb = Verb.UPDATE if part.replaces else Verb.CREATE
        source = self._exported.sources[part.entry.id if part.entry else ""]
        return Item(source, list(self._by_name.get(part.name, ())), Decision(verb, part.name, part.document))

    def _mark(self, values: Mapping[str, Mapping[str, Value]], deadline: Deadline, retries: Retries) -> Flow[None]:
        if not values:
            return
        try:
            yield from set_values(self.dataset_id, values, deadline=deadline, retries=retries)
        except DifyMetadataError as error:
            texts = error.report.errors
            for part in self._parts:
                if part.document_id in values and (not texts or part.document_id in texts):
                    part.ended(SyncOutcome.FAILED, texts.get(part.document_id or "") or error.message)

    def _change(self, changes: Iterable[Change], deadline: Deadline, retries: Retries) -> Flow[dict[str, str]]:
        """Change the status of documents; return errors by id."""
        found = Changes(self.dataset_id, list(changes), self._options)
        try:
            yield from found.flow(deadline, retries)
        finally:
            self._repaired += found.repaired
        return {document_id: error for document_id, error in found.results.items() if error}

    def _settle(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        """Give all documents their flags, retire those that are no longer in the export, and prove the result."""
        good = {part.document_id: part for part in self._parts if part.document_id and not part.error}
        yield from self._list(progress)
        steps: dict[Action | None, list[str]] = {}
        retire = Retire(self._options.retire)
        for document_id, part in good.items():
            document = self._documents.get(document_id or "")
            if document is None or not document.indexed or part.move is Move.LEAVE:
                continue
            wanted = [retire.action] if part.move is Move.RETIRE else steps_to(document, part.flags)
            for action in wanted:
                steps.setdefault(action, []).append(document.id)
        order = (Action.UN_ARCHIVE, Action.ENABLE, Action.DISABLE, Action.ARCHIVE, None)
        changes = [Change(action, tuple(steps[action])) for action in order if action in steps]
        for document_id, error in (yield from self._change(changes, deadline, retries)).items():
            good[document_id].ended(SyncOutcome.FAILED, error)
        live = [i for i, part in good.items() if i and part.entry and part.flags.in_search and not part.error]
        brought = [i for i in live if good[i].move is not Move.KEEP]
        kept = [i for i in live if good[i].move is Move.KEEP]
        yield from self._arrival.flow(brought, deadline, retries, progress, kept=kept, in_use=live)
        for document_id, ended in self._arrival.ended.items():
            good[document_id].ended(*ended)
        yield from self._prove(progress)

    def _prove(self, progress: Progress) -> Flow[None]:
        """Compare all documents with the export once more, and remove the journal."""
        if any(part.move not in (Move.KEEP, Move.LEAVE, Move.HOLD, Move.REFUSE) for part in self._parts):
            yield from self._list(progress)
        for part in self._parts:
            if part.error or part.move is Move.LEAVE:
                continue
            document = self._documents.get(part.document_id or "")
            if wrong := self._wrong(part, document):
                part.ended(SyncOutcome.FAILED, wrong)
            else:
                part.done()
        if self._journal.field_ids and not any(part.outcome is SyncOutcome.NOT_ATTEMPTED for part in self._parts):
            yield from sync_journal.end(self.dataset_id, self._journal.field_ids)

    def _wrong(self, part: Part, document: Document | None) -> str | None:
        if part.move is Move.RETIRE:
            there = document is not None and document.belongs_in_search
            return "At the end, it is still in use: somebody else brought it back." if there else None
        if document is None:
            return "At the end, it is gone: somebody else deleted it."
        if document.name != part.name:
            return f"At the end, its name is {inputs.show(document.name)}."
        if document.flags != part.flags:
            return f"At the end, it has other flags: enabled={document.enabled}, archived={document.archived}."
        if names := self._plan.lacking(part, document):
            return f"At the end, its metadata differs: {', '.join(map(inputs.show, names))}."
        return None


def _is_active(document: Document) -> bool:
    return not (document.indexed or document.failed or document.paused)


def _by_rule(parts: Sequence[Part]) -> Iterator[tuple[str | None, list[Part]]]:
    """Group contents by their process rules, in the order in which these were used."""
    found: dict[str | None, list[Part]] = {}
    for part in parts:
        found.setdefault(part.entry.rule if part.entry else None, []).append(part)
    yield from found.items()
