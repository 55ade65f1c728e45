"""The outcome of each document in a status change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyDocumentStatusFailed
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of

_LOST = (
    "search does not reflect it: Dify's worker is down, is slow, or lost the job or the keywords. Dify 1.16.0 loses "
    "keywords if its worker runs several jobs at once: set CELERY_WORKER_AMOUNT=1, or use a fixed version"
)


class Outcome(ReportOutcome):
    """The outcome of a document."""

    #: It was not in the requested state, Dify accepted the change, and a final read confirmed it.
    CHANGED = "changed"
    #: It already was in the requested state; nothing was sent for it.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: It is not in this knowledge base.
    MISSING = (
        "missing",
        "not in this knowledge base; check the ids and the dataset_id, or tolerate 'missing'",
        FINAL,
        UNTOUCHED,
    )
    #: The change would do harm, or cannot work.
    REFUSED = "refused", "archived: un_archive first", FINAL, UNTOUCHED
    #: Its indexing failed, is paused, or did not finish by the deadline.
    NOT_READY = "not_ready", "indexing failed, is paused, or takes longer; check in Dify", UNTOUCHED
    #: Dify still held its lock at the deadline.
    BUSY = "busy", "Dify holds a lock, for at most 600 s after its job; raise the timeout or retry later"
    #: Dify accepted the change, but its worker undid it or marked the document as failed.
    REVERTED = "reverted", "Dify's worker or somebody else undid the change; the errors in the report say more"
    #: It has the requested flags, but search did not reflect them by the deadline.
    LAGGING = "lagging", _LOST
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable", "Dify found no text; send the content again, or leave it out", FINAL
    #: It would have been changed, but the run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "not changed, because the run ended first", UNTOUCHED


@dataclass(frozen=True)
class StatusReport(DocumentReport[Outcome]):
    """The outcome of each document in a status change.

    Each requested id is in exactly one list, in the order requested, as Dify writes it. ``changed`` is the rollback
    list: pass it to the opposite action.

    :param dataset_id: The knowledge base.
    :param action: The requested action.
    :param errors: Messages from Dify or the checks about single documents, by id.
    :param dry_run: Whether nothing should be changed: what would have been is ``not_attempted``, which is not a
        failure.
    :param disabled_chunks: Ids of the chunks that were disabled in documents before they left search, by document id,
        if they were remembered: a rollback disables them again.
    :param repaired: How many documents search had lost and returns again after they were disabled and enabled.
    """

    kind = Outcome
    measured_as = "documents.status"
    raises = DifyDocumentStatusError, DifyDocumentStatusFailed

    dataset_id: str
    action: str
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    not_ready: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    reverted: tuple[str, ...] = ()
    lagging: tuple[str, ...] = ()
    not_searchable: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    repaired: int = 0
    disabled_chunks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dry_run: bool = False

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcome of each document, by id."""
        return {document_id: outcome for outcome in Outcome for document_id in self.ids(outcome)}

    def _is_final(self, failing: Collection[Outcome]) -> bool:
        causes = set(failing) - {Outcome.NOT_ATTEMPTED}
        return bool(causes) and super()._is_final(causes)

    def _problem(self, count: int) -> str:
        return (
            f"{self.action}: {part_of(count, self.total)} of knowledge base {self.dataset_id} "
            f"{if_one(count, 'is', 'are')} not in the requested state."
        )
