"""The method of the hook that deletes documents."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_dify.hooks.selection import Filters, SelectionVerbs
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.deletion.deletion import Deletion
from airflow_provider_dify.knowledge.deletion.report import DeleteReport
from airflow_provider_dify.knowledge.selection.guards import AUTO


class DeletionVerbs(SelectionVerbs):
    """Deletes documents."""

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
