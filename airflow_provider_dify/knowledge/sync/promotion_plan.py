"""Plans how to recreate an export in a knowledge base, before anything is sent.

Documents are identified by their ids in the export, which their copies have in their metadata. So several may have the
same name, and documents that are archived or disabled in the export are too in the knowledge base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.bases.settings import whole_search
from airflow_provider_dify.knowledge.documents import Action, Dataset, Document, Flags, Technique
from airflow_provider_dify.knowledge.export.manifest import ExportedDocument, ExportManifest
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.ingest.contents import Source
from airflow_provider_dify.knowledge.ingest.options import HASH_FIELD, DocumentOptions
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.metadata.fields import BUILT_IN, FieldType, Value, kinds_of, same
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.sync.plan import Move, Planned, Retire, digest_of
from airflow_provider_dify.knowledge.sync.report import DONE, SyncEntry, SyncOutcome
from airflow_provider_dify.knowledge.sync.survey import SOURCE_FIELD
from airflow_provider_dify.knowledge.text.counts import number_of

#: Name of the metadata field with the id that the original of a copy has in the export.
EXPORT_FIELD = "exported_document"
#: The fields of a sync. Their values in an export are about the knowledge base that was exported.
OWN_FIELDS = (HASH_FIELD, SOURCE_FIELD, EXPORT_FIELD)
#: The outcome of a document of the export that cannot be recreated, and why.
Problem: TypeAlias = tuple[SyncOutcome, str]
_TAKEN = (
    "Document {} has this name. This sync did not create it, and Dify would overwrite it. Rename it, or disable it."
)


@dataclass(frozen=True)
class Exported:
    """An export to recreate.

    :param manifest: Its manifest.
    :param sources: The contents, by the ids of the documents in it.
    """

    manifest: ExportManifest
    sources: Mapping[str, Source]


@dataclass
class Part:
    """A document of the export, or a copy of one that is no longer in it.

    :param move: What to do about it.
    :param entry: The document in the export; ``None`` if it is no longer there.
    :param document: Its copy, as it was last read.
    :param why: Why, for people.
    :param sends: Whether its content is sent.
    :param values: The metadata that its copy should have.
    """

    move: Move
    name: str
    entry: ExportedDocument | None = None
    document: Document | None = None
    why: str = ""
    sends: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)
    document_id: str | None = None
    outcome: SyncOutcome = SyncOutcome.NOT_ATTEMPTED
    error: str | None = None

    @property
    def replaces(self) -> bool:
        """Whether a document gets its content in place. Dify does not update a failed document."""
        return self.sends and self.document is not None and not self.document.failed

    @property
    def flags(self) -> Flags:
        """The flags that its copy should have."""
        return Flags(self.entry.enabled, self.entry.archived) if self.entry else Flags(True, False)

    def ended(self, outcome: SyncOutcome | IngestOutcome, error: str | None) -> None:
        """Record that it is not as it should be; the first reason stays."""
        if self.outcome.good or self.outcome is SyncOutcome.NOT_ATTEMPTED:
            self.outcome, self.error = SyncOutcome(outcome.value), error

    def done(self) -> None:
        """Record that it is as it should be."""
        if self.outcome is SyncOutcome.NOT_ATTEMPTED:
            self.outcome = DONE[self.move]

    def report(self) -> SyncEntry:
        """Return its outcome so far."""
        return SyncEntry(self.move, self.name, self.outcome, self.document_id, None, self.error)

    def planned(self) -> Planned:
        """Return it as a line of the plan."""
        return Planned(self.move, self.name, self.why)


class PromotionPlan:
    """Decides about each document.

    :param exported: The export.
    :param sync_source: Name of the sync, stored in the copies.
    :param more: Additional metadata of each copy.
    :raises DifyInputError: A metadata field of the export has an unknown type.
    """

    def __init__(self, exported: Exported, sync_source: str, more: Mapping[str, Value]) -> None:
        self._exported = exported
        self._own = {**more, SOURCE_FIELD: sync_source}
        #: The type of each field that copies need, by name.
        self.kinds: dict[str, FieldType] = {
            name: _field_type(name, kind) for name, kind in exported.manifest.fields.items() if name not in OWN_FIELDS
        }
        self.kinds |= kinds_of([self._own, dict.fromkeys(OWN_FIELDS, "")])

    def make(
        self,
        problems: Mapping[str, Problem],
        copies: Mapping[str, Sequence[Document]],
        in_the_way: Mapping[str, Document],
        retire: Retire,
    ) -> list[Part]:
        """Decide.

        :param problems: Why contents cannot become documents, by the ids of their documents in the export.
        :param copies: Documents that the sync created, by the ids of their originals.
        :param in_the_way: Enabled documents that it did not create, by name.
        :param retire: What happens to copies whose originals are no longer in the export.
        """
        entries = self._exported.manifest.entries
        parts = [self._about(entry, problems, copies.get(entry.id, ()), in_the_way) for entry in entries]
        used = {part.document.id for part in parts if part.document}
        left = [one for documents in copies.values() for one in documents if one.id not in used]
        gone = sorted((one for one in left if one.belongs_in_search), key=lambda one: (one.name, one.id))
        return parts + [_about_left(one, retire) for one in gone]

    def lacking(self, part: Part, document: Document) -> dict[str, Value]:
        """Return the values to set in a copy, or (``None``) to remove from it."""
        wrong: dict[str, Value] = {
            name: value
            for name, value in part.values.items()
            if not same(self.kinds[name].value, value, document.metadata.get(name))
        }
        more = document.metadata.keys() - part.values.keys() - BUILT_IN
        return wrong | {name: None for name in more if document.metadata[name] is not None}

    def _about(
        self,
        entry: ExportedDocument,
        problems: Mapping[str, Problem],
        copies: Sequence[Document],
        in_the_way: Mapping[str, Document],
    ) -> Part:
        part = Part(Move.CREATE, entry.name, entry, why="it is new", sends=True, values=self._values(entry))
        digest = entry.content.saved.sha256 if entry.content else None
        same_content = [one for one in copies if digest_of(one) == digest and one.indexed and one.name == entry.name]
        document = next((one for one in (*same_content, *copies) if one in same_content or _is_used(one, entry)), None)
        part.document, part.document_id = document, document.id if document else None
        if problem := problems.get(entry.id) or _unfit(entry):
            outcome, why = problem
            return _ended(replace(part, why=why, sends=False), Move.HOLD, outcome, why)
        if document in same_content and document:
            wrong = document.flags != part.flags or self.lacking(part, document)
            move = Move.UPDATE if wrong else Move.KEEP
            return replace(part, move=move, why="its flags or its metadata differ" if wrong else "", sends=False)
        if document:
            why = "its indexing failed" if document.failed else "its content or its name differs"
            return replace(part, move=Move.UPDATE, why=why)
        if other := in_the_way.get(entry.name):
            why = _TAKEN.format(other.id)
            return _ended(replace(part, why=why, sends=False), Move.REFUSE, SyncOutcome.REFUSED, why)
        return part

    def _values(self, entry: ExportedDocument) -> dict[str, Value]:
        values: dict[str, Value] = {k: v for k, v in entry.metadata.items() if k in self.kinds and k not in OWN_FIELDS}
        digest = entry.content.saved.sha256 if entry.content else ""
        return {**values, **self._own, EXPORT_FIELD: entry.id, HASH_FIELD: digest}


def document_options(manifest: ExportManifest, options: DocumentOptions, dataset: Dataset) -> DocumentOptions:
    """Return how documents are sent: what neither the user nor the knowledge base determines is as in the export.

    :raises DifyInputError: The knowledge base cuts documents in another form.
    """
    settings: Mapping[str, Any] = manifest.settings  # whatever it has: the options check it
    technique = options.indexing_technique or dataset.indexing_technique or settings.get("indexing_technique")
    exported = settings.get("doc_form")
    if options.doc_form is None and dataset.doc_form and exported and dataset.doc_form != exported:
        raise DifyInputError(
            f"Knowledge base {dataset.id} has the form {dataset.doc_form}, and the export has {inputs.show(exported)}. "
            f"Nothing was sent. Use an empty knowledge base, or set doc_form to '{dataset.doc_form}' to accept that "
            "Dify cuts the documents differently."
        )
    form = options.doc_form or dataset.doc_form or exported
    # It only stands for the rules of the export, which are sent with the documents that they belong to.
    rule = options.process_rule or next(iter(manifest.rules.values()), None)
    return replace(options, indexing_technique=technique, doc_form=form, process_rule=rule)


def settings_for(manifest: ExportManifest, options: DocumentOptions, dataset: Dataset) -> KnowledgeBaseOptions | None:
    """Return the settings that a knowledge base gets from the exported one; ``None`` if it keeps its own.

    One that has an indexing technique keeps its settings: somebody has chosen them.
    """
    settings: Mapping[str, Any] = manifest.settings  # whatever it has: the options check it
    technique = settings.get("indexing_technique")
    if dataset.indexing_technique or not technique or options.indexing_technique not in (None, technique):
        return None
    vectors = technique == Technique.HIGH_QUALITY.value
    return KnowledgeBaseOptions(
        description=settings.get("description") or None,
        indexing_technique=technique,
        embedding_model=settings.get("embedding_model") or None if vectors else None,
        embedding_model_provider=settings.get("embedding_model_provider") or None if vectors else None,
        retrieval_model=whole_search({}, settings.get("retrieval_model_dict") or {}, technique),
    )


def check_contents(exported: Exported, progress: Progress) -> Flow[dict[str, Problem]]:
    """Read all contents, and compare them with the manifest.

    :return: Why some of them cannot become documents, by the ids of their documents in the export.
    :raises DifyInputError: Some differ from the manifest: the export is damaged.
    :raises DifySourceError: The export has no documents.
    """
    if not exported.manifest.entries:
        raise DifySourceError(
            "The export has no documents. Nothing was changed: an empty export does not empty a knowledge base."
        )
    problems: dict[str, Problem] = {}
    damaged: list[str] = []
    entries = [entry for entry in exported.manifest.entries if entry.content]
    for number, entry in enumerate(entries):
        source = exported.sources[entry.id]
        try:
            if problem := source.problem:
                outcome = SyncOutcome.INVALID if source.readable else SyncOutcome.UNREADABLE
                problems[entry.id] = outcome, problem
            if source.readable and entry.content and source.digest() != entry.content.saved.sha256:
                damaged.append(source.place)
        except DifySourceError as error:
            problems[entry.id] = SyncOutcome.UNREADABLE, error.message
        yield from progress.note("Read", number + 1, len(entries), "content")
    if damaged:
        raise DifyInputError(
            f"The export is damaged: {number_of(len(damaged), 'file')} differ{'s' * (len(damaged) == 1)} from the "
            f"manifest by SHA-256, such as {damaged[0]}. Nothing was sent. Run DifyExportOperator again."
        )
    return problems


def _field_type(name: str, kind: str) -> FieldType:
    try:
        return FieldType(kind)
    except ValueError:
        raise DifyInputError(
            f"Metadata field {inputs.show(name)} of the export has the unknown type {inputs.show(kind)}. Nothing was "
            "sent. Delete the field where it was exported, and export again."
        ) from None


def _about_left(document: Document, retire: Retire) -> Part:
    """Decide about a copy in use whose original is not in the export."""
    stays = retire is Retire.KEEP or (retire.action and not document.indexed)  # Dify cannot change its status then
    part = Part(Move.RETIRE, document.name, None, document, "it is not in the export", document_id=document.id)
    return replace(part, move=Move.LEAVE, outcome=SyncOutcome.LEFT) if stays else part


def _ended(part: Part, move: Move, outcome: SyncOutcome, error: str) -> Part:
    return replace(part, move=move, outcome=outcome, error=error)


def _unfit(entry: ExportedDocument) -> Problem | None:
    """Return why a document of the export cannot be recreated, by its state there."""
    if entry.content is None:
        return SyncOutcome.INVALID, "The export has no content of it."
    if entry.state != "completed":
        why = f": {entry.error}" if entry.error else ""
        state = inputs.show(entry.state)
        return SyncOutcome.INVALID, f"Its indexing is {state} in the export{why}. Fix it there, and export it again."
    if not entry.words:
        why = "Dify found no text in it, so search can never return it. Delete it there, and export it again."
        return SyncOutcome.INVALID, why
    return None


def _is_used(document: Document, entry: ExportedDocument) -> bool:
    """Whether a copy gets the content: in place, or because a new document replaces a failed one of its name."""
    return document.belongs_in_search and (document.indexed or (document.failed and document.name == entry.name))


def rounds(parts: Iterable[Part]) -> list[list[Part]]:
    """Divide contents into rounds with unique names. Of several with one name, one that ends up in use is last."""
    by_name: dict[str, list[Part]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    found: list[list[Part]] = []
    for same_name in by_name.values():
        for number, part in enumerate(sorted(same_name, key=_turn)):
            found += [[]] * (number >= len(found))
            found[number] = [*found[number], part]
    return found


def _turn(part: Part) -> tuple[bool, bool]:
    return not part.replaces, part.flags.in_search


def steps_to(document: Document, flags: Flags) -> list[Action]:
    """Return the status changes that give a document its flags, in an order that Dify accepts."""
    steps = []
    if document.archived and (not flags.archived or document.enabled != flags.enabled):
        steps.append(Action.UN_ARCHIVE)
    if document.enabled != flags.enabled:
        steps.append(Action.ENABLE if flags.enabled else Action.DISABLE)
    if flags.archived and (not document.archived or steps):
        steps.append(Action.ARCHIVE)
    return steps
