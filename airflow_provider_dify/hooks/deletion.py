"""The verb of the hook that deletes documents."""

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
        """Delete documents for good, archived ones too, and prove that they are gone.

        Dify deletes no archived document. It is switched off where it is on, so that it does not come back into search
        for a moment, then un-archived, then deleted. A document that is not there is as good as deleted.

        https://docs.dify.ai/api-reference/documents/delete-document

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents.
        :param filters: Instead of ids, what the documents have to be; see :meth:`select_documents`. At least one.
        :param max_documents: Delete nothing where more documents than this are meant.
        :param max_share: Delete nothing where more than this part of the knowledge base is meant, such as ``0.1``;
            ``auto``: one half for what filters select, any for ids; ``None``: any.
        :param dry_run: Whether to look and to plan only; what would be deleted is ``not_attempted`` in the report.
        :param timeout: Seconds to wait for archived documents on which Dify holds its lock.
        :param poll_interval: Seconds between two tries while waiting; the first ones come sooner.
        :return: What became of each document.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyGuardError: More documents are meant than a limit allows; nothing was changed.
        :raises DifyDocumentDeleteError: Documents are still there; ``report`` of the error tells which.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        choice = self._choice(document_ids, filters, max_documents, max_share)
        deletion = Deletion(dataset_id, choice, poll_interval=poll_interval, dry_run=dry_run)
        return self.run(*self._within(deletion, inputs.number(timeout, "timeout")))
