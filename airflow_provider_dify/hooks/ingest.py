"""The verb of the hook that makes documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dify.encodings import UTF_8
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.ingest.contents import DocumentOptions
from airflow_provider_dify.knowledge.ingest.delivery import HASH_FIELD
from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome, IngestReport
from airflow_provider_dify.patterns import HIDDEN
from airflow_provider_dify.sources import MAX_FILE_SIZE, resolve


class IngestVerbs(FlowHook):
    """Makes documents of files and texts."""

    def ingest_documents(
        self,
        dataset_id: str,
        source: Any,
        *,
        if_exists: str = "update",
        wait_for_indexing: bool = True,
        options: DocumentOptions | None = None,
        metadata: Mapping[str, Any] | None = None,
        hash_field: str | None = HASH_FIELD,
        max_active: int = 20,
        max_file_size: int | None = MAX_FILE_SIZE,
        exclude: Iterable[str] | str = HIDDEN,
        encoding: str | None = UTF_8,
        follow_links: bool = False,
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        tolerate: Iterable[str] = (),
    ) -> IngestReport:
        """Make documents of files and texts, each once, and wait until they are indexed.

        https://docs.dify.ai/api-reference/documents/create-document-by-file

        :param dataset_id: UUID of the knowledge base.
        :param source: What becomes documents (see :func:`~airflow_provider_dify.sources.resolve`): a path or an URL of
            a file, of a folder, or with wildcards; ``{"name": ..., "text": ...}``; or a list of these.
        :param if_exists: What to do where there is a document of the same name: ``update``, ``skip``, ``fail``,
            ``new_version`` or ``for_release``.
        :param wait_for_indexing: Whether to wait until Dify has indexed all of them.
        :param options: How Dify should treat the documents.
        :param metadata: Values for the metadata of each document.
        :param hash_field: Name of the metadata that keeps a content's SHA-256; ``None``: keep none, and send always.
        :param max_active: How many documents may be in indexing at a time before another one is sent.
        :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit of our own.
        :param exclude: No files of a folder or a pattern whose path below it fits one of these patterns.
        :param encoding: Encoding of files of text; ``detect``: find it out; ``None``: send them as they are.
        :param follow_links: Whether links in a folder or a pattern may lead out of it.
        :param timeout: Seconds for all of it.
        :param poll_interval: Seconds between two looks at the indexing; the first looks come sooner.
        :param stall_timeout: Seconds in which no document moves a step, after which waiting is given up.
        :param prove_by: What proves that documents have entered search: ``search``, or only their ``segments``.
        :param tolerate: Outcomes that should not raise, such as ``invalid``.
        :return: What became of each input.
        :raises DifyInputError: What was asked for makes no sense, or not with this knowledge base; nothing was sent.
        :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all.
        :raises DifyIngestError: Inputs ended in an outcome that is not tolerated; ``report`` tells which.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        tolerated = inputs.choices(tolerate, IngestOutcome, "tolerate")
        ingestion = Ingestion(
            dataset_id,
            resolve(source, max_file_size=max_file_size, exclude=exclude, encoding=encoding, follow_links=follow_links),
            if_exists=if_exists,
            options=options,
            metadata=metadata,
            hash_field=hash_field,
            max_active=max_active,
            poll_interval=poll_interval,
            stall_timeout=stall_timeout,
            prove_by=prove_by,
        )
        deadline = self.deadline(inputs.number(timeout, "timeout"))
        report = self.run(
            ingestion.flow(deadline, self.retries, wait=wait_for_indexing, prove=wait_for_indexing), deadline
        )
        report.raise_for_outcomes(tolerated)
        return report
