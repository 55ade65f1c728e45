"""What is known of the documents of a release or rollback: as they were last read, and what was changed since."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.documents import Document, Flags
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.progress import WholeJob
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.release.switch import Switch, flags_of
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.chunks import DisabledChunks
from airflow_provider_dify.knowledge.status.options import StatusOptions


class Known:
    """What is known of documents, correct at any moment.

    :param dataset_id: The knowledge base.
    :param options: How changes are sent and awaited.
    """

    def __init__(self, dataset_id: str, options: StatusOptions) -> None:
        #: The documents by id, as they were last read.
        self.documents: dict[str, Document] = {}
        #: Those that the last read did not find.
        self.missing: dict[str, None] = {}
        #: Messages about single documents, by id.
        self.errors: dict[str, str] = {}
        #: How many documents the whole job has, for the log.
        self.total = 0
        self._dataset_id = dataset_id
        self._options = options
        self._flags: dict[str, Flags] = {}
        self._switch: Switch | None = None

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents, by id."""
        return {document_id: document.name for document_id, document in self.documents.items()}

    def of(self, ids: Iterable[str]) -> list[Document]:
        """Return those of some documents that are there."""
        return [self.documents[i] for i in ids if i in self.documents]

    def flags(self) -> dict[str, Flags]:
        """Return the current flags of each document, as far as known. Those of a deleted one remain."""
        return {**self._flags, **(self._switch.flags() if self._switch else {})}

    def settle(self) -> None:
        """Keep the flags of documents that were changed, even if the next read does not find them."""
        self._flags = self.flags()

    def read(self, ids: Iterable[str]) -> Flow[None]:
        """Read documents with their metadata."""
        asked = tuple(ids)
        found = yield from read_documents(self._dataset_id, asked, with_metadata=True)
        for document_id in asked:
            self.documents.pop(document_id, None)
        self.documents.update(found)
        self.missing = {i: None for i in asked if i not in found}
        self._flags.update(flags_of(found))
        self._switch = None

    def read_after_failure(self, ids: Iterable[str]) -> Flow[None]:
        """Read documents, if that is still possible, and keep what went wrong with them."""
        errors = self._switch.errors if self._switch else {}
        with suppress(DifyError):
            yield from self.read(ids)
        self.errors.update(errors)

    def switch_to(self, targets: Mapping[str, Flags], done: int = 0) -> Switch:
        """Return the way of documents to other flags, after the last one was settled or they were read.

        :param targets: The requested flags, by id.
        :param done: How many documents of the whole job are done, for the log.
        """
        whole = WholeJob(done, self.total)
        self._switch = Switch(self._dataset_id, targets, self._flags, self._options, whole)
        return self._switch

    def undo(
        self, previous: Mapping[str, Flags], chunks: DisabledChunks, deadline: Deadline, retries: Retries
    ) -> Flow[None]:
        """Give documents their previous flags: first those that belong in search, then the rest. Read them back.

        What could not be restored is in :attr:`errors`.

        :param previous: The previous flags of each document, by id.
        :param chunks: The chunks that were disabled in them.
        :param deadline: How long to wait. It starts again.
        :param retries: How failed requests are retried.
        """
        self.settle()
        deadline.restart()
        try:
            yield from self.read(previous)
            switch = self.switch_to(self._to_undo(previous))
            # If this fails, the new version stays in search: both are better than none.
            yield from switch.bring_in(deadline, retries)
            yield from switch.take_out(deadline, retries)
            back = [i for i, flags in previous.items() if flags.in_search and i in self.documents]
            self.errors.update((yield from chunks.restore(back, deadline)))
            yield from self.read(previous)
        except DifyError as error:
            yield from self._note_what_is_left(previous, error)
        self.errors.update({i: "It was deleted in the meantime." for i in previous if i not in self.documents})

    def _to_undo(self, previous: Mapping[str, Flags]) -> dict[str, Flags]:
        found = self.documents
        return {
            i: flags for i, flags in previous.items() if i in found and (found[i].indexed or found[i].flags != flags)
        }

    def _note_what_is_left(self, previous: Mapping[str, Flags], error: DifyError) -> Flow[None]:
        yield Note(f"Not everything could be undone: {error.message}", logging.ERROR)
        yield from self.read_after_failure(previous)
        now = self.flags()
        for document_id, flags in previous.items():
            if now.get(document_id, flags) != flags:
                self.errors.setdefault(document_id, f"It could not be restored: {error.message}")
        if not self.errors:
            # The flags are as before, as far as known, but that is not proven.
            self.errors.update(dict.fromkeys(previous, f"It was not read back: {error.message}"))
