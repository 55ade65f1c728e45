"""The methods of the hook that sync a knowledge base with a folder, and export it into one."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.exports.source import open_export
from airflow_provider_dify.exports.target import open_target
from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.export.export import Export
from airflow_provider_dify.knowledge.export.options import ExportOptions
from airflow_provider_dify.knowledge.export.report import ExportReport
from airflow_provider_dify.knowledge.ingest.options import FolderOptions
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.promotion import Promotion
from airflow_provider_dify.knowledge.sync.report import SyncReport
from airflow_provider_dify.knowledge.sync.sync import Sync


class SyncVerbs(FlowHook):
    """Syncs a knowledge base with a folder, and exports it into one."""

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

        Only documents that an earlier sync of the same name created are touched. If the folder is an export, its
        documents are recreated with their metadata, process rules and flags.

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
        :raises DifyGuardError: A limit would be exceeded; nothing was changed.
        :raises DifySyncError: A file or document has an outcome that is not tolerated; the error's ``report`` says
            which.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        options = inputs.given(options, SyncOptions, "options")
        how = inputs.given(reading, FolderOptions, "reading")
        exported = open_export(source, how, adopt=options.adopt)
        files = list_folder(source, how) if exported is None else ()
        name = sync_source or inputs.without_keys(str(source)).rstrip("/")
        sync: Sync | Promotion
        if exported is None:
            sync = Sync(dataset_id, files, options, sync_source=name)
        else:
            sync = Promotion(dataset_id, exported, options, sync_source=name)
        report = self.run(*self._within(sync, options.timeout))
        report.raise_for_outcomes(options.tolerate)
        return report

    def export_dataset(self, dataset_id: str, target: Any, options: ExportOptions | None = None) -> ExportReport:
        """Export a knowledge base into a folder or bucket, and prove that everything is there.

        Contents that an earlier export saved there are not downloaded again, unless they have changed in Dify.

        https://docs.dify.ai/api-reference/documents/download-documents-as-zip

        :param dataset_id: UUID of the knowledge base.
        :param target: The folder: a path, a URL that ``ObjectStoragePath`` opens, or a path object. It is created.
        :param options: How it is done.
        :return: The outcome of each document.
        :raises DifyInputError: The arguments are invalid, the target holds something else, or Dify is too old.
        :raises DifyStorageError: The target cannot be read or written.
        :raises DifyExportError: Documents have an outcome that is not tolerated; the error's ``report`` says which.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        options = inputs.given(options, ExportOptions, "options")
        export = Export(dataset_id, open_target(target), options)
        report = self.run(*self._within(export, options.timeout))
        report.raise_for_outcomes(options.tolerate)
        return report
