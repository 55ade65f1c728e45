"""The options of indexing documents again. This module imports almost nothing, because every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_dify.knowledge.status.options import WaitOptions

#: Dify accepts at most this many documents in one request (read in its source).
MOST_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class ReindexOptions(WaitOptions):
    """How failed documents are indexed again.

    :param batch_size: Maximum number of documents in one request, up to 100. Dify's worker indexes those of a request
        one after the other.
    :param tolerate: Outcomes that should not fail the task, such as ``("refused",)``. If filters select the documents,
        a document that is deleted afterwards is ``missing`` but does not fail the task.
    :param dry_run: Whether to only check and plan: nothing is changed, and documents that would be indexed again are
        ``not_attempted`` in the report, which then has ``"dry_run": true``.
    :param timeout: Seconds to wait until all documents are indexed and search returns them.
    :raises DifyInputError: A value is invalid.
    """

    batch_size: int = MOST_AT_ONCE
    tolerate: Iterable[str] = ()
    dry_run: bool = False

    def __post_init__(self) -> None:
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.reindex.report import ReindexOutcome

        super().__post_init__()
        inputs.settle(
            self,
            batch_size=inputs.whole_number,
            tolerate=inputs.some_of(ReindexOutcome),
            dry_run=inputs.flag,
        )
        if self.batch_size > MOST_AT_ONCE:
            raise DifyInputError(
                f"batch_size must be at most {MOST_AT_ONCE}, not {self.batch_size}: Dify accepts no more documents in "
                "one request."
            )
