"""The operator that selects documents of a Dify knowledge base for other tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.exceptions import DifyGuardError
from airflow_provider_dify.tasks.base import KnowledgeBaseTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DifyListDocumentsOperator(KnowledgeBaseTask, BaseOperator):
    """Return the ids of the documents in a knowledge base that match all filters, newest first.

    Pass its output to an operator as ``document_ids``. With ``batches_of``, expand that operator over it, so that each
    batch has its own task and retries:

    .. code-block:: python

        old = DifyListDocumentsOperator(
            task_id="old", dataset_id=KB, filters={"status": "available", "created_before": "90d"}, batches_of=200
        )
        DifyDocumentStatusOperator.partial(task_id="archive", dataset_id=KB, action="archive").expand(
            document_ids=old.output
        )

    .. seealso:: https://docs.dify.ai/api-reference/documents/list-documents

    :param filters: Conditions for the documents: parameters of :meth:`DifyHook.list_documents`, such as ``{"status":
        "archived", "metadata": {"team": "support"}}``, or a text that renders to such a mapping. ``None``, or an empty
        one: all documents.
    :param batches_of: Return lists of at most this many ids. Airflow expands over at most 1,024 of them unless ``[core]
        max_map_length`` says otherwise.
    :param max_documents: Fail if more documents than this match.
    :param fail_if_empty: Whether to fail if no document matches; otherwise the list is empty.
    :return: A list of ids or, with ``batches_of``, a list of such lists.
    :raises DifyInputError: The parameters are invalid; nothing was sent.
    :raises DifyGuardError: More documents match than ``max_documents``, or none does and ``fail_if_empty`` is set.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = ("dify_conn_id", "dataset_id", "dataset_name", "filters", "max_documents")
    ui_color = "#d6e4ff"
    filters: Any
    batches_of: int | None
    max_documents: int | None
    fail_if_empty: bool
    writes = False

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        batches_of: int | None = None,
        max_documents: int | str | None = None,
        fail_if_empty: bool = False,
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> list[str] | list[list[str]]:
        """Select the documents, and return their ids."""
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.progress import Progress
        from airflow_provider_dify.knowledge.selection.guards import Guard
        from airflow_provider_dify.knowledge.selection.select import Selection, select
        from airflow_provider_dify.knowledge.text.counts import number_of
        from airflow_provider_dify.transport.clock import current

        selection = Selection.parse({} if self.filters is None else self.filters, current().time())
        size = None if self.batches_of is None else inputs.whole_number(self.batches_of, "batches_of")
        guard = Guard(self.max_documents)
        fail_if_empty = inputs.flag(self.fail_if_empty, "fail_if_empty")
        dataset_id = self.in_knowledge_base(lambda given: inputs.canonical_id(given, "dataset_id"))
        what = "all documents" if selection.is_everything else f"documents: {selection.describe()}"
        with self.open_hook(context, dataset_id) as hook:
            flow = select(dataset_id, selection, Progress(hook.deadline(0)))
            selected = hook.run(self.introduced(hook, flow, dataset_id, f"Listing {what}."))
        self.log.info("%s", selected.describe(selection))
        ids = [document.id for document in selected.documents]
        guard.check(len(ids), selected.total)
        if fail_if_empty and not ids:
            raise DifyGuardError(
                f"No document of knowledge base {dataset_id} matches the filters ({selection.describe()}); it has "
                f"{number_of(selected.total)}. Correct the filters, or remove fail_if_empty."
            )
        if size is None:
            return ids
        batches = [ids[start : start + size] for start in range(0, len(ids), size)]
        self.log.info("%s of at most %s.", number_of(len(batches), "batch", "batches"), number_of(size))
        return batches
