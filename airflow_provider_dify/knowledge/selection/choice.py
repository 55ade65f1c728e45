"""Which documents a task works on: those of a list of ids, or those that filters select."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.flow import Flow, Note
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.selection.guards import Guard, usual_share
from airflow_provider_dify.knowledge.selection.select import EVERYTHING, Selection, select
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.hints import why


@dataclass(frozen=True)
class SelectedDocuments:
    """The documents that are selected from now on.

    :param ids: Their ids.
    :param total: Number of documents in the knowledge base; ``None`` if it was not read.
    """

    ids: tuple[str, ...]
    total: int | None


@dataclass(frozen=True)
class Choice:
    """Which documents are selected, and how many there may be.

    :param ids: Their ids; ``None`` if filters select them.
    :param selection: The filters otherwise.
    :param guard: The limits.
    """

    ids: tuple[str, ...] | None
    selection: Selection = EVERYTHING
    guard: Guard = field(default_factory=Guard)

    @classmethod
    def of(
        cls,
        document_ids: object,
        filters: Mapping[str, object] | str | None = None,
        *,
        now: float = 0.0,
        max_documents: int | None = None,
        max_share: float | str | None = None,
    ) -> Choice:
        """Check the arguments of a user.

        :param document_ids: Ids: a list, one id, or a text that contains a list; ``None`` if there are filters.
        :param filters: See :meth:`Selection.parse`.
        :param now: Reference time for ages in the filters, in seconds since the epoch.
        :param max_documents: See :class:`Guard`.
        :param max_share: See :class:`Guard`; ``auto``: see :func:`usual_share`.
        :raises DifyInputError: An argument is invalid, there are both ids and filters, or the filters have no condition
            and would select the whole knowledge base.
        """
        share: Any = usual_share(max_share, selected=filters is not None)
        guard = Guard(max_documents, share)
        if filters is None:
            return cls(_checked(document_ids), guard=guard)
        if document_ids is not None:
            raise DifyInputError(
                f"Give document_ids or filters, not both: {inputs.show(document_ids)} and {inputs.show(filters)}."
            )
        selection = Selection.parse(filters, now)
        if selection.is_everything:
            raise DifyInputError(
                f"filters has no condition: {inputs.show(filters)} would select the whole knowledge base. If you mean "
                'that, use {"name": "*"}.'
            )
        return cls(None, selection, guard)

    @property
    def tolerates_missing(self) -> bool:
        """Whether a missing document is not a failure: a document that was deleted after it was selected is no longer
        selected.
        """
        return self.ids is None

    def describe(self) -> str:
        """Describe the selected documents, for the log."""
        if self.ids is None:
            return f"the documents selected by {self.selection.describe()}"
        return number_of(len(self.ids))

    def flow(self, dataset_id: str, progress: Progress) -> Flow[SelectedDocuments]:
        """Find them. The caller calls :meth:`Guard.check`, since it may want to keep the ids first."""
        if self.ids is None:
            selected = yield from select(dataset_id, self.selection, progress)
            yield Note(selected.describe(self.selection))
            return SelectedDocuments(tuple(document.id for document in selected.documents), selected.total)
        if self.guard.max_share is None:
            return SelectedDocuments(self.ids, None)
        return SelectedDocuments(self.ids, (yield from api.get_dataset(dataset_id)).document_count)


def _checked(document_ids: object) -> tuple[str, ...]:
    if document_ids is None:
        raise DifyInputError(f"Give document_ids or filters: document_ids is None.{why(None)}")
    return inputs.canonical_ids(document_ids)
