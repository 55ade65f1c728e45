"""Which documents are the new version, and which ones they replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import Flow, Note
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.release.journal import Version
from airflow_provider_dify.knowledge.report import some_of
from airflow_provider_dify.knowledge.selection.choice import Choice, SelectedDocuments
from airflow_provider_dify.knowledge.selection.guards import Guard
from airflow_provider_dify.knowledge.selection.select import EVERYTHING, select
from airflow_provider_dify.knowledge.text.counts import if_one, number_of, part_of

#: The value of ``replaces`` for the documents of the previous release.
PREVIOUS_RELEASE = "previous_release"


@dataclass(frozen=True)
class Replacement:
    """The two sides of a release, as requested.

    :param new: The new documents.
    :param old: Finds the documents to replace; ``None``: those of the previous release.
    :param guard: How many those may be.
    :param none: Whether nothing is replaced.
    :param fresh: New documents that an ingestion created for this release: Dify has enabled them by itself. They count
        as disabled before, so that undoing removes them from search.
    """

    new: tuple[str, ...]
    old: Choice | None
    guard: Guard
    none: bool = False
    fresh: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        document_ids: object,
        replaces: object,
        *,
        now: float,
        max_documents: int | None = None,
        max_share: float | None = None,
    ) -> Replacement:
        """Check the arguments of a user.

        :param document_ids: The new documents: ids in any form (see :func:`inputs.canonical_ids`), or the report of an
            ingestion.
        :param replaces: Ids of the old ones, filters that select them, the report of an ingestion,
            ``previous_release``, an empty list for none, or ``None`` if ``document_ids`` is a report.
        :param now: Reference time for ages in the filters, in seconds since the epoch.
        :param max_documents: See :class:`Guard`.
        :param max_share: See :class:`Guard`.
        :raises DifyInputError: An argument is invalid, or a document is both new and old.
        """
        guard = Guard(max_documents, max_share)
        given, meant = inputs.literal(document_ids), inputs.literal(replaces)
        fresh: frozenset[str] = frozenset()
        if isinstance(given, Mapping):
            meant = given.get("old_document_ids") if meant is None else meant
            fresh = _fresh(given)
            given = _of_report(given, "document_ids")
        new = inputs.canonical_ids(given)
        if meant is None or meant == "":
            raise DifyInputError(
                "replaces must say what the new documents replace: ids, filters, 'previous_release', or the report of "
                "an ingestion. Use an empty list if they replace nothing."
            )
        if meant == PREVIOUS_RELEASE:
            return cls(new, None, guard, fresh=fresh)
        if isinstance(meant, Mapping) and "old_document_ids" in meant:
            meant = meant["old_document_ids"]
        if isinstance(meant, Mapping):
            selected = Choice.of(None, meant, now=now, max_documents=max_documents, max_share=max_share)
            return cls(new, selected, guard, fresh=fresh)
        if isinstance(meant, (list, tuple)) and not meant:
            return cls(new, None, guard, none=True, fresh=fresh)
        old = inputs.canonical_ids(meant, "replaces")
        if both := tuple(i for i in new if i in set(old)):
            raise DifyInputError(
                f"{number_of(len(both))} {if_one(len(both), 'is', 'are')} given both as new and as old, "
                f"{some_of(both)}: the release would retire what it brings in. An update keeps the id of its document; "
                "create new versions instead (if_exists='for_release' of DifyDocumentIngestOperator)."
            )
        return cls(new, Choice(old, guard=guard), guard, fresh=fresh)

    @property
    def selects(self) -> bool:
        """Whether the documents to replace have to be selected."""
        return not self.none and (self.old is None or self.old.ids is None)

    def describe(self) -> str:
        """Describe what is replaced, for the log."""
        if self.none:
            return "nothing"
        return self.old.describe() if self.old else "the documents of the previous release"

    def find(self, dataset_id: str, version: Version, progress: Progress) -> Flow[SelectedDocuments]:
        """Find the documents to replace.

        If an earlier try of the release has retired some, they are known, even if they no longer match the filters. New
        documents are never selected.
        """
        if self.none:
            return SelectedDocuments((), None)
        if self.old is None:
            return (yield from self._previous(dataset_id, version, progress))
        chosen = yield from self.old.flow(dataset_id, progress)
        if not self.selects:
            return chosen
        everything = yield from select(dataset_id, EVERYTHING, progress)
        begun = (d.id for d in everything.documents if version.journal_of(d) and version.replaces(d))
        return self._without_new((*chosen.ids, *begun), everything.total)

    def _previous(self, dataset_id: str, version: Version, progress: Progress) -> Flow[SelectedDocuments]:
        selected = yield from select(dataset_id, EVERYTHING, progress)
        ids = tuple(document.id for document in selected.documents if version.replaces(document))
        chosen = self._without_new(ids, selected.total)
        yield Note(
            f"{part_of(len(chosen.ids), selected.total)} {if_one(len(chosen.ids), 'belongs', 'belong')} to the "
            f"previous release of '{version.channel}'."
            if chosen.ids
            else f"There is no previous release of '{version.channel}', so nothing is replaced. To replace "
            "documents that were not released, name them once by ids or filters."
        )
        return chosen

    def _without_new(self, ids: tuple[str, ...], total: int) -> SelectedDocuments:
        new = set(self.new)
        return SelectedDocuments(tuple(dict.fromkeys(i for i in ids if i not in new)), total)


def _fresh(report: Mapping[object, object]) -> frozenset[str]:
    """Return the documents that an ingestion created: now, or in an earlier run if old ones still wait for them."""
    entries = report.get("documents")
    made = [
        entry.get("document_id")
        for entry in (entries if isinstance(entries, (list, tuple)) else ())
        if isinstance(entry, Mapping) and (entry.get("outcome") == "created" or entry.get("old_document_ids"))
    ]
    return frozenset(i for i in made if isinstance(i, str))


def _of_report(report: Mapping[object, object], name: str) -> object:
    if name not in report:
        raise DifyInputError(
            f"document_ids is a mapping without '{name}': {inputs.show(report)}. Use ids, or the report of a "
            "DifyDocumentIngestOperator."
        )
    return report[name]
