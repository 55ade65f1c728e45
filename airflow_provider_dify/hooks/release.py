"""The methods of the hook that release a new version of documents and roll it back."""

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

#: Seconds that a release or rollback may take: longer than Dify's lock of 600 s.
TIMEOUT = 1800.0


class ReleaseVerbs(FlowHook):
    """Releases and rolls back documents."""

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
        """Replace old documents with new ones, or leave everything as it was.

        The new documents are indexed, enabled, and returned by search before the first old one leaves search. If a step
        fails, all changes are undone, and that is confirmed. See ``DifyReleaseOperator`` for details.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the new documents, or the report of an ingestion. Documents that the ingestion
            created count as disabled before.
        :param replaces: What they replace: UUIDs, filters (see :meth:`select_documents`), the report of an ingestion,
            ``previous_release``, or an empty list for nothing; ``None`` if ``document_ids`` is a report.
        :param options: How it is done.
        :param channel: What this is a release of. ``previous_release`` means the last release of the same channel.
        :param release: Its name, the same in each try; ``None``: derived from the ids of the new documents.
        :param max_documents: Change nothing if more documents than this would be replaced.
        :param max_share: Change nothing if more than this share of the knowledge base would be replaced.
        :return: The manifest: what was done, and the state before.
        :raises DifyInputError: The arguments are invalid; nothing was sent.
        :raises DifyGuardError: More documents would be replaced than a limit allows; nothing was changed.
        :raises DifyReleaseUndone: A step failed, and everything is as it was before.
        :raises DifyReleaseIncomplete: A step failed, and not everything could be undone.
        :raises DifyError: Something failed before anything was changed.
        """
        now = self._clock.time()
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
        """Restore exactly the flags that documents had before a release or a status change.

        Documents that were in search return to it first, and search has to return them before the others leave.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param manifest: The result of a release, a rollback, or a status change, as plain JSON.
        :param options: How it is done. By default, lost indexing jobs are queued again (``repair``), and the timeout is
            1,800 s.
        :param tolerate: ``("missing",)``: deleted documents do not raise.
        :return: The outcome of each document.
        :raises DifyInputError: The manifest is invalid; nothing was sent.
        :raises DifyRollbackFailed: Documents that may have been in search were deleted; nothing was changed.
        :raises DifyRollbackError: Documents do not have their previous flags.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        usual = StatusOptions(repair=True, timeout=TIMEOUT)
        options = usual if options is None else inputs.given(options, StatusOptions, "options")
        return self.run(*self._within(Rollback(manifest, tolerate=tolerate, options=options), options.timeout))
