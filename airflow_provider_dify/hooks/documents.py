"""The verbs of the hook that are about documents."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_dify.hooks.deletion import DeletionVerbs
from airflow_provider_dify.hooks.selection import Filters
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.documents import ActionName, Document
from airflow_provider_dify.knowledge.indexing.wait import IndexingReport, IndexingWait
from airflow_provider_dify.knowledge.selection.guards import AUTO
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT, StatusOptions
from airflow_provider_dify.knowledge.status.report import StatusReport


class DocumentVerbs(DeletionVerbs):
    """Changes, lists, deletes and awaits documents."""

    def change_document_status(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | str | None,
        action: ActionName,
        options: StatusOptions | None = None,
        *,
        filters: Filters | None = None,
        max_documents: int | None = None,
        max_share: float | str | None = AUTO,
    ) -> StatusReport:
        """Change the status of documents, and prove that they are in the state that was asked for.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents; ``None`` if there are filters.
        :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
        :param options: How it is done.
        :param filters: Instead of ids, what the documents have to be; see :meth:`select_documents`. At least one.
        :param max_documents: Change nothing if more documents than this are meant.
        :param max_share: Change nothing if more than this part of the knowledge base is meant, such as ``0.1``;
            ``auto``: one half for what filters select, any for ids; ``None``: any.
        :return: What became of each document.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyGuardError: More documents are meant than a limit allows; nothing was changed.
        :raises DifyDocumentStatusError: Documents ended in an outcome that is not tolerated.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        options = inputs.given(options, StatusOptions, "options")
        choice = self._choice(document_ids, filters, max_documents, max_share)
        return self.run(*self._within(StatusChange(dataset_id, choice, action, options), options.timeout))

    def wait_until_indexed(
        self,
        dataset_id: str,
        batch: str | None = None,
        *,
        document_ids: Iterable[str] | str | None = None,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
    ) -> IndexingReport:
        """Wait until all documents of an indexing batch, or of a list, are indexed, and search returns them.

        https://docs.dify.ai/api-reference/documents/get-document-indexing-status

        :param dataset_id: UUID of the knowledge base.
        :param batch: The batch that Dify answered the creation of the documents with.
        :param document_ids: UUIDs of the documents, instead of a batch.
        :param stall_timeout: Seconds in which no document moves a step or a segment, after which it fails; ``None``:
            never.
        :param prove_by: What proves that those in use have entered search: ``search``, or only their ``segments``.
        :param timeout: Seconds to wait.
        :param poll_interval: Seconds between two looks; the first looks come sooner.
        :return: The documents, all of them indexed.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyIndexingError: A document failed, is paused, is gone, or is one that search does not return;
            ``documents`` of the error tells which.
        :raises DifyIndexingStalled: Nothing has moved for too long.
        :raises DifyIndexingTimeout: They were not indexed in time.
        :raises DifyError: Dify could not be asked.
        """
        wait = IndexingWait(
            dataset_id,
            batch=batch,
            document_ids=document_ids,
            stall_timeout=stall_timeout,
            prove_by=prove_by,
            poll_interval=poll_interval,
        )
        return self.run(*self._within(wait, inputs.number(timeout, "timeout")))

    def get_document(self, dataset_id: str, document_id: str) -> Document:
        """Read one document.

        https://docs.dify.ai/api-reference/documents/get-document

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :return: The document.
        :raises DifyNotFoundError: It is not in this knowledge base.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        return self.run(api.get_document(dataset_id, inputs.canonical_id(document_id, "document_id")))
