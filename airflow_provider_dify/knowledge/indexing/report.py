"""The report of a wait for indexing, and how its errors name documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from airflow_provider_dify.knowledge.documents import IndexingState
from airflow_provider_dify.knowledge.flow import JSON

#: Maximum number of documents that an error names.
_MOST_NAMED = 3
#: Maximum length of Dify's text about a document in an error.
_LONGEST_QUOTE = 300


@dataclass(frozen=True)
class IndexingReport:
    """Documents that are indexed.

    :param dataset_id: The knowledge base.
    :param document_ids: The documents, as requested or as Dify listed the batch.
    :param segments: Number of their segments; ``None`` if Dify did not say for all.
    """

    dataset_id: str
    document_ids: tuple[str, ...]
    segments: int | None

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {**asdict(self), "document_ids": list(self.document_ids)}


def status(state: IndexingState) -> str:
    """Say how far the indexing of a document is."""
    return state.status


def what_is_wrong(state: IndexingState) -> str:
    """Say why the indexing of a document does not go on, in Dify's words."""
    text = " ".join((state.error or "").split())
    quoted = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
    return f'{state.status}, "{quoted}"' if quoted else state.status


def first_of(states: Iterable[IndexingState], what: Callable[[IndexingState], str] | None = None) -> str:
    """Name the first few documents, and how many more there are.

    :param what: What to say of each.
    """
    chosen = list(states)
    shown = [
        state.id + (f" '{state.name}'" if state.name else "") + (f" ({what(state)})" if what else "")
        for state in chosen[:_MOST_NAMED]
    ]
    more = f" and {len(chosen) - _MOST_NAMED} more" if len(chosen) > _MOST_NAMED else ""
    return ", ".join(shown) + more
