"""The verbs of the hook that list documents, all of them or those that are selected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.selection.choice import Choice
from airflow_provider_dify.knowledge.selection.conditions import MetadataValue, Moment
from airflow_provider_dify.knowledge.selection.select import Selection, page_of, passing, select
from airflow_provider_dify.transport import clock as clocks

#: Filters as a DAG writes them, or as a template renders them.
Filters: TypeAlias = Mapping[str, Any] | str


class SelectionVerbs(FlowHook):
    """Lists and selects documents."""

    def list_documents(
        self,
        dataset_id: str,
        *,
        status: str | Iterable[str] | None = None,
        keyword: str | None = None,
        name: str | Iterable[str] | None = None,
        created_after: Moment | None = None,
        created_before: Moment | None = None,
        updated_after: Moment | None = None,
        updated_before: Moment | None = None,
        metadata: Mapping[str, MetadataValue | list[MetadataValue]] | None = None,
        enabled: bool | None = None,
        archived: bool | None = None,
        max_hits: int | None = None,
        never_retrieved: bool | None = None,
    ) -> Iterator[Document]:
        """List the documents of a knowledge base that fit all filters, page by page as they are used, each once.

        Points in time are ISO dates or times (UTC where they name no zone), objects, seconds since the epoch, or ages
        such as ``90d``, ``12h``, ``30m`` and ``2w``. A span begins with its ``…_after`` and ends just before its
        ``…_before``.

        https://docs.dify.ai/api-reference/documents/list-documents

        :param dataset_id: UUID of the knowledge base.
        :param status: Only these: ``available``, ``disabled``, ``archived``, ``queuing``, ``indexing``, ``paused`` or
            ``error``; one, or a list.
        :param keyword: Only documents with this in their name (case counts, ``%`` and ``_`` are wildcards).
        :param name: Only documents whose name fits this pattern, or one of these (case counts, ``*``, ``?`` and
            ``[…]`` are wildcards).
        :param created_after: Only documents that were created then or later.
        :param created_before: Only documents that were created before.
        :param updated_after: Only documents that were changed then or later. Dify does not list that: each document
            that fits otherwise is read by itself.
        :param updated_before: Only documents that were last changed before.
        :param metadata: Only documents with these values; of a list, with one of them. ``None``: with no value.
        :param enabled: Only documents that are switched on, or that are not.
        :param archived: Only documents that are archived, or that are not.
        :param max_hits: Only documents that search has found at most so often. Dify lists how often, not when.
        :param never_retrieved: ``True``: only documents that search has never found, as with ``max_hits=0``.
        :return: The documents, newest first.
        :raises DifyInputError: An id or a value that makes no sense.
        :raises DifyListChangedError: The list kept changing while it was read, and may lack documents.
        """
        given = {
            "status": status, "keyword": keyword or None, "name": name, "metadata": metadata,
            "created_after": created_after, "created_before": created_before,
            "updated_after": updated_after, "updated_before": updated_before,
            "enabled": enabled, "archived": archived, "max_hits": max_hits, "never_retrieved": never_retrieved,
        }  # fmt: skip
        filters = {key: value for key, value in given.items() if value is not None}
        selection = Selection.parse(filters, clocks.clock.time(), parameter="")
        return self._listed(inputs.canonical_id(dataset_id, "dataset_id"), selection)

    def select_documents(self, dataset_id: str, filters: Filters) -> list[Document]:
        """Select documents of a knowledge base by what they are.

        https://docs.dify.ai/api-reference/documents/list-documents

        :param dataset_id: UUID of the knowledge base.
        :param filters: A mapping with parameters of :meth:`list_documents`, such as ``{"status": "archived",
            "created_before": "90d"}``, or a text that holds one. Empty: everything.
        :return: The documents, newest first.
        :raises DifyInputError: A filter that there is not, or a value that makes no sense; nothing was sent.
        :raises DifyListChangedError: The list kept changing while it was read, and may lack documents.
        """
        selection = Selection.parse(filters, clocks.clock.time())
        progress = Progress(self.deadline(0))
        return list(self.run(select(inputs.canonical_id(dataset_id, "dataset_id"), selection, progress)).documents)

    def _listed(self, dataset_id: str, selection: Selection) -> Iterator[Document]:
        pager: Pager[Document] = Pager()
        while not pager.done:
            new = pager.take(self.run(page_of(dataset_id, pager, selection)))
            yield from self.run(passing(dataset_id, new, selection))

    @staticmethod
    def _choice(
        document_ids: Iterable[str] | str | None,
        filters: Filters | None,
        max_documents: int | None,
        max_share: float | str | None,
    ) -> Choice:
        now = clocks.clock.time()
        return Choice.of(document_ids, filters, now=now, max_documents=max_documents, max_share=max_share)
