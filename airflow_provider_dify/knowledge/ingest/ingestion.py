"""Turns contents into documents of a knowledge base, each exactly once, however often it is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from airflow_provider_dify.exceptions import DifyError, DifySourceError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.answers import Fields, a_text
from airflow_provider_dify.knowledge.documents import Dataset, Document
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.ingest.arrival import Arrival
from airflow_provider_dify.knowledge.ingest.contents import LONGEST_NAME, Source
from airflow_provider_dify.knowledge.ingest.delivery import Delivery
from airflow_provider_dify.knowledge.ingest.namesakes import Verb, base_name, decide, keyword_of, stem_of
from airflow_provider_dify.knowledge.ingest.options import DocumentOptions, IfExists, IngestOptions
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome, IngestReport
from airflow_provider_dify.knowledge.ingest.sender import ContentSender, Item
from airflow_provider_dify.knowledge.ingest.target import check_latest_rule, check_replacing, read_target
from airflow_provider_dify.knowledge.metadata.fields import (
    BUILT_IN,
    check_fields,
    check_name,
    check_own_values,
    kinds_of,
)
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.names import forms


class Ingestion:
    """The ingestion of contents, from the first read to the confirmation that they are indexed.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment.

    :param dataset_id: UUID of the knowledge base.
    :param sources: The contents, in order.
    :param options: How it is done.
    :param wait: Whether to wait until all documents are indexed, and prove that search returns them.
    :param before: Its state when its task left its worker, from :meth:`state`.
    :raises DifyInputError: An argument is invalid.
    """

    def __init__(
        self,
        dataset_id: object,
        sources: Sequence[Source],
        options: IngestOptions | None = None,
        *,
        wait: bool = True,
        before: Mapping[str, JSON] | None = None,
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self._options = inputs.given(options, IngestOptions, "options")
        #: What happens to a document of the same name.
        self.if_exists = IfExists(self._options.if_exists)
        hash_field = self._options.hash_field
        self._hash_field = None if hash_field is None else check_name(hash_field, "hash_field")
        reserved = {self._hash_field: "the digests (hash_field)"} if self._hash_field else {}
        self._metadata = check_own_values(self._options.metadata, reserved)
        self._items = [Item(source) for source in sources]
        self._delivery = Delivery(self.dataset_id, self._options, hash_field=self._hash_field, values=self._metadata)
        #: The documents that are being indexed.
        self.watch = self._delivery.watch
        self._arrival = Arrival(self.dataset_id, self._options)
        self._wait = wait
        self._before: IngestReport | None = None
        if before is not None:
            state = Fields(before)
            self._before = IngestReport.from_json(state.get("report"))
            self.watch.active.update(dict.fromkeys(state.texts("active"), "waiting"))
            self._delivery.expected.update(state.object("digests").each(a_text))

    @property
    def names(self) -> dict[str, str]:
        """The names of the documents, by id."""
        return {entry.document_id: entry.name for entry in self.report().documents if entry.document_id}

    def leaves_at(self, pause: Pause) -> bool:  # noqa: ARG002 - indexing takes a while in any case
        """Whether to wait for indexing elsewhere."""
        return self.watch.awaited

    def waits_for(self) -> IndexingWait:
        """Return what to wait for elsewhere after :meth:`flow` left. Pass its result to :meth:`take`
        before continuing.
        """
        return self.watch.elsewhere(self.report().total)

    def state(self) -> dict[str, JSON]:
        """Return what is needed to continue, as ``before`` of another ingestion: plain JSON, without secrets."""
        return {
            "report": self.report().to_json(),
            "active": list(self.watch.active),
            "digests": dict(self._delivery.expected),
        }

    def take(self, report: Mapping[str, JSON], error: DifyError | None) -> None:  # noqa: ARG002 - as every such wait
        """Take the result of the wait elsewhere.

        :param error: How it failed.
        :raises DifyError: Nothing is known about the documents: requests to Dify failed.
        """
        if not self.watch.take(error) and error:
            error.report = self.report()
            raise error

    def report(self) -> IngestReport:
        """Return the outcome of each content so far; complete and consistent at any moment."""
        entries = self._before.documents if self._before else tuple(item.entry() for item in self._items)
        bad = {**self._delivery.errors, **self._arrival.ended, **self.watch.ended}
        return IngestReport(self.dataset_id, entries, self._arrival.repaired).with_outcomes(bad)

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[IngestReport]:
        """Ingest the contents.

        :param deadline: How long to wait for indexing, and for a ``Retry-After``.
        :param retries: How failed requests are retried.
        :return: The report; see :meth:`IngestReport.raise_for_outcomes`.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        progress = Progress(deadline)
        try:
            if not self._before:
                yield from self._send(deadline, retries, progress)
            if self._wait:
                yield from self.watch.finish(deadline, progress)
                yield from self._arrive(deadline, retries)
            if self._delivery.acted or self._before:
                yield from self._delivery.prove()
        except DifyError as error:
            error.report = self.report()
            raise
        return self.report()

    def _send(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        dataset, options = yield from read_target(self.dataset_id, self._options)
        yield from self._decide()
        yield from self._check_target(dataset, options)
        yield from self._check_fields()
        self._skip()
        sender = ContentSender(dataset, options, retries, deadline)
        yield from self._delivery.flow(list(self._to_send()), sender, progress)

    def _arrive(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Prove that search returns the indexed documents."""
        report = self.report()
        brought = report.ids(IngestOutcome.CREATED, IngestOutcome.UPDATED)
        kept = report.ids(IngestOutcome.SKIPPED)
        yield from self._arrival.flow(brought, deadline, retries, Progress(deadline), kept=kept, in_use=brought)

    def _decide(self) -> Flow[None]:
        """Decide what to do with each content, from one read of the existing documents."""
        self._drop_doubles()
        open_items = [item for item in self._items if not item.outcome]
        namesakes = yield from self._namesakes([item.source.name for item in open_items])
        for item in open_items:
            item.namesakes = namesakes.get(item.source.name, [])
            try:
                item.decision = decide(item.source, item.namesakes, self.if_exists, self._hash_field)
            except DifySourceError as error:
                item.end(IngestOutcome.UNREADABLE, error.message)
                continue
            if len(item.decision.name) > LONGEST_NAME:
                why = (
                    f"The name of the document would have {len(item.decision.name)} characters; Dify keeps only "
                    f"{LONGEST_NAME}."
                )
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
                other = first[source.name]
                named = other.place if other.text is None else "another input"
                why = f"It has the same name as {named} and would replace it."
                item.end(IngestOutcome.INVALID, why)

    def _namesakes(self, names: Sequence[str]) -> Flow[dict[str, list[Document]]]:
        """Read the documents with one of these names and their versions, in the cheaper of two ways."""
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
        stems = (form for name in names for form in forms(stem_of(name)))
        for keyword in dict.fromkeys(keyword_of(stem) for stem in stems):
            pager = Pager()
            while not pager.done:
                yield from self._page(pager, keyword, found)
        return {name: list({d.id: d for d in documents}.values()) for name, documents in found.items()}

    def _page(self, pager: Pager[Document], keyword: str | None, found: dict[str, list[Document]]) -> Flow[None]:
        page = yield from api.document_page(self.dataset_id, pager.page, keyword=keyword, limit=pager.limit)
        for document in pager.take(page):
            for name in {document.name, base_name(document.name)}:
                if name in found:
                    found[name].append(document)

    def _check_fields(self) -> Flow[None]:
        """Check that the metadata fits the existing fields, before documents without metadata exist."""
        kinds = kinds_of([self._metadata, {self._hash_field: ""} if self._hash_field else {}])
        if any(self._to_send()):
            yield from check_fields(self.dataset_id, kinds)

    def _check_target(self, dataset: Dataset, options: DocumentOptions) -> Flow[None]:
        """Check that the knowledge base supports what was decided."""
        replaced = [i.decision.name for i in self._to_send() if i.decision and i.decision.verb is Verb.UPDATE]
        check_replacing(dataset, replaced, "create a new document next to the old one: if_exists='new_version'.")
        if any(self._to_send()):
            yield from check_latest_rule(dataset, options)

    def _skip(self) -> None:
        for item in self._items:
            if item.decision and item.decision.verb is Verb.SKIP and item.decision.document:
                item.skipped(item.decision.document)
                document = item.decision.document
                if self.if_exists is not IfExists.SKIP:
                    self._delivery.there(document)
                elif self._is_unfinished(item.source, document):
                    self._delivery.there(document, digest=item.source.digest())
                else:
                    self._delivery.there(document, mark=False)

    def _is_unfinished(self, source: Source, document: Document) -> bool:
        """Whether a document seems to come from a try that was killed before it set the metadata.

        It was created by the API, has the same size, and has no metadata values. Documents with values belong to
        somebody else.
        """
        # For a text, Dify counts the characters.
        sizes = (source.size, len(source.text)) if source.text is not None else (source.size,)
        return document.by_api and document.size in sizes and not document.metadata.keys() - BUILT_IN

    def _to_send(self) -> Iterator[Item]:
        for item in self._items:
            if not item.outcome and item.decision and item.decision.verb in (Verb.CREATE, Verb.UPDATE):
                yield item

    def _plan(self) -> str:
        verbs = [item.decision.verb for item in self._items if item.decision and not item.outcome]
        outcomes = [item.outcome for item in self._items if item.outcome]
        parts = [f"{verbs.count(verb)} to {verb.value}" for verb in Verb if verb in verbs]
        parts += [f"{outcomes.count(outcome)} {outcome.value}" for outcome in IngestOutcome if outcome in outcomes]
        return f"Of {number_of(len(self._items), 'input')}: {', '.join(parts) or 'nothing to do'}."
