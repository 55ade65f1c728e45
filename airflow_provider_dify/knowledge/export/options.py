"""How a knowledge base is exported. It loads next to nothing, as every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Dify packs at most so many documents into one archive.
MOST_IN_ARCHIVE = 100


@dataclass(frozen=True)
class ExportOptions:
    """How an export is done.

    :param batch_size: How many documents are downloaded in one archive, at most 100. An export that is killed downloads
        at most so many of them again.
    :param timeout: Seconds for all of it. What was downloaded by then stays, and the next try continues from there.
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
