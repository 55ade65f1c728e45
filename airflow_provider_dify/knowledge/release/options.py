"""The options of a release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider_dify.knowledge.status.options import StatusOptions, WaitOptions


class Retire(str, Enum):
    """What happens to old documents."""

    ARCHIVE = "archive"
    DISABLE = "disable"
    DELETE = "delete"


class Until(str, Enum):
    """How far a release goes."""

    #: The new documents are in search, next to the old ones.
    ENABLE = "enable"
    #: The old ones are retired.
    RETIRE = "retire"


class Tolerable(str, Enum):
    """Outcomes that a release or rollback may tolerate."""

    #: Old documents that are not in the knowledge base.
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class ReleaseOptions(WaitOptions):
    """How a release is done.

    :param retire: What happens to the old documents: ``archive``, ``disable`` or ``delete``.
    :param until: ``retire``: the whole release. ``enable``: only bring the new documents into search; another task with
        the same channel and release continues from there.
    :param queries: What search has to return before old documents leave, as for ``DifyRetrievalCheckOperator``. Search
        still returns the old documents then.
    :param tolerate: ``("missing",)``: old documents that do not exist do not fail the task. For documents that filters
        select, that is always so.
    :param dry_run: Whether to only check and plan.
    :param stall_timeout: Seconds without any progress of the indexing after which it fails; ``None``: never.
    :param batch_size: Maximum number of documents in one request.
    :param repair: Whether to queue jobs again that Dify seems to have lost after half of the time, by sending the
        opposite action and back.
    :param timeout: Seconds for the whole release, including waiting for indexing, and the same again to undo it. Dify's
        lock on a document can last 600 s. An ``execution_timeout`` of the task should leave room for both.
    :raises DifyInputError: A value is invalid.
    """

    retire: str = Retire.ARCHIVE.value
    until: str = Until.RETIRE.value
    queries: Any = None
    tolerate: Iterable[str] = ()
    dry_run: bool = False
    batch_size: int = 100
    repair: bool = True
    timeout: float = 1800.0

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs

        super().__post_init__()
        inputs.settle(
            self,
            retire=inputs.one_of(Retire),
            until=inputs.one_of(Until),
            tolerate=inputs.some_of(Tolerable),
            dry_run=inputs.flag,
            batch_size=inputs.whole_number,
            repair=inputs.flag,
        )
        if isinstance(self.queries, Iterable) and not isinstance(self.queries, (str, bytes, Mapping)):
            object.__setattr__(self, "queries", list(self.queries))

    @property
    def changes(self) -> StatusOptions:
        """How changes are sent and awaited."""
        return StatusOptions(
            batch_size=self.batch_size,
            poll_interval=self.poll_interval,
            repair=self.repair,
            prove_by=self.prove_by,
        )
