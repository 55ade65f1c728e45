"""Exports a knowledge base so that in the end everything is there, however many runs it takes.

**How a content is recognized.** Dify never changes the file that it keeps of a document: new content is a new file,
with another id. So a content that an earlier run saved is not downloaded again if the id is the same, and the file in
the target still has its SHA-256.

**Where contents come from.** From archives of many files, which the same host sends for the same key. The URLs that
Dify returns for single files point to its setting ``FILES_URL``, which may not be reachable from here.

**Order.** Contents are saved first, then the manifest. Then files that it does not name are deleted. Until then, the
old manifest and all its files stay as they are. Saved contents are noted in a journal, batch by batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from airflow_provider_dify.exceptions import DifyError, DifyNotFoundError, DifyServerError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.export import reading
from airflow_provider_dify.knowledge.export.archive import Archive, BrokenArchive
from airflow_provider_dify.knowledge.export.listing import TEXT, ListedDocument, list_all
from airflow_provider_dify.knowledge.export.manifest import (
    FOLDER,
    ExportedDocument,
    ExportManifest,
    Kind,
    StoredContent,
    file_of,
)
from airflow_provider_dify.knowledge.export.options import ExportOptions
from airflow_provider_dify.knowledge.export.report import ExportOutcome, ExportReport
from airflow_provider_dify.knowledge.export.target import Inventory, Target
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.report import by_name
from airflow_provider_dify.knowledge.retries import Retries

#: Maximum bytes of the files in one archive, unless a single file has more. After a kill, these are downloaded again.
_MOST_BYTES = 64 * 2**20
#: How often a batch is downloaded if its archive arrives broken.
_TRIES = 3
#: If Dify fails with this many single documents in a row, the cause is not the documents.
_MOST_GIVEN_UP = 3
#: A content that was put together from chunks has no id. It is recognized by this word and the digest of its text.
_CHUNKS = "chunks"


class Export:
    """The export of a knowledge base, from the first request to the manifest.

    Its whole state is in this object and not in the generator, so :meth:`report` is correct at any moment, even if the
    task is killed halfway.

    :param dataset_id: UUID of the knowledge base.
    :param target: Where to export it to.
    :param options: How it is done.
    :raises DifyInputError: An argument is invalid.
    """

    def __init__(self, dataset_id: object, target: Target, options: ExportOptions | None = None) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self._target = target
        self._options = inputs.given(options, ExportOptions, "options")
        self._listed: dict[str, ListedDocument] = {}
        self._contents: dict[str, StoredContent] = {}
        self._outcomes: dict[str, ExportOutcome] = {}
        self._errors: dict[str, str] = {}
        self._bytes = 0
        self._manifest: bytes | None = None
        self._given_up = 0

    def report(self) -> ExportReport:
        """Return what happened to each document so far; complete and consistent at any moment."""
        outcomes = {i: self._outcomes.get(i, ExportOutcome.NOT_ATTEMPTED) for i in self._listed}
        digest = hashlib.sha256(self._manifest).hexdigest() if self._manifest else None
        return ExportReport(
            self.dataset_id, self._target.place, self._bytes, digest, **by_name(outcomes), errors=dict(self._errors)
        )

    @property
    def names(self) -> Mapping[str, str]:
        """The name of each document, by id."""
        return {i: one.document.name for i, one in self._listed.items()}

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[ExportReport]:  # noqa: ARG002 - as called
        """Export the knowledge base.

        :param deadline: No download begins after it.
        :param retries: Not needed: every request can be sent again.
        :return: The report; see :meth:`ExportReport.raise_for_outcomes`.
        :raises DifyInputError: The target holds something else, or Dify is too old. Nothing was changed.
        :raises DifyStorageError: The target cannot be read or written.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far the export got.
        """
        progress = Progress(deadline)
        try:
            settings = yield from reading.read_settings(self.dataset_id)
            inventory = Inventory(self._target, self.dataset_id)
            fields = yield from reading.read_fields(self.dataset_id)
            self._listed = {one.id: one for one in (yield from list_all(self.dataset_id, progress))}
            rules = reading.Rules(inventory.before)
            yield from reading.read_rules(self.dataset_id, self._listed.values(), rules, progress)
            yield from self._keep(inventory, progress)
            yield from self._fetch_files(inventory, deadline, progress)
            yield from self._fetch_chunks(inventory, deadline, progress)
            yield from self._close(inventory, settings, fields, rules)
        except DifyError as error:
            error.report = self.report()
            raise
        return self.report()

    def _keep(self, inventory: Inventory, progress: Progress) -> Flow[None]:
        """Keep the contents that earlier runs saved and that are still intact."""
        for number, one in enumerate(self._listed.values()):
            known = inventory.known(one.id, one.file.id) if one.file else None
            if known and self._target.check(known.path) == known.saved:
                self._settle(one, ExportOutcome.UNCHANGED, known)
            yield from progress.note("Checked the files of", number + 1, len(self._listed))
        yield Note(f"Documents: {len(self._listed):,}, already in the target: {len(self._outcomes):,}.")

    def _fetch_files(self, inventory: Inventory, deadline: Deadline, progress: Progress) -> Flow[None]:
        todo = [one for one in self._listed.values() if one.file and one.id not in self._outcomes]
        with self._target.scratch() as file:
            for batch in _batches(todo, self._options.batch_size):
                left: list[Sequence[ListedDocument]] = [batch]
                try:
                    while left and not deadline.passed:
                        left += reversed((yield from self._fetch(left.pop(), file, deadline)))
                except DifyError:
                    self._note(inventory, batch)
                    raise
                self._note(inventory, batch)
                yield from progress.note("Exported", len(self._outcomes), len(self._listed))

    def _note(self, inventory: Inventory, batch: Sequence[ListedDocument]) -> None:
        inventory.note((one.id, self._contents[one.id]) for one in batch if one.id in self._contents)

    def _fetch(
        self, batch: Sequence[ListedDocument], file: BinaryIO, deadline: Deadline
    ) -> Flow[list[Sequence[ListedDocument]]]:
        """Download the files of some documents. If that fails, return smaller batches to try instead."""
        wanted = [one.file for one in batch if one.file]
        why = ""
        for _ in range(_TRIES):
            try:
                yield from reading.download(self.dataset_id, batch, file, max(deadline.remaining, 1.0))
                archive = Archive(file, wanted)
                if not archive.certain:
                    return _halves(batch)
                for number, one in enumerate(batch):
                    self._save(one, archive.size(number), archive.pieces(number))
            except BrokenArchive as error:
                why = f"Dify sent a broken or wrong archive of it: {error}."
            except DifyError as error:
                return self._after_failure(batch, error)
            else:
                self._given_up = 0
                return []
        return _halves(batch) or self._give_up(batch[0], why)

    def _after_failure(self, batch: Sequence[ListedDocument], error: DifyError) -> list[Sequence[ListedDocument]]:
        """Find the document that is the cause: if Dify cannot return one file, it sends no archive at all."""
        missing = isinstance(error, DifyNotFoundError) and not error.detail.lower().startswith("dataset")
        if not missing and not (isinstance(error, DifyServerError) and error.server_version):
            raise error
        if len(batch) > 1:
            return _halves(batch)
        if not missing:
            self._given_up += 1
            if self._given_up >= _MOST_GIVEN_UP:
                raise error
            return self._give_up(batch[0], error.message)
        if isinstance(error, DifyNotFoundError) and error.detail.lower().startswith("document not found"):
            self._settle(batch[0], ExportOutcome.DELETED)
        return []  # Dify may still have its chunks

    def _give_up(self, one: ListedDocument, why: str) -> list[Sequence[ListedDocument]]:
        self._settle(one, ExportOutcome.FAILED, error=why)
        return []

    def _save(self, one: ListedDocument, size: int, pieces: Iterator[bytes]) -> None:
        if one.id in self._outcomes or one.file is None:  # a try saved it before its archive broke
            return
        if not one.file.may_have(size):
            why = f"Its file has {size:,} bytes, but Dify listed {one.file.size:,}: it was replaced during the export."
            self._settle(one, ExportOutcome.CHANGED, error=why)
            return
        kind = Kind.TEXT if one.file.is_text else Kind.FILE
        self._put(one, kind, one.file.extension, one.file.id, pieces)

    def _put(self, one: ListedDocument, kind: Kind, extension: str, source: str, pieces: Iterator[bytes]) -> None:
        """Write a content to the target, and read it back."""
        path = file_of(one.document.name, extension, one.id, source)
        saved = self._target.save(path, pieces)
        self._bytes += saved.size
        if self._target.check(path) != saved:
            why = f"Read back from the target, {path} differs from what was written."
            self._settle(one, ExportOutcome.FAILED, error=why)
            return
        outcome = ExportOutcome.FROM_CHUNKS if kind is Kind.CHUNKS else ExportOutcome.DOWNLOADED
        self._settle(one, outcome, StoredContent(kind, path, source, saved))

    def _fetch_chunks(self, inventory: Inventory, deadline: Deadline, progress: Progress) -> Flow[None]:
        """Export the chunks of documents whose files Dify does not have."""
        for one in [one for one in self._listed.values() if one.id not in self._outcomes]:
            if deadline.passed:
                return
            try:
                text = yield from reading.chunks(self.dataset_id, one.id)
            except DifyNotFoundError as error:
                if not api.document_is_missing(error):
                    raise
                self._settle(one, ExportOutcome.DELETED)
                continue
            if not text:
                self._settle(one, ExportOutcome.NO_CONTENT, error=_nothing(one))
                continue
            source = f"{_CHUNKS} {hashlib.sha256(text.encode()).hexdigest()}"
            known = inventory.known(one.id, source)
            if known and self._target.check(known.path) == known.saved:
                self._settle(one, ExportOutcome.UNCHANGED, known)
            else:
                self._put(one, Kind.CHUNKS, TEXT, source, iter([text.encode()]))
                self._note(inventory, [one])
            yield from progress.note("Exported", len(self._outcomes), len(self._listed))

    def _close(
        self, inventory: Inventory, settings: Mapping[str, JSON], fields: Mapping[str, str], rules: reading.Rules
    ) -> Flow[None]:
        if self.report().not_attempted:
            yield Note("Time ran out before everything was exported, so there is no new manifest. Run it again.")
            return
        self._check_all()
        there = [one for one in self._listed.values() if self._outcomes[one.id] is not ExportOutcome.DELETED]
        entries = [
            ExportedDocument.of(
                one.document,
                form=one.form,
                rule=rules.digest(one.rule_id),
                rule_id=one.rule_id,
                metadata=reading.typed(one.document.metadata, fields),
                content=self._contents.get(one.id),
            )
            for one in there
        ]
        used = rules.used(entry.rule for entry in entries)
        manifest = ExportManifest(settings, fields, used, entries).to_bytes()
        inventory.close(manifest, [content.path for content in self._contents.values()])
        self._manifest = manifest

    def _check_all(self) -> None:
        """Check before the manifest is written that the target still has all that it names."""
        there = self._target.sizes(FOLDER) if self._contents else {}
        for document_id, content in list(self._contents.items()):
            if there.get(content.path.partition("/")[2], -1) in (content.saved.size, None):
                continue
            del self._contents[document_id]
            error = f"The target lost {content.path}, or has only a part of it, during the export."
            self._settle(self._listed[document_id], ExportOutcome.FAILED, error=error)

    def _settle(
        self,
        one: ListedDocument,
        outcome: ExportOutcome,
        content: StoredContent | None = None,
        error: str | None = None,
    ) -> None:
        self._outcomes[one.id] = outcome
        if content:
            self._contents[one.id] = content
        if error:
            self._errors[one.id] = error


def _nothing(one: ListedDocument) -> str:
    why = f" Its indexing failed: {one.document.error}." if one.document.failed else ""
    return f"Dify has no file and no chunks of it (indexing status: {one.document.indexing_status}).{why}"


def _batches(documents: Sequence[ListedDocument], most: int) -> Iterator[list[ListedDocument]]:
    batch: list[ListedDocument] = []
    size = 0
    for one in documents:
        more = one.file.most_bytes if one.file else 0
        if batch and (len(batch) >= most or size + more > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += more
    if batch:
        yield batch


def _halves(batch: Sequence[ListedDocument]) -> list[Sequence[ListedDocument]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]] if middle else []
