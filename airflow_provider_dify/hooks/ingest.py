"""The verb of the hook that makes documents."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
from airflow_provider_dify.knowledge.ingest.options import IngestOptions, ReadOptions
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome, IngestReport
from airflow_provider_dify.sources import resolve


class IngestVerbs(FlowHook):
    """Makes documents of files and texts."""

    def ingest_documents(
        self,
        dataset_id: str,
        source: Any,
        options: IngestOptions | None = None,
        *,
        reading: ReadOptions | None = None,
        wait_for_indexing: bool = True,
    ) -> IngestReport:
        """Make documents of files and texts, each once, and wait until they are indexed.

        https://docs.dify.ai/api-reference/documents/create-document-by-file

        :param dataset_id: UUID of the knowledge base.
        :param source: What becomes documents (see :func:`~airflow_provider_dify.sources.resolve`): a path or an URL of
            a file, of a folder, or with wildcards; ``{"name": ..., "text": ...}``; or a list of these.
        :param options: How it is done.
        :param reading: Which files are read, and how.
        :param wait_for_indexing: Whether to wait until Dify has indexed all of them, and search returns them.
        :return: What became of each input.
        :raises DifyInputError: What was asked for makes no sense, or not with this knowledge base; nothing was sent.
        :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all.
        :raises DifyIngestError: Inputs ended in an outcome that is not tolerated; ``report`` tells which.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        options = inputs.given(options, IngestOptions, "options")
        ingestion = Ingestion(dataset_id, resolve(source, reading), options, wait=wait_for_indexing)
        report = self.run(*self._within(ingestion, options.timeout))
        report.raise_for_outcomes([IngestOutcome(one) for one in options.tolerate])
        return report
