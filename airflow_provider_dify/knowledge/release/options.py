"""How a release is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT, ProofOptions, StatusOptions


class Retire(str, Enum):
    """What becomes of old documents."""

    ARCHIVE = "archive"
    DISABLE = "disable"
    DELETE = "delete"


class Until(str, Enum):
    """How far a release goes."""

    #: The new documents are in search, beside the old ones.
    ENABLE = "enable"
    #: The old ones are retired.
    RETIRE = "retire"


class Tolerable(str, Enum):
    """What need not fail a release or a rollback."""

    #: Old documents that are not in the knowledge base.
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class ReleaseOptions(ProofOptions):
    """How a release is done.

    :param retire: What becomes of the old documents: ``archive``, ``disable`` or ``delete``.
    :param until: ``retire``: all of it. ``enable``: only bring the new ones in; another task with the same channel and
        release continues from there.
    :param queries: What search has to return before old documents leave, as for ``DifyRetrievalCheckOperator``. The old
        documents are still found then.
    :param tolerate: ``("missing",)``: old documents that are not there fail nothing. Those that filters select do not.
    :param dry_run: Whether to check and to plan only.
    :param stall_timeout: Seconds without any progress of the indexing after which it fails; ``None``: never.
    :param batch_size: How many documents one request names at most.
    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param repair: Whether to queue again, by the opposite action and back, the jobs that Dify seems to have lost when
        half of the time is gone.
    :param timeout: Seconds for all of it, waiting for the indexing included; there is as much again to undo it. Dify's
        lock on a document can last 600 s. An ``execution_timeout`` of the task should leave room for both.
    :raises DifyInputError: Something of this makes no sense.
    """

    retire: str = Retire.ARCHIVE.value
    until: str = Until.RETIRE.value
    queries: Any = None
    tolerate: Iterable[str] = ()
    dry_run: bool = False
    stall_timeout: float | None = STALL_TIMEOUT
    batch_size: int = 100
    poll_interval: float = 10.0
    repair: bool = True
    timeout: float = 1800.0

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.status.proof import ProvenBy

        inputs.settle(
            self,
            retire=inputs.one_of(Retire),
            until=inputs.one_of(Until),
            tolerate=inputs.some_of(Tolerable),
            dry_run=inputs.flag,
            stall_timeout=inputs.or_none(inputs.number),
            batch_size=inputs.whole_number,
            poll_interval=inputs.number,
            repair=inputs.flag,
            prove_by=inputs.one_of(ProvenBy),
            timeout=inputs.number,
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
