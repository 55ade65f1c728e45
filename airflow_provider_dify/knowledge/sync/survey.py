"""What a sync reads before it plans: the files of its source, and the documents that it may touch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.documents import Dataset, Document
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.ingest.contents import Source
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.sync.journal import Journal
from airflow_provider_dify.knowledge.sync.plan import Planned, Retire, WantedFile, digest_of, make_plan
from airflow_provider_dify.knowledge.text.counts import number_of

#: Name of the metadata field with the sync that a document belongs to.
SOURCE_FIELD = "sync_source"


def checked_name(value: object) -> str:
    """Return the name of a sync.

    :raises DifyInputError: It is empty, or contains a secret.
    """
    name = inputs.text(value, "sync_source", "a name that is not empty")
    if inputs.without_keys(name) != name:  # it becomes metadata of documents
        raise DifyInputError(
            f"sync_source contains a password, or what looks like an API key: {inputs.show(name)}. Use another name."
        )
    return name.strip()


def read_files(sources: Collection[Source], progress: Progress) -> Flow[tuple[WantedFile, ...]]:
    """Read files, for the digests of their contents.

    :raises DifySourceError: None of them can become a document.
    """
    wanted: list[WantedFile] = []
    for source in sources:
        wanted.append(_wanted(source))
        yield from progress.note("Read", len(wanted), len(sources), "file")
    if not any(one.digest for one in wanted):
        first = f" The first one, '{wanted[0].name}': {wanted[0].problem}" if wanted else ""
        raise DifySourceError(
            f"No file of the source can become a document; it has {number_of(len(wanted), 'file')}. Nothing was "
            f"changed: a source that is empty or cannot be read does not empty a knowledge base.{first}"
        )
    return tuple(wanted)


def _wanted(source: Source) -> WantedFile:
    if source.problem:
        return WantedFile(source.name, None, source.problem, source.readable)
    try:
        return WantedFile(source.name, source.digest())
    except DifySourceError as error:
        return WantedFile(source.name, None, error.message, readable=False)


class SyncSurvey:
    """The first read of a knowledge base by a sync.

    :param dataset: The knowledge base.
    :param sync_source: Name of the sync.
    :param wanted: The files of its source.
    :param adopt: Whether documents in use that no sync has created are taken over if they have the name of a file.
    """

    def __init__(self, dataset: Dataset, sync_source: str, wanted: Sequence[WantedFile], *, adopt: bool) -> None:
        self.dataset = dataset
        #: The notes of an earlier run, if it was killed.
        self.journal = Journal.read(dataset, sync_source)
        #: The highest position of a document.
        self.position = 0
        #: Ids of documents that the sync takes over: an earlier run created but did not mark them, or the user
        #: requested it.
        self.adopted: frozenset[str] = frozenset()
        #: Documents that were created since a run was killed and that nobody has marked: they may or may not be its
        #: own.
        self.strays: list[Document] = []
        self._sync_source = sync_source
        self._wanted = wanted
        self._names = {one.name for one in wanted}
        self._adopt = adopt
        self._documents: list[Document] = []
        self._synced: set[str] = set()

    def flow(self, progress: Progress) -> Flow[None]:
        """List the knowledge base once, and keep the relevant documents.

        :raises DifyListChangedError: The list kept changing while it was read, so documents may be missing.
        """
        pager: Pager[Document] = Pager()
        listed = 0
        while not pager.done:
            page = yield from api.document_page(self.dataset.id, pager.page, limit=pager.limit)
            for document in pager.take(page):
                self._take(document)
                listed += 1
            yield from progress.note("Listed", listed, pager.total)
        candidates: dict[str, list[Document]] = {}
        for document in self._documents:
            if document.name in self._names and document.belongs_in_search:
                candidates.setdefault(document.name, []).append(document)
        # If several have the same name, it is unclear which one is meant.
        single = (documents[0] for documents in candidates.values() if len(documents) == 1)
        self.adopted = frozenset(document.id for document in single if self._may_adopt(document))
        self._synced |= self.adopted

    def plan(self, retire: Retire) -> tuple[Planned, ...]:
        """Decide what to do."""
        unproven = self.journal.unfinished
        return make_plan(self._wanted, self._documents, self._synced, retire=retire, unproven=unproven)

    @property
    def in_use(self) -> int:
        """How many documents the sync has in use."""
        return sum(document.belongs_in_search for document in self._documents if document.id in self._synced)

    def _take(self, document: Document) -> None:
        self.position = max(self.position, document.position)
        owner = document.metadata.get(SOURCE_FIELD)
        if owner is not None and str(owner) == self._sync_source:
            self._synced.add(document.id)
            self._documents.append(document)
        elif document.name in self._names:
            self._documents.append(document)
        elif self._may_be_synced(document):
            self.strays.append(document)

    def _may_adopt(self, document: Document) -> bool:
        is_free = document.metadata.get(SOURCE_FIELD) is None
        return document.id not in self._synced and ((self._adopt and is_free) or self._may_be_synced(document))

    def _may_be_synced(self, document: Document) -> bool:
        """Whether a killed run may have created a document: it is newer than the run, and nobody has marked it."""
        unmarked = document.metadata.get(SOURCE_FIELD) is None and digest_of(document) is None
        return self.journal.position is not None and document.position > self.journal.position and unmarked
