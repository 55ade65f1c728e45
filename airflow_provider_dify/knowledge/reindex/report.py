"""The outcome of each document that should be indexed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyReindexError, DifyReindexFailed
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of


class ReindexOutcome(ReportOutcome):
    """The outcome of a document."""

    #: It was not indexed, Dify has indexed it since, and search returns it.
    REINDEXED = "reindexed"
    #: It was indexed already; nothing was sent for it. If it is in use, search returns it.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: It is not in this knowledge base.
    MISSING = "missing", "not in this knowledge base; check the ids", FINAL, UNTOUCHED
    #: It is archived, and Dify does not index archived documents again.
    REFUSED = (
        "refused",
        "archived, and Dify does not index such documents again; delete them, or tolerate 'refused'",
        FINAL,
        UNTOUCHED,
    )
    #: Dify holds its lock on it, or somebody else is having it indexed again.
    BUSY = "busy", "busy in Dify; the errors in the report say what it answered; retry later"
    #: Its indexing failed again or is paused, or the document was deleted.
    FAILED = "failed", "Dify's indexing failed; its message is in the report"
    #: Its indexing did not finish by the deadline, or made no progress for too long.
    NOT_INDEXED = "not_indexed", "not indexed in time; raise the timeout, or check what keeps Dify's worker busy"
    #: Dify has indexed it, but search does not return it.
    LAGGING = "lagging", "indexed, but not returned by search; the errors in the report say why"
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable", "Dify found no text; send a version with text, or delete such documents", FINAL
    #: The run ended before its turn. In a dry run, it would be indexed again.
    NOT_ATTEMPTED = "not_attempted", "the run ended first; run it again, it sends nothing twice", UNTOUCHED


@dataclass(frozen=True)
class ReindexReport(DocumentReport[ReindexOutcome]):
    """The outcome of each document that should be indexed again.

    Each requested id is in exactly one list, in the order requested, as Dify writes it.

    :param dataset_id: The knowledge base.
    :param errors: Messages about single documents, by id.
    :param repaired: How many documents search had lost and returns again after they were disabled and enabled.
    :param dry_run: Whether nothing should be changed: what would have been indexed again is ``not_attempted``, which is
        not a failure.
    """

    kind = ReindexOutcome
    measured_as = "documents.reindex"
    raises = DifyReindexError, DifyReindexFailed

    dataset_id: str
    reindexed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_indexed: tuple[str, ...] = ()
    lagging: tuple[str, ...] = ()
    not_searchable: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    repaired: int = 0
    dry_run: bool = False

    def _problem(self, count: int) -> str:
        was = if_one(count, "was", "were")
        return f"{part_of(count, self.total)} of knowledge base {self.dataset_id} {was} not indexed again."
