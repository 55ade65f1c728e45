"""Deletes documents so that they are really gone, and reports on each of them.

Dify deletes one document at a time, and no archived ones: those have to be un-archived first, which its lock can delay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from airflow_provider_dify.exceptions import DifyError, DifyNotFoundError, DifyRequestError, DifyServerError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.deletion.ledger import DeleteLedger
from airflow_provider_dify.knowledge.deletion.report import DeleteOutcome, DeleteReport
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.errors import may_be_carried_out
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.progress import Intervals, Progress
from airflow_provider_dify.knowledge.reading import read_documents, still_there
from airflow_provider_dify.knowledge.report import by_name
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.selection.choice import Choice
from airflow_provider_dify.knowledge.status.sender import PassResult, Sender
from airflow_provider_dify.knowledge.text.counts import number_of

_BATCH = 100
#: How many documents are un-archived before they are deleted. A killed run leaves no more than this behind.
_UN_ARCHIVED_AT_ONCE = 20
#: If Dify fails with this many documents in a row, the cause is not the documents.
_MOST_GIVEN_UP = 3
_STILL_THERE = "Dify answered that it was deleted, but it still exists."
_THERE_AFTER_ALL = "Dify answered that it did not exist, but at the end it did."


class Deletion:
    """The deletion of documents, from the first read to the confirmation.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment, even if the
    task is killed halfway.

    :param dataset_id: UUID of the knowledge base.
    :param document_ids: UUIDs: a list, one id, or a string that contains a list; or the choice that finds them.
    :param poll_interval: Seconds between two tries while Dify holds its lock; the first ones come sooner.
    :param dry_run: Whether to only read and plan. Documents that would be deleted are ``not_attempted`` in the report.
    :raises DifyInputError: An argument is invalid.
    """

    def __init__(
        self, dataset_id: object, document_ids: object, *, poll_interval: float = 10.0, dry_run: bool = False
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        #: Finds the documents.
        self.choice = document_ids if isinstance(document_ids, Choice) else Choice.of(document_ids)
        self._waits = Intervals(longest=inputs.number(poll_interval, "poll_interval"))
        self._dry_run = inputs.flag(dry_run, "dry_run")
        self._ledger = DeleteLedger(self.choice.ids or ())
        # A removing call also removes the lock that it would leave on its first document. An adding call must not
        # repeat.
        self._sender = Sender(self.dataset_id, _BATCH, lambda action: not action.adds)
        self._failures = 0
        self._given_up = 0
        self._failed_with: str | None = None

    def report(self) -> DeleteReport:
        """Return the outcome of each document so far; complete and consistent at any moment."""
        ledger = self._ledger
        outcomes = by_name(ledger.all_outcomes())
        return DeleteReport(self.dataset_id, **outcomes, errors=dict(ledger.errors()), dry_run=self._dry_run)

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents read so far, by id."""
        return self._ledger.names

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[DeleteReport]:
        """Delete the documents.

        :param deadline: How long to wait for busy documents.
        :param retries: How failed requests are retried.
        :return: The report. Each requested id is in exactly one of its lists.
        :raises DifyGuardError: There are more documents than the guard of the choice allows; nothing was changed.
        :raises DifyDocumentDeleteError: Documents still exist.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        progress = Progress(deadline)
        try:
            yield from self._look_first(progress)
            if not self._dry_run and self._ledger.open:
                yield from self._carry_out(deadline, retries, progress)
                yield from self._prove()
                yield from self._put_back(progress)
        except DifyError as error:
            yield from self._put_back(progress)
            error.report = self.report()
            raise
        report = self.report()
        report.raise_for_outcomes()
        return report

    def _look_first(self, progress: Progress) -> Flow[None]:
        chosen = yield from self.choice.flow(self.dataset_id, progress)
        if self.choice.ids is None:
            self._ledger = DeleteLedger(chosen.ids)
        self.choice.guard.check(len(chosen.ids), chosen.total)
        if not chosen.ids:
            yield Note("There is nothing to delete; nothing was changed.")
            return
        yield from self._read(chosen.ids)
        yield Note(self._ledger.plan())
        if self._dry_run:
            yield Note(f"This is a dry run: nothing was changed. {self._preview()}")

    def _preview(self) -> str:
        would = self._ledger.open
        names = ", ".join(f"'{self._ledger.documents[document_id].name}'" for document_id in would[:3])
        more = f" and {len(would) - 3:,} more" if len(would) > 3 else ""
        return f"It would delete {names}{more}." if would else "There is nothing to delete."

    def _carry_out(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        while self._ledger.open:
            error = yield from self._push_on(progress)
            if error:
                yield from self._recover(error, deadline, retries)
            elif self._ledger.open:
                if deadline.passed:
                    for document_id in self._ledger.open:
                        self._ledger.settle(document_id, DeleteOutcome.BUSY)
                    return
                yield progress.pause(min(self._waits.next(), deadline.remaining), self._ledger.awaits())

    def _push_on(self, progress: Progress) -> Flow[DifyError | None]:
        """Do what is possible now; return a failure that is worth another try."""
        self._failed_with = None
        off = yield from self._apply(Action.DISABLE, self._ledger.to_disable, progress)
        if off.error:
            return off.error
        # Meanwhile the worker removes disabled documents from its index; until then they are locked.
        if error := (yield from self._delete_all(self._ledger.deletable, progress)):
            return error
        fresh = set(off.taken)
        ready = [document_id for document_id in self._ledger.to_un_archive if document_id not in fresh]
        for start in range(0, len(ready), _UN_ARCHIVED_AT_ONCE):
            part = ready[start : start + _UN_ARCHIVED_AT_ONCE]
            result = yield from self._apply(Action.UN_ARCHIVE, part, progress)
            error = result.error or (yield from self._delete_all(result.taken, progress))
            if error or not result.taken:
                return error
        return None

    def _apply(self, action: Action, ids: Sequence[str], progress: Progress) -> Flow[PassResult]:
        result = PassResult()
        try:
            yield from self._sender.send(action, ids, self._ledger.names if ids else {}, result, progress)
        finally:
            self._ledger.applied(action, result.taken, result.unsure, result.busy)
        if result.taken:
            self._went_well()
        return result

    def _delete_all(self, ids: Iterable[str], progress: Progress) -> Flow[DifyError | None]:
        for document_id in ids:
            try:
                yield from self._delete(document_id)
            except DifyError as error:
                if not error.retryable:
                    raise
                self._failed_with = document_id
                return error
            yield from progress.note("Deleted", len(self._ledger.gone), len(self._ledger.ids))
        return None

    def _delete(self, document_id: str) -> Flow[None]:
        self._ledger.asking(document_id)
        try:
            yield from api.delete_document(self.dataset_id, document_id)
        except DifyError as error:
            if not may_be_carried_out(error):
                self._ledger.not_asked(document_id)
            if not self._is_about(document_id, error):
                raise
        else:
            self._ledger.settle(document_id, DeleteOutcome.DELETED)
        self._went_well()

    def _is_about(self, document_id: str, error: DifyError) -> bool:
        """Record a refusal that only concerns this document; others may still be deleted."""
        if isinstance(error, DifyNotFoundError) and api.document_is_missing(error):
            self._ledger.not_there(document_id)
        elif error.code == "archived_document_immutable":
            self._ledger.archived_meanwhile(document_id)
        elif type(error) is DifyRequestError:  # not a subclass: those concern all documents
            self._ledger.settle(document_id, DeleteOutcome.FAILED, error.message)
        else:
            return False
        return True

    def _recover(self, error: DifyError, deadline: Deadline, retries: Retries) -> Flow[None]:
        """After a failure, wait, and read the documents before anything is sent again."""
        self._failures += 1
        if not (yield from retries.recover(self._failures, error, deadline, lambda: self._read(self._ledger.open))):
            self._give_up(error)

    def _give_up(self, error: DifyError) -> None:
        """Leave out a document whose deletion always fails; raise if the document is not the cause."""
        document_id = self._failed_with
        if document_id is None or not isinstance(error, DifyServerError):
            raise error
        self._failures = 0
        if document_id in self._ledger.outcomes:
            return
        self._given_up += 1
        self._ledger.settle(document_id, DeleteOutcome.FAILED, error.message)
        if self._given_up >= _MOST_GIVEN_UP:
            raise error

    def _went_well(self) -> None:
        self._failures = self._given_up = 0
        self._waits.restart()

    def _prove(self) -> Flow[None]:
        for document_id in (yield from still_there(self.dataset_id, self._ledger.gone)):
            deleted = self._ledger.outcomes[document_id] is DeleteOutcome.DELETED
            self._ledger.settle(document_id, DeleteOutcome.FAILED, _STILL_THERE if deleted else _THERE_AFTER_ALL)

    def _put_back(self, progress: Progress) -> Flow[None]:
        """Archive again what was un-archived but not deleted. If that fails, the report says so."""
        ids = self._ledger.to_put_back
        if not ids:
            return
        with suppress(DifyError):
            yield Note(f"Archiving {number_of(len(ids))} again that could not be deleted after un-archiving.")
            yield from self._apply(Action.ARCHIVE, ids, progress)

    def _read(self, ids: Iterable[str]) -> Flow[None]:
        asked = list(ids)
        if asked:
            self._ledger.seen(asked, (yield from read_documents(self.dataset_id, asked)))
