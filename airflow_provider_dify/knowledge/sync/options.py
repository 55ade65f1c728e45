"""The options of a sync. This module imports almost nothing, because every DAG file loads it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_dify.knowledge.ingest.options import DeliveryOptions

if TYPE_CHECKING:
    from airflow_provider_dify.knowledge.selection.guards import Guard
    from airflow_provider_dify.knowledge.sync.plan import Planned

#: Default for the share of a sync's documents in use that may be retired.
MAX_SHARE = 0.5


@dataclass(frozen=True)
class SyncOptions(DeliveryOptions):
    """How a sync is done.

    :param retire: What happens to documents whose files are gone: ``archive``, ``disable``, ``delete``, or ``keep`` for
        nothing.
    :param adopt: Whether documents in use that no sync has created are taken over if they have the name of a file. Use
        it once if the folder was uploaded by other means before.
    :param max_documents: Fail, and change nothing, if more documents than this would be retired.
    :param max_share: Fail, and change nothing, if more than this share of the sync's documents in use would be retired;
        ``None``: no limit. Changed contents do not count: they are in the source and can be restored.
    :param dry_run: Whether to only check and plan: nothing is changed, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``.
    :param tolerate: Outcomes that should not fail the task, such as ``("invalid",)``.
    """

    retire: str = "archive"
    adopt: bool = False
    max_documents: int | None = None
    max_share: float | None = MAX_SHARE
    dry_run: bool = False
    tolerate: Iterable[str] = ()

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.sync.plan import Retire
        from airflow_provider_dify.knowledge.sync.report import SyncOutcome

        super().__post_init__()
        inputs.settle(
            self,
            retire=inputs.one_of(Retire),
            adopt=inputs.flag,
            dry_run=inputs.flag,
            tolerate=inputs.some_of(SyncOutcome),
        )
        _ = self.guard  # this checks its limits

    @property
    def guard(self) -> Guard:
        """How many documents may be retired."""
        from airflow_provider_dify.knowledge.selection.guards import Guard

        return Guard(self.max_documents, self.max_share)

    def check_plan(self, plan: Collection[Planned], in_use: int) -> None:
        """Raise an error if a plan does more than a limit allows. Nothing has been changed by then.

        :param plan: What the sync of a folder or of an export would do.
        :param in_use: How many documents of the sync are in use.
        :raises DifyGuardError: A limit would be exceeded.
        """
        from airflow_provider_dify.knowledge.sync.plan import Move

        retired = (one.document for one in plan if one.move is Move.RETIRE)
        # The plan of an export names no documents: it only retires those in use.
        found = sum(document is None or document.belongs_in_search for document in retired)
        self.guard.check(found, in_use, what="to be retired")
