"""The operator that makes documents of files and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify.encodings import UTF_8
from airflow_provider_dify.events import named
from airflow_provider_dify.exceptions import (
    DifyIndexingError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
)
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import Deadline
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.ingest.arrival import Arrival
from airflow_provider_dify.knowledge.ingest.contents import DocumentOptions
from airflow_provider_dify.knowledge.ingest.delivery import HASH_FIELD
from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion, prove_arrival
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome, IngestReport
from airflow_provider_dify.knowledge.ingest.watch import Watch
from airflow_provider_dify.knowledge.status.proof import ProvenBy
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID, KnowledgeBaseTask
from airflow_provider_dify.operators.deferring import defer_until_indexed, error_of_indexing
from airflow_provider_dify.patterns import HIDDEN
from airflow_provider_dify.sources import MAX_FILE_SIZE, resolve
from airflow_provider_dify.transport import clock as clocks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class Indexing(str, Enum):
    """Where to wait for indexing."""

    WAIT = "wait"
    DEFER = "defer"
    NONE = "none"


class DifyDocumentIngestOperator(KnowledgeBaseTask, BaseOperator):
    """Make documents of files and texts; when the task is green, each is a document, and indexed.

    What is there is looked at once, first. A content that is unchanged is not sent again: its SHA-256 is kept in the
    document's metadata. An archived or switched-off document of the same name is never overwritten. Where the answer to
    a creation is lost, the document is looked for before anything is sent again, so that a task that is retried, or
    was killed, leaves no duplicates.

    An input that cannot become a document (empty, too large, of a type or a name that Dify does not take, not readable)
    does not keep the others from it: the report names it, and the task fails at the end.

    Files are sent piece by piece, one after the other over one connection: Dify's API works off one request at a time.

    .. seealso:: https://docs.dify.ai/api-reference/documents/create-document-by-file

    :param dataset_id: UUID of the knowledge base. (templated)
    :param dataset_name: Instead of its id, the name of the knowledge base, which exactly one must have. It takes one
        more request, and a key that may list knowledge bases. (templated)
    :param source: What becomes documents, one or a list of: a path or an URL (``s3://``, ``gs://``, ``file://``: what
        ``ObjectStoragePath`` opens) of a file, of a folder (its files, not those in folders below), or with wildcards
        (``**`` for folders below); a path object; ``{"name": ..., "text": ...}``; ``{"path": ..., "name": ...}``. A
        string may also hold such a list as JSON. Airflow renders Jinja in all of its texts: for one with braces of its
        own, write ``literal(text)`` (from ``airflow.sdk``). (templated)
    :param if_exists: What to do where there is a document of the same name. ``update``: replace the content of the one
        in use, if it differs. ``skip``: leave it, whatever it holds (but one that a
        killed try left without its metadata gets it). ``fail``: refuse the input. ``new_version``: make
        another document, called like ``report (3f2a91c0).md`` by its content, beside the old one. ``for_release``: the
        same, and where that document is there and out of use, as after a release that was rolled back, it is taken as
        it is; ``new_version`` refuses that. (templated)
    :param indexing: ``wait`` for it on the worker, ``defer`` the waiting to the triggerer, or ``none``. ``None``: as
        ``deferrable`` says.
    :param deferrable: Whether to wait in the triggerer instead of on the worker, unless ``indexing`` says otherwise.
    :param process_rule: How Dify cleans and cuts the text, as its API takes it; by default, the latest rule of the
        knowledge base. One with parent-child chunks needs a ``parent_mode`` in it. (templated)
    :param doc_form: ``text_model``, ``hierarchical_model`` or ``qa_model``; the knowledge base's own by default.
    :param doc_language: Language of the text, such as ``English``.
    :param indexing_technique: ``economy`` or ``high_quality``; needed for the first documents of a knowledge base.
    :param metadata: Values for the metadata of each document; fields that there are not yet are created. (templated)
    :param hash_field: Name of the metadata that keeps a content's SHA-256; ``None``: keep none, and send always.
    :param max_active: How many documents may be in indexing at a time before another one is sent.
    :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit of our own.
    :param exclude: No files of a folder or a pattern whose path below it fits one of these patterns; a star also stands
        for slashes. By default what is hidden, or left there by macOS, Windows or Office. (templated)
    :param encoding: Encoding of files of text (``.txt``, ``.md``, ``.html``, ``.csv`` and the like), which are sent as
        UTF-8: its name, such as ``gb18030``; ``detect``: find it out; ``None``: send them unchecked, as they are. What
        is UTF-8, or UTF-16, or begins with a mark of these, is understood in any case. (templated)
    :param follow_links: Whether links in a folder or a pattern may lead out of it.
    :param allow_empty: Whether it is no failure where a source, or one of several, holds nothing, as an empty folder
        does, or a pattern that fits no file.
    :param timeout: Seconds for all of it, waiting for the indexing included. (templated)
    :param poll_interval: Seconds between two looks at the indexing; the first looks come sooner.
    :param stall_timeout: Seconds in which no document moves a step, after which waiting is given up; ``None``: never.
    :param prove_by: What proves that documents have entered search. ``search``: search returned them; documents that
        Dify calls available and that it does not return are taken out and brought back once, one at a time. A search
        shows up among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against
        the request limit of Dify Cloud. ``segments``: only that their segments are enabled, which Dify also shows for
        documents whose keywords it has lost.
    :param tolerate: Outcomes that should not fail the task, such as ``("invalid",)``. (templated)
    :param dify_conn_id: Id of the Airflow Connection. (templated)
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, ``document_ids`` of what ended well,
        ``old_document_ids`` for which these stand, and ``documents`` with ``name``, ``source``, ``outcome``
        (``created``, ``updated``, ``skipped``, ``refused``, ``invalid``, ``unreadable``, ``failed``, ``not_indexed``,
        ``not_attempted``), ``document_id``, ``batch``, ``old_document_ids`` and ``error`` for each input. It is in
        XCom under the key
        ``report`` also when the task fails.
    :raises DifyInputError: What was asked for makes no sense, or not with this knowledge base; nothing was sent.
    :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all, as its embedding model is missing.
    :raises DifyIngestFailed: Inputs are not fit to become documents, or a namesake stands in the way.
    :raises DifyIngestError: Inputs ended in another outcome that is not tolerated.
    :raises DifyError: Dify could not be asked.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "source", "if_exists", "process_rule", "metadata", "exclude",
        "encoding", "tolerate", "timeout",
    )  # fmt: skip
    ui_color = "#d6e4ff"

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        source: Any,
        if_exists: str = "update",
        indexing: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        process_rule: Mapping[str, Any] | None = None,
        doc_form: str | None = None,
        doc_language: str | None = None,
        indexing_technique: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        hash_field: str | None = HASH_FIELD,
        max_active: int = 20,
        max_file_size: int | None = MAX_FILE_SIZE,
        exclude: Iterable[str] | str = HIDDEN,
        encoding: str | None = UTF_8,
        follow_links: bool = False,
        allow_empty: bool = False,
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        tolerate: Iterable[str] = (),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_id = dataset_id
        self.dataset_name = dataset_name
        self.source = source
        self.if_exists = if_exists
        self.indexing = ("defer" if deferrable else "wait") if indexing is None else indexing
        self.process_rule = process_rule
        self.doc_form = doc_form
        self.doc_language = doc_language
        self.indexing_technique = indexing_technique
        self.metadata = metadata
        self.hash_field = hash_field
        self.max_active = max_active
        self.max_file_size = max_file_size
        self.exclude = exclude
        self.encoding = encoding
        self.follow_links = follow_links
        self.allow_empty = allow_empty
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.stall_timeout = stall_timeout
        self.prove_by = prove_by
        self.tolerate = tolerate
        self.dify_conn_id = dify_conn_id
        self._stop: Callable[[], None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Ingest the contents, and return the report."""
        self.read_guards()
        ingestion, seconds = self.in_knowledge_base(self._ingestion), self.timeout
        tolerated = self._tolerated()
        self.log.info(
            "Ingesting %d contents into Dify dataset %s; a document of the same name %s.",
            len(ingestion.report().documents),
            ingestion.dataset_id,
            ingestion.if_exists.describe(),
        )
        started = clocks.clock.time()
        with self.open_hook(context, ingestion.dataset_id) as hook:
            deadline = hook.deadline(seconds)
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._publish(ingestion.report(), context)

            self._stop = stop
            try:
                wait, prove = self.indexing == "wait", self.indexing != "none"
                report = hook.run(ingestion.flow(deadline, hook.retries, wait=wait, prove=prove), deadline)
            finally:
                self._stop = None
                # Also where it failed: whoever mends it needs to know what was done.
                self._publish(ingestion.report(), context)
            self.show_links(context, hook, report.dataset_id, report.ids())
        if self.indexing == "defer" and ingestion.watch.active:
            self._defer(report, list(ingestion.watch.active), started)
        report.raise_for_outcomes(tolerated)
        return report.to_json()

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None,
        *,
        report: dict[str, Any],
        active: list[str],
        started: float,
    ) -> dict[str, Any]:
        """See how the indexing ended, and return and raise what :meth:`execute` would.

        :param event: What the trigger fired: that all are indexed, or that one of them or the time is not as it should.
        :param report: What had become of the inputs before.
        :param active: The documents that were being indexed.
        :param started: When the task began, in seconds since the epoch.
        """
        self.read_guards()
        before = IngestReport.from_json(report)
        error = error_of_indexing(event)
        if error and not isinstance(error, (DifyIndexingError, DifyIndexingTimeout)):
            error.report = before
            raise error
        deadline = Deadline(self.timeout, clocks.clock.time, started)
        watch = Watch(before.dataset_id, poll_interval=self.poll_interval, stall_timeout=self.stall_timeout)
        watch.add(active, deadline)
        arrival = self._arrival(before.dataset_id)
        with self.open_hook(context, before.dataset_id, before.ids()) as hook:
            hook.run(watch.look(deadline), deadline)
            if isinstance(error, DifyIndexingStalled):
                watch.time_is_up(f"Nothing has moved for {self.stall_timeout:.0f} s: is Dify's worker down?")
            elif isinstance(error, DifyIndexingTimeout) or deadline.passed:
                watch.time_is_up()
            before = before.with_outcomes(watch.ended)
            if not watch.active:
                hook.run(prove_arrival(before, arrival, deadline, hook.retries), deadline)
        whole = replace(before.with_outcomes(arrival.ended), repaired=arrival.repaired)
        self._publish(whole, context)
        if watch.active:  # one has failed; the others are still being indexed
            self._defer(whole, list(watch.active), started)
        whole.raise_for_outcomes(self._tolerated())
        return whole.to_json()

    def on_kill(self) -> None:
        """Send nothing more, and leave behind what was done so far: in the log, and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning("Killed. What is with Dify already stays there:")
            self._stop()

    def _ingestion(self, dataset_id: str) -> Ingestion:
        inputs.choice(self.indexing, Indexing, "indexing")
        self._tolerated()
        sources = resolve(
            self.source,
            max_file_size=self.max_file_size,
            allow_empty=self.allow_empty,
            exclude=self.exclude,
            encoding=self.encoding,
            follow_links=self.follow_links,
        )
        return Ingestion(
            dataset_id,
            sources,
            if_exists=self.if_exists,
            options=self._options(),
            metadata=self.metadata,
            hash_field=self.hash_field,
            max_active=self.max_active,
            poll_interval=self.poll_interval,
            stall_timeout=self.stall_timeout,
            prove_by=self.prove_by,
        )

    def _arrival(self, dataset_id: str) -> Arrival:
        return Arrival(dataset_id, inputs.choice(self.prove_by, ProvenBy, "prove_by"), poll_interval=self.poll_interval)

    def _options(self) -> DocumentOptions:
        # A rule that a template renders is a text.
        rule: Any = inputs.literal(self.process_rule)
        return DocumentOptions(self.indexing_technique, rule, self.doc_form, self.doc_language)

    def _tolerated(self) -> frozenset[IngestOutcome]:
        return inputs.choices(self.tolerate, IngestOutcome, "tolerate")

    def _defer(self, report: IngestReport, active: list[str], started: float) -> NoReturn:
        kwargs = {"report": report.to_json(), "active": active, "started": started}
        defer_until_indexed(self, report.dataset_id, active, started, kwargs)

    def _publish(self, report: IngestReport, context: Context) -> None:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
        self.log.info("Result of the ingestion: %s.", counts or "nothing")
        for line in report.attention():
            self.log.warning("%s", line)
        self.publish_report(
            context,
            report.to_json(),
            action="ingest",
            changed=report.ids(IngestOutcome.CREATED, IngestOutcome.UPDATED),
            more={"old_document_ids": named(report.old_document_ids)},
            files=report.files,
        )
