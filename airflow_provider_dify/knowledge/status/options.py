"""How the status of documents is changed. It loads next to nothing, as every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_dify.knowledge.flow import JSON

#: Seconds without any progress of the indexing after which a wait fails unless told otherwise.
STALL_TIMEOUT = 1800.0


@dataclass(frozen=True, kw_only=True)
class ProofOptions:
    """What proves that documents have entered search.

    :param prove_by: What proves that documents have entered search. ``search``: search returned them; documents that
        Dify calls available and that it does not return are taken out and brought back once, one at a time. A search
        shows up among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against
        the request limit of Dify Cloud. ``segments``: only that their segments are enabled, which Dify also shows for
        documents whose keywords it has lost.
    """

    prove_by: str = "search"

    def to_json(self) -> dict[str, JSON]:
        """Return them as plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Return what :meth:`to_json` was made of."""
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class StatusOptions(ProofOptions):
    """How the status of documents is changed.

    :param batch_size: How many documents one request names at most.
    :param wait_for_completion: Whether to wait until search reflects the change, and not only for the flags.
    :param repair: Whether to queue a job again that Dify seems to have lost: documents that search does not reflect
        when half of the time is gone are sent through the opposite action and back. Documents that this run brought in
        and that search has lost are repaired in any case.
    :param keep_chunks: Whether to note the chunks that a person disabled in documents which leave search. Dify enables
        them when it brings the document back; ``DifyRollbackOperator`` disables them again by the report. It takes one
        read for each of these documents.
    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param tolerate: Outcomes that should not fail the task, such as ``("missing",)``. If filters select the documents,
        one that is deleted after that is ``missing`` and fails nothing.
    :param dry_run: Whether to check and to plan only: nothing is changed, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``.
    :param timeout: Seconds to wait for documents that are busy, being indexed, or not yet in step with search. Dify's
        lock on a document can last 600 s.
    :raises DifyInputError: A value makes no sense.
    """

    batch_size: int = 100
    wait_for_completion: bool = True
    repair: bool = False
    keep_chunks: bool = False
    poll_interval: float = 10.0
    tolerate: Iterable[str] = ()
    dry_run: bool = False
    timeout: float = 900.0

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.status.proof import ProvenBy
        from airflow_provider_dify.knowledge.status.report import Outcome

        inputs.settle(
            self,
            batch_size=inputs.whole_number,
            wait_for_completion=inputs.flag,
            repair=inputs.flag,
            prove_by=inputs.one_of(ProvenBy),
            keep_chunks=inputs.flag,
            poll_interval=inputs.number,
            tolerate=inputs.some_of(Outcome),
            dry_run=inputs.flag,
            timeout=inputs.number,
        )
