"""The methods of the hook for documents."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_dify.hooks.selection import Filters, SelectionVerbs
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.deletion.deletion import Deletion
from airflow_provider_dify.knowledge.deletion.report import DeleteReport
from airflow_provider_dify.knowledge.documents import ActionName, Document
from airflow_provider_dify.knowledge.indexing.report import IndexingReport
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.reindex.options import ReindexOptions
from airflow_provider_dify.knowledge.reindex.reindex import Reindex
from airflow_provider_dify.knowledge.reindex.report import ReindexReport
from airflow_provider_dify.knowledge.selection.guards import AUTO
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT, StatusOptions
from airflow_provider_dify.knowledge.status.report import StatusReport


class DocumentVerbs(SelectionVerbs):
    """Reads documents, changes their status, deletes them, and waits for their indexing."""

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
        """Change the status of documents, and confirm that they have the requested status.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents; ``None`` if there are filters.
        :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
        :param options: How the change is done.
        :param filters: Conditions that select documents, instead of ids; see :meth:`select_documents`. At least one.
        :param max_documents: Change nothing if more documents than this are selected.
        :param max_share: Change nothing if more than this share of the knowledge base is selected, such as ``0.1``;
            ``auto``: one half for filters, no limit for ids; ``None``: no limit.
        :return: The outcome of each document.
        :raises DifyInputError: The arguments are invalid; nothing was sent.
        :raises DifyGuardError: More documents are selected than a limit allows; nothing was changed.
        :raises DifyDocumentStatusError: Documents have an outcome that is not tolerated.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        options = inputs.given(options, StatusOptions, "options")
        choice = self._choice(document_ids, filters, max_documents, max_share)
        return self.run(*self._within(StatusChange(dataset_id, choice, action, options), options.timeout))

    def reindex_documents(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | str | None = None,
        options: ReindexOptions | None = None,
        *,
        filters: Filters | None = None,
        max_documents: int | None = None,
        max_share: float | str | None = AUTO,
    ) -> ReindexReport:
        """Have Dify index failed documents again, and wait until search returns them.

        Releases of Dify up to 1.17.1 cannot do it, so Dify is asked before anything is changed. Dify's reference does
        not have the request yet; this follows Dify's source. How the state of indexing is read:
        https://docs.dify.ai/api-reference/documents/get-document-indexing-status

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents; ``None`` if there are filters.
        :param options: How it is done.
        :param filters: Conditions that select documents, such as ``{"status": "error"}``, instead of ids; see
            :meth:`select_documents`. At least one.
        :param max_documents: Change nothing if more documents than this are selected.
        :param max_share: Change nothing if more than this share of the knowledge base is selected, such as ``0.1``;
            ``auto``: one half for filters, no limit for ids; ``None``: no limit.
        :return: The outcome of each document.
        :raises DifyInputError: The arguments are invalid, or this Dify cannot do it; nothing was changed.
        :raises DifyGuardError: More documents are selected than a limit allows; nothing was changed.
        :raises DifyReindexError: Documents have an outcome that is not tolerated.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        options = inputs.given(options, ReindexOptions, "options")
        choice = self._choice(document_ids, filters, max_documents, max_share)
        return self.run(*self._within(Reindex(dataset_id, choice, options), options.timeout))

    def delete_documents(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | str | None = None,
        *,
        filters: Filters | None = None,
        max_documents: int | None = None,
        max_share: float | str | None = AUTO,
        dry_run: bool = False,
        timeout: float = 900.0,
        poll_interval: float = 10.0,
    ) -> DeleteReport:
        """Delete documents permanently, including archived ones, and confirm that they are gone.

        Dify does not delete archived documents. They are disabled if necessary, so that they do not appear in search
        for a moment, then un-archived, then deleted. A document that does not exist counts as deleted.

        https://docs.dify.ai/api-reference/documents/delete-document

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents.
        :param filters: Conditions that select documents, instead of ids; see :meth:`select_documents`. At least one.
        :param max_documents: Delete nothing if more documents than this are selected.
        :param max_share: Delete nothing if more than this share of the knowledge base is selected, such as ``0.1``;
            ``auto``: one half for filters, no limit for ids; ``None``: no limit.
        :param dry_run: Whether to only read and plan. Documents that would be deleted are ``not_attempted`` in the
            report.
        :param timeout: Seconds to wait for archived documents that Dify has locked.
        :param poll_interval: Seconds between two attempts while waiting; the first ones come sooner.
        :return: The outcome of each document.
        :raises DifyInputError: The arguments are invalid; nothing was sent.
        :raises DifyGuardError: More documents are selected than a limit allows; nothing was changed.
        :raises DifyDocumentDeleteError: Documents still exist; the error's ``report`` says which.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        choice = self._choice(document_ids, filters, max_documents, max_share)
        deletion = Deletion(dataset_id, choice, poll_interval=poll_interval, dry_run=dry_run)
        return self.run(*self._within(deletion, inputs.number(timeout, "timeout")))

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
        """Wait until all documents of an indexing batch or a list are indexed and search returns them.

        https://docs.dify.ai/api-reference/documents/get-document-indexing-status

        :param dataset_id: UUID of the knowledge base.
        :param batch: The batch that Dify returned when the documents were created.
        :param document_ids: UUIDs of the documents, instead of a batch.
        :param stall_timeout: Seconds without any progress after which waiting fails; ``None``: never.
        :param prove_by: What proves that enabled documents are in search: ``search``, or only their ``segments``.
        :param timeout: Seconds to wait.
        :param poll_interval: Seconds between two checks; the first checks come sooner.
        :return: The documents, all of them indexed.
        :raises DifyInputError: The arguments are invalid; nothing was sent.
        :raises DifyIndexingError: A document failed, is paused, is gone, or is not returned by search; the error's
            ``documents`` says which.
        :raises DifyIndexingStalled: There was no progress for too long.
        :raises DifyIndexingTimeout: They were not indexed in time.
        :raises DifyError: A request to Dify failed.
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
