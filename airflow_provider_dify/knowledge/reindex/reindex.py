"""Has Dify index failed documents again, waits, and proves that search returns them.

Dify keeps the content of a document whose indexing has failed, and indexes it again on request (read in its source; no
release that has the request was recorded). Releases up to 1.17.1 do not have it, so Dify is asked first, with a request
that changes nothing. It refuses a whole request because of one document that has not failed, is archived, paused or
missing, so the documents are read just before.

**A failed document that is disabled is enabled first.** Dify itself disables a document if it cannot bring it into
search. Once it is indexed, search returns it whatever its flag says, and enabling it then would add it a second time,
which fails on a vector store (recording 1.16.0/23). Enabled before, it only gets Dify's lock, for ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from airflow_provider_dify.exceptions import (
    DifyDocumentBusyError,
    DifyError,
    DifyInputError,
    DifyNotFoundError,
    DifyRequestError,
)
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.answers import Fields, a_string
from airflow_provider_dify.knowledge.conversation import is_long
from airflow_provider_dify.knowledge.documents import Action, Document
from airflow_provider_dify.knowledge.errors import may_be_carried_out
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause, Request
from airflow_provider_dify.knowledge.ingest.arrival import Arrival
from airflow_provider_dify.knowledge.ingest.target import check_accepts
from airflow_provider_dify.knowledge.ingest.watch import Watch
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.reindex.options import ReindexOptions
from airflow_provider_dify.knowledge.reindex.report import ReindexOutcome, ReindexReport
from airflow_provider_dify.knowledge.report import by_name
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.selection.choice import Choice
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.packing import pack_ids, pack_members, unpack_ids, unpack_members

_ARCHIVED = "It is archived."
_PAUSED = "Its indexing is paused, and Dify does not index such documents again. Resume it in Dify."
_UNSURE = "The answer to its request was lost: Dify may be indexing it."


class Reindex:
    """The indexing of failed documents, from the first read to the proof that search returns them.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment.

    :param dataset_id: UUID of the knowledge base.
    :param document_ids: UUIDs: a list, one id, or a string that contains a list; or the choice that finds them.
    :param options: How it is done.
    :raises DifyInputError: An argument is invalid.
    """

    kind: ClassVar[str] = "reindex"

    def __init__(self, dataset_id: object, document_ids: object, options: ReindexOptions | None = None) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        #: Finds the documents.
        self.choice = document_ids if isinstance(document_ids, Choice) else Choice.of(document_ids)
        self.options = inputs.given(options, ReindexOptions, "options")
        missing = {ReindexOutcome.MISSING} if self.choice.tolerates_missing else set()
        self.tolerate = frozenset(map(ReindexOutcome, self.options.tolerate)) | missing
        self._ids: tuple[str, ...] = self.choice.ids or ()
        self._settled: dict[str, ReindexOutcome] = {}
        self._errors: dict[str, str] = {}
        #: The failed documents that are still to be sent.
        self._open: dict[str, Document] = {}
        #: The documents that search has to return in the end.
        self._in_use: set[str] = set()
        self._watch = Watch(self.dataset_id, self.options)
        self._arrival = Arrival(self.dataset_id, self.options)
        self._names: dict[str, str] = {}
        #: Documents that Dify may be indexing because of a request whose response was lost.
        self._asked: set[str] = set()
        self._failures = 0
        self._sent = False

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents read so far, by id."""
        return {**self._names, **{i: document.name for i, document in self._watch.through.items()}}

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere instead of waiting here: while Dify indexes."""
        return self._watch.awaited and is_long(pause)

    def to_json(self) -> dict[str, JSON]:
        """Return everything needed to continue in another process."""
        settled = {
            outcome.value: pack_members({i for i, one in self._settled.items() if one is outcome}, self._ids)
            for outcome in set(self._settled.values())
        }
        return {
            "dataset_id": self.dataset_id,
            "options": {**self.options.to_json(), "tolerate": sorted(one.value for one in self.tolerate)},
            "ids": pack_ids(self._ids),
            "settled": settled,
            "active": pack_members(self._watch.active, self._ids),
            "in_use": pack_members(self._in_use, self._ids),
            "errors": dict(self._errors),
        }

    @classmethod
    def from_json(cls, data: JSON) -> Reindex:
        """Return a job that continues where :meth:`to_json` was called, after everything was sent."""
        state = Fields(data)
        ids = unpack_ids(state.read("ids", a_string))
        job = cls(state.get("dataset_id"), Choice(ids), ReindexOptions.from_json(state.get("options")))
        for outcome, members in state.object("settled").each(a_string).items():
            job._settled.update(dict.fromkeys(unpack_members(members, ids), ReindexOutcome(outcome)))
        job._watch.active.update(dict.fromkeys(unpack_members(state.read("active", a_string), ids), "waiting"))
        job._in_use.update(unpack_members(state.read("in_use", a_string), ids))
        job._errors.update(state.object("errors").each(a_string))
        job._sent = True
        return job

    def report(self) -> ReindexReport:
        """Return the outcome of each document so far; complete and consistent at any moment."""
        ended = {**self._watch.ended, **self._arrival.ended}
        outcomes = dict.fromkeys(self._ids, ReindexOutcome.NOT_ATTEMPTED) | self._settled
        outcomes |= dict.fromkeys(self._watch.active, ReindexOutcome.NOT_INDEXED)
        outcomes |= {i: ReindexOutcome(outcome.value) for i, (outcome, _) in ended.items()}
        unsure = {i: _UNSURE for i in self._open if i in self._asked}
        return ReindexReport(
            self.dataset_id,
            **by_name({i: outcomes[i] for i in self._ids}),
            errors={**unsure, **self._errors, **{i: error for i, (_, error) in ended.items()}},
            repaired=self._arrival.repaired,
            dry_run=self.options.dry_run,
        )

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[ReindexReport]:
        """Have the documents indexed again.

        :param deadline: How long to wait until they are indexed and in search.
        :param retries: How failed requests are retried.
        :return: The report. Each requested id is in exactly one of its lists.
        :raises DifyInputError: This Dify cannot do it, or the knowledge base has no documents of its own.
        :raises DifyGuardError: There are more documents than the guard of the choice allows; nothing was changed.
        :raises DifyReindexError: Documents have an outcome that is not tolerated.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        progress = Progress(deadline)
        try:
            if not self._sent:
                yield from self._look_first(progress)
                if not self.options.dry_run:
                    yield from self._send_all(deadline, retries, progress)
            if not self.options.dry_run:
                yield from self._index(deadline, progress)
                yield from self._arrive(deadline, retries)
        except DifyError as error:
            error.report = self.report()
            raise
        report = self.report()
        report.raise_for_outcomes(self.tolerate)
        return report

    def _look_first(self, progress: Progress) -> Flow[None]:
        dataset = yield from api.get_dataset(self.dataset_id)
        check_accepts(dataset)
        yield from check_offered(self.dataset_id)
        chosen = yield from self.choice.flow(self.dataset_id, progress)
        self._ids = chosen.ids
        self.choice.guard.check(len(chosen.ids), chosen.total)
        yield from self._read(chosen.ids)
        yield Note(self._plan())
        if self.options.dry_run:
            yield Note("This is a dry run: nothing was changed.")

    def _plan(self) -> str:
        outcomes = list(self._settled.values())
        parts = [f"{len(self._open)} to index again"] if self._open else []
        parts += [f"{len(self._watch.active)} in indexing"] if self._watch.active else []
        parts += [f"{outcomes.count(one)} {one.value}" for one in ReindexOutcome if one in outcomes]
        return f"Of {number_of(len(self._ids))}: {', '.join(parts) or 'nothing to do'}."

    def _read(self, ids: Iterable[str]) -> Flow[None]:
        """Read documents, and decide what to do with each."""
        asked = list(ids)
        found = (yield from read_documents(self.dataset_id, asked)) if asked else {}
        self._names |= {document.id: document.name for document in found.values()}
        for document_id in asked:
            self._decide(document_id, found.get(document_id))

    def _decide(self, document_id: str, document: Document | None) -> None:
        self._open.pop(document_id, None)
        if document is None:
            self._settle(document_id, ReindexOutcome.MISSING)
        elif document.indexed:
            by_us = document_id in self._asked
            self._settle(document_id, ReindexOutcome.REINDEXED if by_us else ReindexOutcome.UNCHANGED)
            if document.belongs_in_search:
                self._in_use.add(document_id)
        elif document.archived:
            self._settle(document_id, ReindexOutcome.REFUSED, _ARCHIVED)
        elif document.failed:
            self._open[document_id] = document
        else:
            self._follow([document_id], document.indexing_status)

    def _follow(self, ids: Iterable[str], status: str = "waiting") -> None:
        for document_id in ids:
            self._open.pop(document_id, None)
            self._settled[document_id] = ReindexOutcome.REINDEXED
            self._watch.active[document_id] = status

    def _settle(self, document_id: str, outcome: ReindexOutcome, why: str | None = None) -> None:
        self._open.pop(document_id, None)
        self._settled[document_id] = outcome
        if why:
            self._errors[document_id] = why

    def _send_all(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        total = len(self._open)
        while self._open:
            batch = list(self._open)[: self.options.batch_size]
            try:
                for part in self._smaller_and_smaller(batch):
                    yield from self._send(part)
                self._failures = 0
            except DifyError as error:
                if not error.retryable:
                    raise
                yield from self._recover(error, batch, deadline, retries)
            yield from progress.note("Sent", total - len(self._open), total)
        self._sent = True

    def _smaller_and_smaller(self, batch: Sequence[str]) -> Iterator[Sequence[str]]:
        """All of a batch; if Dify refused it, those that are still open together, and then one by one."""
        yield batch
        left = [document_id for document_id in batch if document_id in self._open]
        if 1 < len(left) < len(batch):
            yield left  # what was in the way is settled
        yield from ([document_id] for document_id in left if document_id in self._open)

    def _send(self, batch: Sequence[str]) -> Flow[None]:
        """Send documents. If Dify refuses them, decide about each again, from what it is now."""
        try:
            yield from self._enable(batch)
            ready = [document_id for document_id in batch if document_id in self._open]
            if ready:
                self._asked.update(ready)
                yield from retry_documents(self.dataset_id, ready)
                self._follow(ready)
        except DifyError as error:
            if not may_be_carried_out(error):
                self._asked.difference_update(batch)
            if not _is_about_documents(error):
                raise
            still = [document_id for document_id in batch if document_id in self._open]
            yield from self._read(still)
            if len(batch) == 1 and still and still[0] in self._open:
                self._settle_refused(still[0], error)

    def _settle_refused(self, document_id: str, error: DifyError) -> None:
        """Settle a document that Dify refuses although its indexing has failed."""
        # No read shows that a failed document is paused, so this is the only reason left.
        if isinstance(error, DifyRequestError) and error.code == "document_indexing":
            self._settle(document_id, ReindexOutcome.FAILED, _PAUSED)
        else:
            self._settle(document_id, ReindexOutcome.BUSY, error.message)

    def _enable(self, batch: Sequence[str]) -> Flow[None]:
        """Enable the documents that Dify has disabled because it could not bring them into search."""
        for document_id in batch:
            if document_id in self._open and not self._open[document_id].enabled:
                try:
                    yield from api.change_status(self.dataset_id, Action.ENABLE, [document_id])
                except DifyDocumentBusyError as error:
                    self._settle(document_id, ReindexOutcome.BUSY, error.message)

    def _recover(self, error: DifyError, batch: Sequence[str], deadline: Deadline, retries: Retries) -> Flow[None]:
        """After a failure, wait, and read the documents before anything is sent again."""
        self._failures += 1
        still = [i for i in batch if i in self._open]
        if not (yield from retries.recover(self._failures, error, deadline, lambda: self._read(still))):
            raise error

    def _index(self, deadline: Deadline, progress: Progress) -> Flow[None]:
        self._watch.add(list(self._watch.active), deadline)
        yield from self._watch.finish(deadline, progress)

    def _arrive(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Prove that search returns the documents."""
        report = self.report()
        brought = [*report.reindexed, *(i for i in report.unchanged if i in self._in_use)]
        yield from self._arrival.flow(brought, deadline, retries, Progress(deadline), in_use=brought)


def retry_documents(dataset_id: str, document_ids: Sequence[str]) -> Flow[None]:
    """Have Dify index failed documents again, from the contents that it keeps. If it refuses one, it takes none.

    The response says that a job is queued. It follows Dify's source: the endpoint is not in its reference yet.
    """
    yield _retry_request(dataset_id, document_ids, repeatable=False)


def check_offered(dataset_id: str) -> Flow[None]:
    """Check that this Dify can index failed documents again. Only the request itself shows it.

    A Dify that has the request refuses it without ids. It is called after something was read, so the host is right.

    :raises DifyInputError: It cannot.
    """
    try:
        yield _retry_request(dataset_id, (), repeatable=True)
    except DifyRequestError as error:
        if error.status == 400 and error.code:
            return
        if not _is_unknown_route(error):
            raise
        dify = f"Dify {error.server_version}" if error.server_version else "This Dify"
        # Not with the other error as its cause: that one says to check the host.
        raise DifyInputError(
            f"{dify} cannot index failed documents again: releases up to 1.17.1 do not have that request, and it was "
            f"answered with {error.status}. Nothing was changed. Send the content again with "
            "DifyDocumentIngestOperator or DifySyncOperator, or upgrade Dify."
        ) from None


def _retry_request(dataset_id: str, document_ids: Sequence[str], *, repeatable: bool) -> Request:
    path = f"/datasets/{dataset_id}/documents/retry"
    return Request("POST", path, json={"document_ids": list(document_ids)}, repeatable=repeatable)


def _is_unknown_route(error: DifyRequestError) -> bool:
    """Whether a request does not exist there: not Dify's own 404, and no 405 of something in front of it."""
    if isinstance(error, DifyNotFoundError):
        return False
    return error.status == 404 or (error.status == 405 and error.server_version is not None)


def _is_about_documents(error: DifyError) -> bool:
    """Whether Dify refused a request because of one of its documents."""
    if isinstance(error, DifyNotFoundError):
        return api.document_is_missing(error)
    # Not their other subclasses: those concern the whole knowledge base.
    return error.code == "archived_document_immutable" or type(error) in (DifyRequestError, DifyDocumentBusyError)
