"""The verb of the hook that brings a knowledge base in step with a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dify.encodings import UTF_8
from airflow_provider_dify.folders import HIDDEN, list_folder
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.ingest.contents import DocumentOptions
from airflow_provider_dify.knowledge.selection.guards import Guard
from airflow_provider_dify.knowledge.sync.plan import MAX_SHARE
from airflow_provider_dify.knowledge.sync.report import SyncOutcome, SyncReport
from airflow_provider_dify.knowledge.sync.sync import Sync
from airflow_provider_dify.sources import MAX_FILE_SIZE


class SyncVerbs(FlowHook):
    """Brings a knowledge base in step with a folder."""

    def sync_documents(
        self,
        dataset_id: str,
        source: Any,
        *,
        sync_source: str | None = None,
        recursive: bool = False,
        include: Iterable[str] | str = "*",
        exclude: Iterable[str] | str = HIDDEN,
        name_prefix: str = "",
        retire: str = "archive",
        adopt: bool = False,
        max_documents: int | None = None,
        max_share: float | None = MAX_SHARE,
        dry_run: bool = False,
        options: DocumentOptions | None = None,
        metadata: Mapping[str, Any] | None = None,
        max_active: int = 20,
        max_file_size: int | None = MAX_FILE_SIZE,
        encoding: str | None = UTF_8,
        follow_links: bool = False,
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        tolerate: Iterable[str] = (),
    ) -> SyncReport:
        """Bring the documents of a knowledge base in step with the files of a folder, and prove that they are.

        Only documents that an earlier sync of the same name has made are touched.

        https://docs.dify.ai/api-reference/documents/create-document-by-file

        :param dataset_id: UUID of the knowledge base.
        :param source: The folder: a path, an URL that ``ObjectStoragePath`` opens, or a path object.
        :param sync_source: Name of the sync, which its documents bear; the source as it is written by default.
        :param recursive: Whether folders below count; ``guide/setup.md`` becomes ``guide__setup.md``.
        :param include: Only files whose path below the source fits one of these patterns.
        :param exclude: No files whose path below the source fits one of these patterns.
        :param name_prefix: What the name of each document begins with.
        :param retire: What becomes of documents whose files are gone: ``archive``, ``disable``, ``delete``, ``keep``.
        :param adopt: Whether documents in use that no sync has made are taken over where they have the name of a file.
        :param max_documents: Change nothing where more documents than this would be retired.
        :param max_share: Change nothing where more than this part of the documents in use would be retired.
        :param dry_run: Whether to look and to plan only; what would be done is ``not_attempted`` in the report.
        :param options: How Dify should treat the documents.
        :param metadata: More values for the metadata of each document.
        :param max_active: How many documents may be in indexing at a time before another one is sent.
        :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit of our own.
        :param encoding: Encoding of files of text; ``detect``: find it out; ``None``: send them as they are.
        :param follow_links: Whether links may lead out of the source.
        :param timeout: Seconds for all of it.
        :param poll_interval: Seconds between two looks while waiting; the first looks come sooner.
        :param stall_timeout: Seconds in which no document moves, after which the wait for indexing is given up.
        :param prove_by: What proves that documents have entered search: ``search``, or only their ``segments``.
        :param tolerate: Outcomes that should not raise, such as ``invalid``.
        :return: What became of each file and document.
        :raises DifyInputError: What was asked for makes no sense, or two files would become one document.
        :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all.
        :raises DifySourceError: The source is missing, empty or cannot be listed; nothing was changed.
        :raises DifyGuardError: More documents would be retired than a limit allows; nothing was changed.
        :raises DifySyncError: Something ended in an outcome that is not tolerated; ``report`` tells what.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        tolerated = inputs.choices(tolerate, SyncOutcome, "tolerate")
        seconds = inputs.number(timeout, "timeout")
        sync = Sync(
            dataset_id,
            list_folder(
                source,
                recursive=recursive,
                include=include,
                exclude=exclude,
                name_prefix=name_prefix,
                max_file_size=max_file_size,
                encoding=encoding,
                follow_links=follow_links,
            ),
            sync_source=sync_source or inputs.without_keys(str(source)).rstrip("/"),
            retire=retire,
            adopt=adopt,
            guard=Guard(max_documents, max_share),
            options=options,
            metadata=metadata,
            max_active=max_active,
            poll_interval=poll_interval,
            stall_timeout=stall_timeout,
            dry_run=dry_run,
            prove_by=prove_by,
        )
        deadline = self.deadline(seconds)
        report = self.run(sync.flow(deadline, self.retries), deadline)
        report.raise_for_outcomes(tolerated)
        return report
