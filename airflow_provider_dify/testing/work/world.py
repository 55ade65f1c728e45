"""Everything of Dify behind its API: knowledge bases, keys, the queue and the worker."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_dify.testing.model.clock import Clock
from airflow_provider_dify.testing.model.documents import Dataset, Document
from airflow_provider_dify.testing.model.knowledge_base import DEFAULT_MODEL
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.work.broker import Broker
from airflow_provider_dify.testing.work.worker import USUAL_JOBS, LockRace, LostKeywords, Worker


class World(Site):
    """Everything behind the API, under one lock."""

    def __init__(
        self,
        clock: Clock,
        *,
        version: str,
        seed: int,
        lock_race: LockRace,
        jobs: int = USUAL_JOBS,
        lost_keywords: LostKeywords = "never",
    ) -> None:
        super().__init__(clock, version=version, seed=seed)
        self.datasets: dict[str, Dataset] = {}
        #: Keys, each with the knowledge base that it is limited to, if any.
        self.keys: dict[str, Dataset | None] = {}
        self.worker = Worker(self, jobs=jobs, lost_keywords=lost_keywords, lock_race=lock_race, seed=seed)
        self.broker = Broker(self, self.worker)
        #: The embedding models, each with its provider; the first one is the default.
        self.embedding_models: list[tuple[str, str]] = [DEFAULT_MODEL]
        #: ``False``: creations do not find the knowledge bases of their name. So it is if they run at the same moment:
        #: Dify checks first and writes then, and its database does not check (1.16.0, ``create_empty_dataset``).
        self.checks_names = True
        #: Settings of knowledge bases that it ignores, as a Dify does that does not know them.
        self.ignored_settings: set[str] = set()

    @property
    def documents(self) -> Iterator[Document]:
        """The documents of all knowledge bases."""
        return (Document(dataset, row) for dataset in self.datasets.values() for row in dataset.rows.values())

    def document(self, document_id: str) -> Document:
        """The document with that id.

        :raises KeyError: if it does not exist.
        """
        for dataset in self.datasets.values():
            if document_id in dataset.rows:
                return Document(dataset, dataset.rows[document_id])
        raise KeyError(document_id)

    def add_dataset(self, name: str, indexing_technique: str | None) -> Dataset:
        """Create an empty knowledge base."""
        with self.guard:
            dataset = Dataset(self, name, indexing_technique=indexing_technique, dataset_id=self.new_id())
            self.datasets[dataset.id] = dataset
            return dataset
