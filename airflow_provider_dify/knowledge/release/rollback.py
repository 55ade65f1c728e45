"""Restores the flags that documents had before a release or a status change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyError, DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, a_string
from airflow_provider_dify.knowledge.conversation import is_long
from airflow_provider_dify.knowledge.documents import Action, Document, Flags
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.release.journal import Version, clear_journal
from airflow_provider_dify.knowledge.release.known import Known
from airflow_provider_dify.knowledge.release.manifest import flags_from, pack_flags, unpack_flags
from airflow_provider_dify.knowledge.release.options import Tolerable
from airflow_provider_dify.knowledge.release.rollback_report import RollbackOutcome, RollbackReport
from airflow_provider_dify.knowledge.report import by_name
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.chunks import DisabledChunks, chunks_from
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.text.counts import if_one, number_of
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.knowledge.text.packing import pack_ids, unpack_ids


@dataclass(frozen=True)
class PreviousState:
    """What to restore.

    :param dataset_id: The knowledge base.
    :param source: What is rolled back: a release by its name, or an action.
    :param flags: The previous flags of each document, by id.
    :param action: Instead of both flags, the action that changed one of them in each of ``changed``.
    :param changed: The documents that it changed.
    :param chunks: Ids of the chunks that were disabled in documents in use, by document id.
    """

    dataset_id: str
    source: str
    flags: Mapping[str, Flags]
    action: Action | None = None
    changed: tuple[str, ...] = ()
    chunks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: object) -> PreviousState:
        """Read a manifest, or the report of a rollback or status change.

        :raises DifyInputError: The value is something else.
        """
        data = inputs.literal(manifest)
        if not isinstance(data, Mapping) or "dataset_id" not in data:
            raise DifyInputError(
                "manifest must be what a DifyReleaseOperator, a DifyRollbackOperator or a DifyDocumentStatusOperator "
                f"returned, or left in XCom under 'report', not {inputs.show(data)}.{why(manifest)}"
            )
        dataset_id = inputs.canonical_id(data["dataset_id"], "manifest['dataset_id']")
        chunks = chunks_from(data.get("disabled_chunks", {}), "manifest['disabled_chunks']")
        if "previous" in data:
            source = data.get("release") or data.get("source") or "an unnamed release"
            flags = flags_from(data["previous"], "manifest['previous']")
            return cls(dataset_id, inputs.without_keys(str(source)), flags, chunks=chunks)
        if "action" in data and "changed" in data:
            action = inputs.choice(data["action"], Action, "manifest['action']")
            changed = data["changed"]
            ids = inputs.canonical_ids(changed, "manifest['changed']") if changed else ()
            return cls(dataset_id, action.value, {}, action, ids, chunks)
        raise DifyInputError(
            f"manifest contains neither the previous flags nor a list of changed documents: {inputs.show(data)}."
        )

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON, with few bytes for each document."""
        return {
            "dataset_id": self.dataset_id,
            "source": self.source,
            "flags": pack_flags(self.flags),
            "action": self.action and self.action.value,
            "changed": pack_ids(self.changed),
            "disabled_chunks": {i: list(ids) for i, ids in self.chunks.items()},
        }

    @classmethod
    def from_json(cls, data: JSON) -> PreviousState:
        """Return what :meth:`to_json` was called on."""
        state = Fields(data)
        action = state.maybe_text("action")
        return cls(
            state.text("dataset_id"),
            state.read("source", a_string),
            unpack_flags(state.get("flags")),
            Action(action) if action else None,
            unpack_ids(state.read("changed", a_string)),
            chunks_from(state.get("disabled_chunks"), "disabled_chunks"),
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """The documents, in order."""
        return (*self.flags, *self.changed)

    def flags_for(self, document: Document) -> Flags:
        """Return the previous flags of a document. An action changed one of them; the other stays."""
        return document.flags.after(self.action.opposite) if self.action else self.flags[document.id]

    def kept_out_of_search(self, document_id: str) -> bool:
        """Whether a document certainly was not in search, so that it is not missed if it was deleted."""
        return document_id in self.flags and not self.flags[document_id].in_search


class Rollback:
    """A rollback, from the first read to the proof.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment.

    :param manifest: What to roll back: see :meth:`PreviousState.of`.
    :param tolerate: ``("missing",)``: deleted documents do not fail the task.
    :param options: How changes are sent and awaited.
    :param found: The flags that documents had when an earlier part of this rollback began.
    :raises DifyInputError: An argument is invalid.
    """

    kind: ClassVar[str] = "rollback"

    def __init__(
        self,
        manifest: object,
        *,
        tolerate: Iterable[str] = (),
        options: StatusOptions | None = None,
        found: Mapping[str, Flags] | None = None,
    ) -> None:
        self.wanted = manifest if isinstance(manifest, PreviousState) else PreviousState.of(manifest)
        self.dataset_id = self.wanted.dataset_id
        tolerated = inputs.choices(tolerate, Tolerable, "tolerate")
        self._tolerated = frozenset(RollbackOutcome(one.value) for one in tolerated)
        self.options = options or StatusOptions(repair=True)
        self._found = dict(found or {})
        self._known = Known(self.dataset_id, self.options)
        self._targets: dict[str, Flags] = {}
        self._proven = False
        #: Of the documents that this rollback removes from search.
        self._chunks = DisabledChunks(self.dataset_id)

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents read so far, by id."""
        return self._known.names

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere instead of waiting here."""
        return is_long(pause)

    def to_json(self) -> dict[str, JSON]:
        """Return everything needed to continue in another process."""
        return {
            "manifest": self.wanted.to_json(),
            "found": pack_flags(self._found),
            "tolerate": sorted(one.value for one in self._tolerated),
            "options": self.options.to_json(),
            "disabled_chunks": self._chunks.to_json(),
        }

    @classmethod
    def from_json(cls, data: JSON) -> Rollback:
        """Return a rollback that continues where :meth:`to_json` was called."""
        state = Fields(data)
        rollback = cls(
            PreviousState.from_json(state.get("manifest")),
            tolerate=state.texts("tolerate"),
            options=StatusOptions.from_json(state.get("options")),
            found=unpack_flags(state.get("found")),
        )
        rollback._chunks.noted.update(chunks_from(state.get("disabled_chunks"), "disabled_chunks"))
        return rollback

    def report(self) -> RollbackReport:
        """Return the outcome of each document so far; complete and consistent at any moment."""
        now = self._known.flags()
        outcomes = {document_id: self._outcome(document_id, now) for document_id in self.wanted.ids}
        return RollbackReport(
            self.dataset_id,
            self.wanted.source,
            **by_name(outcomes),
            previous=dict(self._found),
            errors=dict(self._known.errors),
            disabled_chunks=dict(self._chunks.noted),
        )

    def _outcome(self, document_id: str, now: Mapping[str, Flags]) -> RollbackOutcome:
        if document_id in self._known.missing:
            return RollbackOutcome.MISSING
        if document_id in self._known.errors:
            return RollbackOutcome.FAILED
        if document_id not in self._targets or now.get(document_id) != self._targets[document_id]:
            return RollbackOutcome.FAILED if self._proven else RollbackOutcome.NOT_ATTEMPTED
        same = self._found.get(document_id) == self._targets[document_id]
        return RollbackOutcome.UNCHANGED if same else RollbackOutcome.RESTORED

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[RollbackReport]:
        """Roll back: first documents return to search, which is proven, then the others leave it.

        :param deadline: How long to wait for documents that are busy or not yet reflected by search.
        :param retries: How failed requests are retried.
        :return: The report.
        :raises DifyRollbackFailed: Documents that may have been in search were deleted; nothing was changed.
        :raises DifyRollbackError: Documents do not have their previous flags.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        try:
            yield from self._look_first()
            targets = self._to_change()
            yield from self._chunks.note(self._leaving(targets), Progress(deadline))
            switch = self._known.switch_to(targets)
            yield from switch.bring_in(deadline, retries)
            yield from switch.take_out(deadline, retries)
            yield from self._restore_chunks(deadline)
            yield from self._known.read(self.wanted.ids)
            self._proven = True
            version = Version.read(self.wanted.source)
            yield from clear_journal(self.dataset_id, version, self._known.documents, deadline, retries)
        except DifyError as error:
            yield from self._known.read_after_failure(self.wanted.ids)
            if isinstance(error, DifyDocumentStatusError):
                self.report().raise_for_outcomes(self._harmless())
            error.report = self.report()
            raise
        report = self.report()
        report.raise_for_outcomes(self._harmless())
        return report

    def _look_first(self) -> Flow[None]:
        yield from self._known.read(self.wanted.ids)
        documents, missing = self._known.documents, self._known.missing
        for document_id, document in documents.items():
            self._targets[document_id] = self.wanted.flags_for(document)
            self._found.setdefault(document_id, document.flags)
        changes = sum(self._targets[i] != document.flags for i, document in documents.items())
        parts = [f"{changes} {if_one(changes, 'has', 'have')} other flags now"] if changes else []
        parts += [f"{len(missing)} {if_one(len(missing), 'was', 'were')} deleted"] if missing else []
        yield Note(f"Of {number_of(len(self.wanted.ids))}, {' and '.join(parts) or 'none has changed'}.")
        if RollbackOutcome.MISSING not in self._harmless():
            self.report().raise_for_outcomes(frozenset(RollbackOutcome) - {RollbackOutcome.MISSING}, final=True)

    def _harmless(self) -> frozenset[RollbackOutcome]:
        """The outcomes that do not fail the task: documents that were not in search are not missed."""
        if all(map(self.wanted.kept_out_of_search, self._known.missing)):
            return self._tolerated | {RollbackOutcome.MISSING}
        return self._tolerated

    def _to_change(self) -> dict[str, Flags]:
        """Return the flags of the documents to change: a document that is not indexed but has its
        flags is left alone.
        """
        found = self._known.documents
        return {i: self._targets[i] for i, d in found.items() if d.indexed or d.flags != self._targets[i]}

    def _leaving(self, targets: Mapping[str, Flags]) -> list[str]:
        return [d.id for d in self._known.of(targets) if d.belongs_in_search and not targets[d.id].in_search]

    def _restore_chunks(self, deadline: Deadline) -> Flow[None]:
        """Disable the chunks again that were disabled in documents which are back in search."""
        back = [i for i, target in self._targets.items() if target.in_search and not self._found[i].in_search]
        chunks = DisabledChunks(self.dataset_id, self.wanted.chunks)
        self._known.errors.update((yield from chunks.restore(back, deadline)))
