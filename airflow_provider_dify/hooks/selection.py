"""The methods of the hook that list documents, all or selected ones."""

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

#: Filters as a DAG writes them or as a template renders them.
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
        """List the documents of a knowledge base that match all filters, each once. Pages are fetched as you iterate.

        Points in time are ISO dates or times (UTC unless they name a zone), datetime objects, seconds since the epoch,
        or ages such as ``90d``, ``12h``, ``30m`` and ``2w``. A range includes its ``…_after`` and ends just before its
        ``…_before``.

        https://docs.dify.ai/api-reference/documents/list-documents

        :param dataset_id: UUID of the knowledge base.
        :param status: Only documents with this status: ``available``, ``disabled``, ``archived``, ``queuing``,
            ``indexing``, ``paused`` or ``error``; one, or a list.
        :param keyword: Only documents with this text in their name (case-sensitive, ``%`` and ``_`` are wildcards).
        :param name: Only documents whose name matches this pattern, or one of a list (case-sensitive, ``*``, ``?`` and
            ``[…]`` are wildcards).
        :param created_after: Only documents created at that time or later.
        :param created_before: Only documents created before that time.
        :param updated_after: Only documents changed at that time or later. Dify's list does not show it, so each
            document that matches the other filters is read by itself.
        :param updated_before: Only documents last changed before that time.
        :param metadata: Only documents with these values; a list means any of them. ``None``: without a value.
        :param enabled: Only enabled documents, or only disabled ones.
        :param archived: Only archived documents, or only others.
        :param max_hits: Only documents that search has returned at most this often. Dify shows how often, not when.
        :param never_retrieved: ``True``: only documents that search has never returned, like ``max_hits=0``.
        :return: The documents, newest first.
        :raises DifyInputError: An id or a value is invalid.
        :raises DifyListChangedError: The list kept changing while it was read, so documents may be missing.
        """
        given = {
            "status": status, "keyword": keyword or None, "name": name, "metadata": metadata,
            "created_after": created_after, "created_before": created_before,
            "updated_after": updated_after, "updated_before": updated_before,
            "enabled": enabled, "archived": archived, "max_hits": max_hits, "never_retrieved": never_retrieved,
        }  # fmt: skip
        filters = {key: value for key, value in given.items() if value is not None}
        selection = Selection.parse(filters, self._clock.time(), parameter="")
        return self._listed(inputs.canonical_id(dataset_id, "dataset_id"), selection)

    def select_documents(self, dataset_id: str, filters: Filters) -> list[Document]:
        """Select the documents of a knowledge base that match filters.

        https://docs.dify.ai/api-reference/documents/list-documents

        :param dataset_id: UUID of the knowledge base.
        :param filters: A mapping with parameters of :meth:`list_documents`, such as ``{"status": "archived",
            "created_before": "90d"}``, or a text that contains one. Empty: all documents.
        :return: The documents, newest first.
        :raises DifyInputError: A filter is unknown or has an invalid value; nothing was sent.
        :raises DifyListChangedError: The list kept changing while it was read, so documents may be missing.
        """
        selection = Selection.parse(filters, self._clock.time())
        progress = Progress(self.deadline(0))
        return list(self.run(select(inputs.canonical_id(dataset_id, "dataset_id"), selection, progress)).documents)

    def _listed(self, dataset_id: str, selection: Selection) -> Iterator[Document]:
        pager: Pager[Document] = Pager()
        while not pager.done:
            new = pager.take(self.run(page_of(dataset_id, pager, selection)))
            yield from self.run(passing(dataset_id, new, selection))

    def _choice(
        self,
        document_ids: Iterable[str] | str | None,
        filters: Filters | None,
        max_documents: int | None,
        max_share: float | str | None,
    ) -> Choice:
        now = self._clock.time()
        return Choice.of(document_ids, filters, now=now, max_documents=max_documents, max_share=max_share)
