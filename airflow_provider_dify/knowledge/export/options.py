"""The options of an export. This module imports almost nothing, because every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Maximum number of documents that Dify packs into one archive.
MOST_IN_ARCHIVE = 100


@dataclass(frozen=True)
class ExportOptions:
    """How an export is done.

    :param batch_size: How many documents are downloaded in one archive, at most 100. After a kill, the next run
        downloads at most this many again.
    :param timeout: Seconds for the whole export. What was saved by then stays, and the next run continues from there.
    :param tolerate: Outcomes that should not fail the task, such as ``("no_content",)``.
    """

    batch_size: int = MOST_IN_ARCHIVE
    timeout: float = 3600.0
    tolerate: Iterable[str] = ()

    def __post_init__(self) -> None:
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.export.report import ExportOutcome

        inputs.settle(
            self,
            batch_size=inputs.whole_number,
            timeout=inputs.number,
            tolerate=inputs.some_of(ExportOutcome),
        )
        if self.batch_size > MOST_IN_ARCHIVE:
            raise DifyInputError(
                f"batch_size must be at most {MOST_IN_ARCHIVE}, not {self.batch_size}: Dify packs no more documents "
                "into one archive."
            )
