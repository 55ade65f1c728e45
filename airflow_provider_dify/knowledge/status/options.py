"""How the status of documents is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.status.proof import ProvenBy
from airflow_provider_dify.knowledge.status.report import Outcome


@dataclass(frozen=True)
class StatusOptions:
    """How the status of documents is changed.

    :param batch_size: How many documents one request names at most.
    :param wait_for_completion: Whether to wait until search reflects the change, and not only for the flags.
    :param repair: Whether to queue a job again that Dify seems to have lost: documents that search does not reflect
        when half of the time is gone are sent through the opposite action and back. Documents that this run brought in
        and that search has lost are repaired in any case.
    :param prove_by: What proves that documents have entered search. ``search``: search returned them; documents that
        Dify calls available and that it does not return are taken out and brought back once, one at a time. A search
        shows up among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against
        the request limit of Dify Cloud. ``segments``: only that their segments are enabled, which Dify also shows for
        documents whose keywords it has lost.
    :param keep_chunks: Whether to note the chunks that a person disabled in documents which leave search. Dify enables
        them when it brings the document back; ``DifyRollbackOperator`` disables them again by the report. It takes one
        read for each of these documents.
    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param tolerate: Outcomes that should not fail the task, such as ``("missing",)``. If filters select the documents,
        one that is deleted after that is ``missing`` and fails nothing.
    :param dry_run: Whether to check and to plan only: nothing is changed, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``.
    :raises DifyInputError: A value makes no sense.
    """

    batch_size: int = 100
    wait_for_completion: bool = True
    repair: bool = False
    prove_by: str = ProvenBy.SEARCH.value
    keep_chunks: bool = False
    poll_interval: float = 10.0
    tolerate: Iterable[str] = ()
    dry_run: bool = False

    def __post_init__(self) -> None:
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
        )

    def to_json(self) -> dict[str, JSON]:
        """Return them as plain JSON."""
        return {**asdict(self), "tolerate": list(self.tolerate)}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> StatusOptions:
        """Return what :meth:`to_json` was made of."""
        return cls(**data)
