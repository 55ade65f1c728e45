"""How contents become documents of a knowledge base, each once, however often it is tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifyMetadataError, DifySourceError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.contents import LONGEST_NAME, DocumentOptions, Source
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.ingest_report import IngestOutcome, IngestReport
from airflow_provider_dify.knowledge.metadata import set_values
from airflow_provider_dify.knowledge.metadata_fields import (
    Value,
    check_fit,
    check_name,
    check_values,
    kinds_of,
    list_fields,
)
from airflow_provider_dify.knowledge.metadata_report import MetadataOutcome, MetadataReport
from airflow_provider_dify.knowledge.namesakes import IfExists, Verb, base_name, decide, keyword_of, stem_of
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.putting import Item, Putting
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.watching import Watch

#: Name of the metadata that tells the content of a document by its SHA-256.
HASH_FIELD = "content_sha256"
#: So many documents get their metadata in one go; a run that is killed has to send so many again.
_MARKED_AT_ONCE = 50
#: Seconds in which the digest of an old content has to be gone: the others shall not wait for it until the end.
_PATIENCE = 60.0


class Ingestion:
    """The ingestion of contents, from the first look to the proof that they are indexed.

    All that it knows is in here and not in the generator, so that :meth:`report` is right at any moment.

    :param dataset_id: UUID of the knowledge base.
    :param sources: The contents, in order.
    :param if_exists: What to do where there is a document of the same name: ``update``, ``skip``, ``fail``,
        ``new_version`` or ``for_release``.
    :param options: How Dify shall treat the documents.
    :param metadata: Values for the metadata of each document.
    :param hash_field: Name of the metadata that keeps the digest of a document's content, by which an unchanged one is
        known; ``None``: keep none.
    :param max_active: How many documents may be in indexing at a time before another one is sent.
    :param poll_interval: Seconds between two looks at the indexing; the first looks come sooner.
    :param stall_timeout: Seconds in which no document moves, after which the wait is given up; ``None``: never.
    :raises DifyInputError: Something of this makes no sense.
    """

    def __init__(
        self,
        dataset_id: object,
        sources: Sequence[Source],
        *,
        if_exists: object = IfExists.UPDATE,
        options: DocumentOptions | None = None,
        metadata: object = None,
        hash_field: object = HASH_FIELD,
        max_active: int = 20,
        poll_interval: float = 10.0,
        stall_timeout: float | None = None,
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self._if_exists = inputs.choice(if_exists, IfExists, "if_exists")
        self._options = options or DocumentOptions()
        self._metadata = check_values(inputs.literal(metadata), "metadata") if metadata else {}
        self._hash_field = None if hash_field is None else check_name(hash_field, "hash_field")
        if hash_field in self._metadata:
            raise DifyInputError(f"metadata names {inputs.show(hash_field)}, which keeps the digests (hash_field).")
        self._max_active = inputs.whole_number(max_active, "max_active")
        self._items = [Item(source) for source in sources]
        #: The documents that are being indexed.
        self.watch = Watch(
            self.dataset_id,
            poll_interval=inputs.number(poll_interval, "poll_interval"),
            stall_timeout=None if stall_timeout is None else inputs.number(stall_timeout, "stall_timeout"),
        )
        self._unmarked: dict[str, dict[str, Value]] = {}
        self._metadata_errors: dict[str, tuple[IngestOutcome, str]] = {}

    def report(self) -> IngestReport:
        """Return what has become of each content so far; at any moment, whole and consistent."""
        entries = tuple(item.entry() for item in self._items)
        return IngestReport(self.dataset_id, entries).with_outcomes({**self._metadata_errors, **self.watch.ended})

    def flow(self, deadline: Deadline, retries: Retries, *, wait: bool = True) -> Flow[IngestReport]:
        """Carry it out.

        :param deadline: Until when to wait for indexing, and for what Dify asks to wait for.
        :param retries: How often to try again where Dify fails.
        :param wait: Whether to wait until all documents are indexed.
        :return: The report; see :meth:`IngestReport.raise_for_outcomes`.
        :raises DifyError: Dify could not be asked; the report so far is its ``report``.
        """
        progress = Progress(deadline)
        try:
            options = self._options.for_dataset((yield from api.get_dataset(self.dataset_id)))
            yield from self._decide()
            yield from self._check_fields()
            yield from self._withdraw_digests(deadline, retries)
            yield from self._send(Putting(self.dataset_id, options, retries, deadline), deadline, retries, progress)
            yield from self._mark(deadline, retries)
            if wait:
                yield from self.watch.until_below(1, deadline, progress)
                self.watch.time_is_up()
        except DifyError as error:
            error.report = self.report()
            raise
        return self.report()

    def _decide(self) -> Flow[None]:
        """Decide what to do with each content, from one look at what is there."""
        self._drop_doubles()
        open_items = [item for item in self._items if not item.outcome]
        namesakes = yield from self._namesakes([item.source.name for item in open_items])
        for item in open_items:
            item.namesakes = namesakes.get(item.source.name, [])
            try:
                item.decision = decide(item.source, item.namesakes, self._if_exists, self._hash_field)
            except DifySourceError as error:
                item.end(IngestOutcome.UNREADABLE, error.message)
                continue
            if len(item.decision.name) > LONGEST_NAME:
                why = f"The document's name would have {len(item.decision.name)} characters; Dify keeps {LONGEST_NAME}."
                item.end(IngestOutcome.INVALID, why)
            elif item.decision.verb is Verb.REFUSE:
                item.end(IngestOutcome.REFUSED, item.decision.why)
        yield Note(self._plan())

    def _drop_doubles(self) -> None:
        first: dict[str, Source] = {}
        for item in self._items:
            source = item.source
            if source.problem:
                item.end(IngestOutcome.INVALID if source.readable else IngestOutcome.UNREADABLE, source.problem)
            elif first.setdefault(source.name, source) is not source:
                why = f"It has the same name as {first[source.name].place}, and would replace it."
                item.end(IngestOutcome.INVALID, why)

    def _namesakes(self, names: Sequence[str]) -> Flow[dict[str, list[Document]]]:
        """Read the documents that have one of these names, or are versions of one: in the cheaper of two ways."""
        found: dict[str, list[Document]] = {name: [] for name in names}
        if not names:
            return found
        pager: Pager[Document] = Pager()
        yield from self._page(pager, None, found)
        if pager.pages_left <= len(names):
            while not pager.done:
                yield from self._page(pager, None, found)
            return found
        found = {name: [] for name in names}
        for keyword in dict.fromkeys(keyword_of(stem_of(name)) for name in names):
            pager = Pager()
            while not pager.done:
                yield from self._page(pager, keyword, found)
        return {name: list({d.id: d for d in documents}.values()) for name, documents in found.items()}

    def _page(self, pager: Pager[Document], keyword: str | None, found: dict[str, list[Document]]) -> Flow[None]:
        for document in pager.take((yield from api.document_page(self.dataset_id, pager.page, keyword=keyword))):
            for name in {document.name, base_name(document.name)}:
                if name in found:
                    found[name].append(document)

    def _check_fields(self) -> Flow[None]:
        """See that the metadata goes into the fields that are there, before there are documents that lack it."""
        kinds = kinds_of([self._metadata, {self._hash_field: ""} if self._hash_field else {}])
        if not kinds or not any(self._to_send()):
            return
        for field in (yield from list_fields(self.dataset_id)):
            if field.name in kinds:
                check_fit(field.name, kinds[field.name], field)

    def _withdraw_digests(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Take the digest from documents that get another content: a run that breaks off must leave none that lies."""
        field = self._hash_field
        stale = [item.decision.document for item in self._to_send() if item.decision and item.decision.document]
        values = {document.id: {field: None} for document in stale if field and field in document.metadata}
        if not values:
            return
        soon, gone = deadline.within(_PATIENCE), MetadataOutcome.MISSING.value
        try:
            # What was deleted meanwhile is made anew.
            yield from set_values(self.dataset_id, values, deadline=soon, retries=retries, tolerate=[gone])
        except DifyMetadataError as error:
            locked = _failures(error, values)
            for item in self._to_send():
                if item.decision and item.decision.document and (failure := locked.get(item.decision.document.id)):
                    item.end(IngestOutcome.NOT_ATTEMPTED, f"Its old digest could not be taken away. {failure[1]}")

    def _send(self, putting: Putting, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        self._skip()
        items = list(self._to_send())
        for number, item in enumerate(items):
            yield from self.watch.until_below(self._max_active, deadline, progress)
            if deadline.passed:
                return
            yield from putting.put(item)
            if item.outcome and item.outcome.good and item.document_id:
                self.watch.add([item.document_id], deadline)
                self._to_mark(item)
            if len(self._unmarked) >= _MARKED_AT_ONCE:
                yield from self._mark(deadline, retries)
            yield from progress.note(lambda sent=number + 1: f"{sent} of {len(items)} contents are with Dify.")  # type: ignore[misc]

    def _skip(self) -> None:
        for item in self._items:
            if item.decision and item.decision.verb is Verb.SKIP and item.decision.document:
                document = item.decision.document
                item.skipped(document)
                if not document.indexed:
                    self.watch.active[document.id] = document.indexing_status
                # Dify's list shows every value as a text.
                missing = {n: v for n, v in self._metadata.items() if str(document.metadata.get(n)) != str(v)}
                if missing and self._if_exists is not IfExists.SKIP:
                    self._unmarked[document.id] = missing

    def _to_send(self) -> Iterator[Item]:
        for item in self._items:
            if not item.outcome and item.decision and item.decision.verb in (Verb.CREATE, Verb.UPDATE):
                yield item

    def _to_mark(self, item: Item) -> None:
        digest = {self._hash_field: item.source.digest()} if self._hash_field else {}
        if item.document_id and (values := {**self._metadata, **digest}):
            self._unmarked[item.document_id] = values

    def _mark(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Give documents their metadata."""
        values, self._unmarked = self._unmarked, {}
        if not values:
            return
        try:
            yield from set_values(self.dataset_id, values, deadline=deadline, retries=retries)
        except DifyMetadataError as error:
            if not self._metadata:  # what is lost is the digest: the content is sent again next time
                yield Note(f"The digests of contents could not be kept: {error.message}")
                return
            self._metadata_errors.update(_failures(error, values))

    def _plan(self) -> str:
        verbs = [item.decision.verb for item in self._items if item.decision and not item.outcome]
        outcomes = [item.outcome for item in self._items if item.outcome]
        parts = [f"{verbs.count(verb)} to {verb.value}" for verb in Verb if verb in verbs]
        parts += [f"{outcomes.count(outcome)} {outcome.value}" for outcome in IngestOutcome if outcome in outcomes]
        return f"Of {len(self._items)} contents: {', '.join(parts) or 'nothing to do'}."


def _failures(error: DifyMetadataError, ids: Iterable[str]) -> dict[str, tuple[IngestOutcome, str]]:
    texts = error.report.errors if isinstance(error.report, MetadataReport) else {}
    return {i: (IngestOutcome.FAILED, texts[i] if texts else error.message) for i in ids if not texts or i in texts}
