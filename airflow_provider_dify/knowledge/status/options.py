"""The options of a status change, and what others share. Every DAG file loads this, so it imports almost nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_dify.knowledge.flow import JSON

#: Default number of seconds without any progress of the indexing after which a wait fails.
STALL_TIMEOUT = 1800.0


@dataclass(frozen=True, kw_only=True)
class ProofOptions:
    """What proves that documents have entered search.

    :param prove_by: What proves that documents have entered search. ``search``: search returned them. Documents that
        Dify calls available but search does not return are disabled and enabled once, one at a time. A search appears
        among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against the request
        limit of Dify Cloud. ``segments``: their segments are enabled, which Dify also shows for documents whose
        keywords it has lost.
    """

    prove_by: str = "search"

    def to_json(self) -> dict[str, JSON]:
        """Return them as plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: JSON) -> Self:
        """Return the options that :meth:`to_json` was called on."""
        from airflow_provider_dify.knowledge.answers import Fields

        given: dict[str, Any] = Fields(data).values  # whatever they are: they are checked as if a user gave them
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class WaitOptions(ProofOptions):
    """How documents are followed until they are indexed and search returns them.

    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param stall_timeout: Seconds without any progress after which the wait for indexing ends; ``None``: never.
    :param timeout: Seconds for the whole job, including waiting. Dify's lock on a document can last 600 s.
    :raises DifyInputError: A value is invalid.
    """

    poll_interval: float = 10.0
    stall_timeout: float | None = STALL_TIMEOUT
    timeout: float = 3600.0

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.status.proof import ProvenBy

        inputs.settle(
            self,
            prove_by=inputs.one_of(ProvenBy),
            poll_interval=inputs.number,
            stall_timeout=inputs.or_none(inputs.number),
            timeout=inputs.number,
        )


@dataclass(frozen=True, kw_only=True)
class StatusOptions(ProofOptions):
    """How the status of documents is changed.

    :param batch_size: Maximum number of documents in one request.
    :param wait_for_completion: Whether to wait until search reflects the change, not only for the flags.
    :param repair: Whether to queue jobs again that Dify seems to have lost: documents that search does not reflect
        after half of the time are sent through the opposite action and back. Documents that this run brought in and
        that search has lost are repaired in any case.
    :param keep_chunks: Whether to remember the chunks that a person disabled in documents which leave search. Dify
        enables them when it brings the document back; ``DifyRollbackOperator`` disables them again by the report. This
        takes one read for each of these documents.
    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param tolerate: Outcomes that should not fail the task, such as ``("missing",)``. If filters select the documents,
        a document that is deleted afterwards is ``missing`` but does not fail the task.
    :param dry_run: Whether to only check and plan: nothing is changed, and documents that would be are
        ``not_attempted`` in the report, which then has ``"dry_run": true``.
    :param timeout: Seconds to wait for documents that are busy, being indexed, or not yet reflected by search. Dify's
        lock on a document can last 600 s.
    :raises DifyInputError: A value is invalid.
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
