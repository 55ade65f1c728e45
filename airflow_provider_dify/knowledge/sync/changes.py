"""Restores documents and retires others: the last steps of a sync, each of them proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from airflow_provider_dify.exceptions import DifyDocumentDeleteError, DifyDocumentStatusError
from airflow_provider_dify.knowledge.answers import Fields, a_text_or_nothing
from airflow_provider_dify.knowledge.deletion.deletion import Deletion
from airflow_provider_dify.knowledge.deletion.report import DeleteOutcome, DeleteReport
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow
from airflow_provider_dify.knowledge.progress import WholeJob
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.options import StatusOptions, WaitOptions
from airflow_provider_dify.knowledge.status.report import Outcome, StatusReport

#: Outcomes that should not stop the other documents of a step.
_TOLERATED = ("missing", "refused")


@dataclass(frozen=True)
class Change:
    """What to do with some documents.

    :param action: A status change; ``None``: they are deleted.
    :param document_ids: The documents.
    """

    action: Action | None
    document_ids: tuple[str, ...]

    @property
    def removes(self) -> bool:
        """Whether it removes them from search, so that deleted documents are fine."""
        return self.action is None or not self.action.adds


class Changes:
    """Changes that are made one after the other. If one fails for a document, the later ones leave it out.

    :param dataset_id: The knowledge base.
    :param changes: The changes, in order.
    :param options: How they are awaited and proven.
    """

    def __init__(self, dataset_id: str, changes: Sequence[Change], options: WaitOptions) -> None:
        self._dataset_id = dataset_id
        self._left = list(changes)
        self._options = options
        #: How many documents the whole job has, for the log.
        self.total = 0
        #: How many documents search had lost and returns again.
        self.repaired = 0
        #: The result for each document: what went wrong, or ``None`` if it is in the requested state.
        self.results: dict[str, str | None] = {}
        #: The current status change; it can continue elsewhere.
        self.under_way: StatusChange | None = None

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Make the changes.

        :param deadline: How long to wait for documents that are busy or not yet reflected by search.
        :param retries: How failed requests are retried.
        :raises DifyError: A request to Dify failed.
        """
        while self._left:
            change = self._left[0]
            ids = tuple(i for i in change.document_ids if self.results.get(i) is None)
            if ids and change.action is None:
                yield from self._delete(ids, deadline, retries)
            elif ids and change.action:
                yield from self._change_status(change.action, ids, deadline, retries)
            del self._left[0]

    def waited(self, report: StatusReport) -> None:
        """Take the result of a wait elsewhere."""
        self._take_status(report)
        del self._left[0]

    def to_json(self) -> dict[str, JSON]:
        """Return what is needed to continue, as plain JSON."""
        left = [[one.action and one.action.value, list(one.document_ids)] for one in self._left]
        return {"left": left, "results": dict(self.results)}

    @classmethod
    def from_json(cls, data: JSON, dataset_id: str, options: WaitOptions) -> Changes:
        """Return changes that continue where :meth:`to_json` was called."""
        state = Fields(data)
        left = [_change(action, ids) for action, ids in state.read("left", a_list_of_pairs)]
        changes = cls(dataset_id, left, options)
        changes.results.update(state.object("results").each(a_text_or_nothing))
        return changes

    def _change_status(self, action: Action, ids: tuple[str, ...], deadline: Deadline, retries: Retries) -> Flow[None]:
        how = self._options
        options = StatusOptions(poll_interval=how.poll_interval, prove_by=how.prove_by, tolerate=_TOLERATED)
        change = self.under_way = StatusChange(self._dataset_id, ids, action, options)
        change.whole = WholeJob.around(len(ids), self.total)
        try:
            yield from change.flow(deadline, retries)
        except DifyDocumentStatusError:
            pass  # errors are reported per document
        finally:
            self._take_status(change.report())
        self.under_way = None

    def _delete(self, ids: tuple[str, ...], deadline: Deadline, retries: Retries) -> Flow[None]:
        deletion = Deletion(self._dataset_id, ids, poll_interval=self._options.poll_interval)
        try:
            yield from deletion.flow(deadline, retries)
        except DifyDocumentDeleteError:
            pass  # as above
        finally:
            self._take_deletion(deletion.report())

    def _take_status(self, report: StatusReport) -> None:
        change = self._left[0]
        self.repaired += report.repaired
        later = {i for other in self._left[1:] for i in other.document_ids}
        for document_id, outcome in report.outcomes().items():
            good = outcome.good or (outcome is Outcome.MISSING and change.removes)
            if not good and outcome is not Outcome.NOT_ATTEMPTED:
                self.results[document_id] = report.errors.get(document_id) or f"{outcome.value}: {outcome.advice}"
            elif good and document_id not in later:
                self.results[document_id] = report.errors.get(document_id) if outcome.good else None

    def _take_deletion(self, report: DeleteReport) -> None:
        for outcome in DeleteOutcome:
            for document_id in report.ids(outcome):
                if outcome.good:
                    self.results[document_id] = None
                elif outcome is not DeleteOutcome.NOT_ATTEMPTED:
                    error = report.errors.get(document_id)
                    self.results[document_id] = error or f"It could not be deleted: {outcome.value}."


def a_list_of_pairs(value: JSON) -> TypeGuard[list[tuple[JSON, JSON]]]:
    """Whether a value is a list of pairs, which JSON has only as lists."""
    return isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value)


def _change(action: JSON, ids: JSON) -> Change:
    return Change(Action(action) if action else None, tuple(Fields({"ids": ids}).texts("ids")))
