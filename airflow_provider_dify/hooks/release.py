"""The verbs of the hook that release a new version of documents, and take it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.release.journal import Version
from airflow_provider_dify.knowledge.release.manifest import Manifest
from airflow_provider_dify.knowledge.release.options import ReleaseOptions
from airflow_provider_dify.knowledge.release.release import Release
from airflow_provider_dify.knowledge.release.replacement import Replacement
from airflow_provider_dify.knowledge.release.rollback import Rollback
from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport
from airflow_provider_dify.knowledge.release.switch import Pace
from airflow_provider_dify.transport import clock as clocks

#: Seconds that a release or a rollback may take: more than Dify's lock of 600 s can.
TIMEOUT = 1800.0


class ReleaseVerbs(FlowHook):
    """Releases and rolls back."""

    def release_documents(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | Mapping[str, Any] | str,
        replaces: Iterable[str] | Mapping[str, Any] | str | None,
        *,
        retire: str = "archive",
        channel: str = "default",
        release: str | None = None,
        queries: Iterable[str | Mapping[str, Any]] | None = None,
        max_documents: int | None = None,
        max_share: float | None = None,
        tolerate: Iterable[str] = (),
        dry_run: bool = False,
        timeout: float = TIMEOUT,
        stall_timeout: float | None = STALL_TIMEOUT,
        poll_interval: float = 10.0,
        batch_size: int = 100,
        prove_by: str = "search",
    ) -> Manifest:
        """Put new documents in the place of old ones, or leave everything as it was.

        The new ones are indexed, enabled, and found by search before the first old one leaves. Where a step fails, what
        was done is undone, and that is proven. See ``DifyReleaseOperator`` for all of it.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the new documents, or the report of an ingestion.
            Those that the ingestion has made count as switched off before.
        :param replaces: What they replace: UUIDs, filters (see :meth:`select_documents`), the report of an ingestion,
            ``previous_release``, an empty list for nothing; ``None`` where ``document_ids`` is that report.
        :param retire: ``archive``, ``disable`` or ``delete`` the old ones.
        :param channel: What this is a release of; ``previous_release`` means the one before of the same channel.
        :param release: Its name, the same in each try; ``None``: one made of the ids of the new documents.
        :param queries: What search has to bring before old documents leave, as for ``DifyRetrievalCheckOperator``.
        :param max_documents: Change nothing where more documents than this are to be replaced.
        :param max_share: Change nothing where more than this part of the knowledge base is to be replaced.
        :param tolerate: ``("missing",)``: old documents that are not there fail nothing.
        :param dry_run: Whether to look and to plan only.
        :param timeout: Seconds for all of it; there is as much again to undo it.
        :param stall_timeout: Seconds in which no indexing moves, after which it fails; ``None``: never.
        :param poll_interval: Seconds between two looks while waiting.
        :param batch_size: How many documents one request names at most.
        :param prove_by: What proves that documents have entered search: ``search``, or only their ``segments``.
        :return: The manifest: what was done, and what was before.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyGuardError: More is to be replaced than a limit allows; nothing was changed.
        :raises DifyReleaseUndone: A step failed, and everything is as it was before.
        :raises DifyReleaseIncomplete: A step failed, and not everything could be undone.
        :raises DifyError: Something stood in the way before anything was changed.
        """
        now = clocks.clock.time()
        replacement = Replacement.of(document_ids, replaces, now=now, max_documents=max_documents, max_share=max_share)
        options = ReleaseOptions(
            retire=retire,
            queries=queries,
            tolerate=tolerate,
            dry_run=dry_run,
            stall_timeout=stall_timeout,
            batch_size=batch_size,
            poll_interval=poll_interval,
            prove_by=prove_by,
        )
        one = Release(dataset_id, replacement, Version.of(channel, release, replacement.new), options)
        deadline = self.deadline(inputs.number(timeout, "timeout"))
        return self.run(one.flow(deadline, self.retries), deadline)

    def roll_back(
        self,
        manifest: Mapping[str, Any] | str,
        *,
        tolerate: Iterable[str] = (),
        timeout: float = TIMEOUT,
        poll_interval: float = 10.0,
        batch_size: int = 100,
        prove_by: str = "search",
    ) -> RollbackReport:
        """Give documents exactly the flags again that they had before a release, or before a change of status.

        What was in search is brought back, and found, before the rest is taken out.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param manifest: What was returned by a release, a rollback, or a change of status, as plain JSON.
        :param tolerate: ``("missing",)``: documents that are gone fail nothing.
        :param timeout: Seconds to wait for documents that are busy or not yet in step with search.
        :param poll_interval: Seconds between two looks while waiting.
        :param batch_size: How many documents one request names at most.
        :param prove_by: What proves that documents have entered search: ``search``, or only their ``segments``.
        :return: What became of each document.
        :raises DifyInputError: It is no such manifest; nothing was sent.
        :raises DifyRollbackFailed: Documents that may have been in search are gone; nothing was changed.
        :raises DifyRollbackError: Documents are not as they were.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        rollback = Rollback(manifest, tolerate=tolerate, pace=Pace(batch_size, poll_interval, prove_by=prove_by))
        deadline = self.deadline(inputs.number(timeout, "timeout"))
        return self.run(rollback.flow(deadline, self.retries), deadline)
