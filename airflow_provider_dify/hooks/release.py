"""The verbs of the hook that release a new version of documents, and take it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.release.journal import Version
from airflow_provider_dify.knowledge.release.manifest import Manifest
from airflow_provider_dify.knowledge.release.options import ReleaseOptions
from airflow_provider_dify.knowledge.release.release import Release
from airflow_provider_dify.knowledge.release.replacement import Replacement
from airflow_provider_dify.knowledge.release.rollback import Rollback
from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport
from airflow_provider_dify.knowledge.status.options import StatusOptions
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
        options: ReleaseOptions | None = None,
        *,
        channel: str = "default",
        release: str | None = None,
        max_documents: int | None = None,
        max_share: float | None = None,
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
        :param options: How it is done.
        :param channel: What this is a release of; ``previous_release`` means the one before of the same channel.
        :param release: Its name, the same in each try; ``None``: one made of the ids of the new documents.
        :param max_documents: Change nothing if more documents than this are to be replaced.
        :param max_share: Change nothing if more than this part of the knowledge base is to be replaced.
        :return: The manifest: what was done, and what was before.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyGuardError: More is to be replaced than a limit allows; nothing was changed.
        :raises DifyReleaseUndone: A step failed, and everything is as it was before.
        :raises DifyReleaseIncomplete: A step failed, and not everything could be undone.
        :raises DifyError: Something stood in the way before anything was changed.
        """
        now = clocks.clock.time()
        replacement = Replacement.of(document_ids, replaces, now=now, max_documents=max_documents, max_share=max_share)
        options = inputs.given(options, ReleaseOptions, "options")
        version = Version.of(channel, release, replacement.new)
        return self.run(*self._within(Release(dataset_id, replacement, version, options), options.timeout))

    def roll_back(
        self,
        manifest: Mapping[str, Any] | str,
        options: StatusOptions | None = None,
        *,
        tolerate: Iterable[str] = (),
    ) -> RollbackReport:
        """Give documents exactly the flags again that they had before a release, or before a change of status.

        What was in search is brought back, and found, before the rest is taken out.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param manifest: What was returned by a release, a rollback, or a change of status, as plain JSON.
        :param options: How it is done; by default, jobs that Dify seems to have lost are queued again (``repair``), and
            it may take 1,800 s.
        :param tolerate: ``("missing",)``: documents that are gone fail nothing.
        :return: What became of each document.
        :raises DifyInputError: It is no such manifest; nothing was sent.
        :raises DifyRollbackFailed: Documents that may have been in search are gone; nothing was changed.
        :raises DifyRollbackError: Documents are not as they were.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        usual = StatusOptions(repair=True, timeout=TIMEOUT)
        options = usual if options is None else inputs.given(options, StatusOptions, "options")
        return self.run(*self._within(Rollback(manifest, tolerate=tolerate, options=options), options.timeout))
