"""The verb of the hook that brings a knowledge base in step with a folder."""

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
    """Brings a knowledge base in step with a folder."""

    def sync_documents(
        self,
        dataset_id: str,
        source: Any,
        options: SyncOptions | None = None,
        *,
        reading: FolderOptions | None = None,
        sync_source: str | None = None,
    ) -> SyncReport:
        """Bring the documents of a knowledge base in step with the files of a folder, and prove that they are.

        Only documents that an earlier sync of the same name has made are touched.

        https://docs.dify.ai/api-reference/documents/create-document-by-file

        :param dataset_id: UUID of the knowledge base.
        :param source: The folder: a path, an URL that ``ObjectStoragePath`` opens, or a path object.
        :param options: How it is done.
        :param reading: Which files are read, and how.
        :param sync_source: Name of the sync, which its documents bear; the source as it is written by default.
        :return: What became of each file and document.
        :raises DifyInputError: What was asked for makes no sense, or two files would become one document.
        :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all.
        :raises DifySourceError: The source is missing, empty or cannot be listed; nothing was changed.
        :raises DifyGuardError: More documents would be retired than a limit allows; nothing was changed.
        :raises DifySyncError: Something ended in an outcome that is not tolerated; ``report`` tells what.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        options = inputs.given(options, SyncOptions, "options")
        files = list_folder(source, reading)
        name = sync_source or inputs.without_keys(str(source)).rstrip("/")
        sync = Sync(dataset_id, files, options, sync_source=name)
        report = self.run(*self._within(sync, options.timeout))
        report.raise_for_outcomes([SyncOutcome(one) for one in options.tolerate])
        return report
