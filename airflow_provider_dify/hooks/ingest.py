"""The method of the hook that creates documents."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
from airflow_provider_dify.knowledge.ingest.options import IngestOptions, ReadOptions
from airflow_provider_dify.knowledge.ingest.report import IngestReport
from airflow_provider_dify.sources import resolve


class IngestVerbs(FlowHook):
    """Creates documents from files and texts."""

    def ingest_documents(
        self,
        dataset_id: str,
        source: Any,
        options: IngestOptions | None = None,
        *,
        reading: ReadOptions | None = None,
        wait_for_indexing: bool = True,
    ) -> IngestReport:
        """Create documents from files and texts, each exactly once, and wait until they are indexed.

        https://docs.dify.ai/api-reference/documents/create-document-by-file

        :param dataset_id: UUID of the knowledge base.
        :param source: What becomes documents (see :func:`~airflow_provider_dify.sources.resolve`): a path or URL of a
            file or a folder, or with wildcards; ``{"name": ..., "text": ...}``; or a list of these.
        :param options: How it is done.
        :param reading: Which files are read, and how.
        :param wait_for_indexing: Whether to wait until Dify has indexed all of them and search returns them.
        :return: The outcome of each input.
        :raises DifyInputError: The arguments are invalid, or do not work with this knowledge base; nothing was sent.
        :raises DifyKnowledgeBaseFailed: The knowledge base accepts no documents at all.
        :raises DifyIngestError: Inputs have an outcome that is not tolerated; the error's ``report`` says which.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        options = inputs.given(options, IngestOptions, "options")
        ingestion = Ingestion(dataset_id, resolve(source, reading), options, wait=wait_for_indexing)
        report = self.run(*self._within(ingestion, options.timeout))
        report.raise_for_outcomes(options.tolerate)
        return report
