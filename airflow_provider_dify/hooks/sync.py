"""The method of the hook that syncs a knowledge base with a folder."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.ingest.options import FolderOptions
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.report import SyncOutcome, SyncReport
from airflow_provider_dify.knowledge.sync.sync import Sync


class SyncVerbs(FlowHook):
    """Syncs a knowledge base with a folder."""

    def sync_documents(
        self,
        dataset_id: str,
        source: Any,
        options: SyncOptions | None = None,
        *,
        reading: FolderOptions | None = None,
        sync_source: str | None = None,
    ) -> SyncReport:
        """Sync the documents of a knowledge base with the files of a folder, and confirm the result.

        Only documents that an earlier sync of the same name created are touched.

        https://docs.dify.ai/api-reference/documents/create-document-by-file

        :param dataset_id: UUID of the knowledge base.
        :param source: The folder: a path, a URL that ``ObjectStoragePath`` opens, or a path object.
        :param options: How it is done.
        :param reading: Which files are read, and how.
        :param sync_source: Name of the sync, stored in its documents; by default, the source as written.
        :return: The outcome of each file and document.
        :raises DifyInputError: The arguments are invalid, or two files would become one document.
        :raises DifyKnowledgeBaseFailed: The knowledge base accepts no documents at all.
        :raises DifySourceError: The source is missing, empty or cannot be listed; nothing was changed.
        :raises DifyGuardError: More documents would be retired than a limit allows; nothing was changed.
        :raises DifySyncError: A file or document has an outcome that is not tolerated; the error's ``report`` says
            which.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        options = inputs.given(options, SyncOptions, "options")
        files = list_folder(source, reading)
        name = sync_source or inputs.without_keys(str(source)).rstrip("/")
        sync = Sync(dataset_id, files, options, sync_source=name)
        report = self.run(*self._within(sync, options.timeout))
        report.raise_for_outcomes([SyncOutcome(one) for one in options.tolerate])
        return report
