"""The operator that brings a knowledge base in step with a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify.encodings import UTF_8
from airflow_provider_dify.exceptions import DifyError, DifyIndexingError, DifyIndexingStalled, DifyIndexingTimeout
from airflow_provider_dify.folders import HIDDEN, list_folder
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import Deadline
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.ingest.contents import DocumentOptions, Source
from airflow_provider_dify.knowledge.ingest.watch import NOT_IN_TIME, stalled
from airflow_provider_dify.knowledge.selection.guards import Guard
from airflow_provider_dify.knowledge.status.report import StatusReport
from airflow_provider_dify.knowledge.sync.plan import MAX_SHARE
from airflow_provider_dify.knowledge.sync.report import SyncOutcome
from airflow_provider_dify.knowledge.sync.sync import INDEXING, Sync
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID, KnowledgeBaseTask
from airflow_provider_dify.operators.deferring import (
    defer_for_status,
    defer_until_indexed,
    error_of_indexing,
    unknown,
)
from airflow_provider_dify.sources import MAX_FILE_SIZE
from airflow_provider_dify.transport import clock as clocks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DifySyncOperator(KnowledgeBaseTask, BaseOperator):
    """Bring a knowledge base in step with a folder or a bucket; when the task is green, they are.

    New files become documents, changed ones replace the content of theirs, renamed ones rename theirs, and the
    documents of files that are gone are retired. What is to be done is decided from one look, and is in the log as a
    table before anything is changed. A run without changes makes only the calls of that look. Each file is read in each
    run, for its SHA-256: a time of change or an ETag says too little to go by.

    **Which documents are touched.** Those that a sync of the same name has made, which bear it in their metadata
    (``sync_source``), and no others. Several syncs can share a knowledge base, and what people made by hand survives.
    A file with the name of such a document is ``refused``, as Dify would overwrite the document.

    **Names.** Dify takes no slash in the name of a file: with ``recursive``, ``guide/setup.md`` becomes the document
    ``guide__setup.md``. Where two files would become one document, nothing is sent.

    **Order.** New contents are indexed first, documents are retired last. While Dify indexes a changed or renamed
    document again, search lacks it (Dify cannot change a name alone: the same content is sent with it).

    **What comes back.** A file that reappears gets its archived or disabled document back, where the content is the
    same; else it becomes a new document beside that one.

    **What can go wrong.** A file that cannot become a document (empty, too large, of a type that Dify does not take) is
    ``invalid``, one that cannot be read ``unreadable``; the document that was made of it before stays. A source that is
    missing or empty, whose folders cannot be listed, or (with ``recursive``) whose links lead nowhere, fails the task,
    and nothing is changed. A task that was killed
    is taken up where it broke off: until it has proven its work, it leaves an empty metadata field
    ``sync_unfinished …`` in the knowledge base. Do not let two tasks with the same ``sync_source`` run at the same
    time: set ``max_active_runs=1``.

    .. seealso:: https://docs.dify.ai/api-reference/documents/create-document-by-file

    :param dataset_id: UUID of the knowledge base. (templated)
    :param dataset_name: Instead of its id, the name of the knowledge base, which exactly one must have. It takes one
        more request, and a key that may list knowledge bases. (templated)
    :param source: The folder: a path, an URL (``s3://``, ``gs://``, ``file://``: what ``ObjectStoragePath`` opens), or
        a path object. (templated)
    :param sync_source: Name of the sync, which its documents bear; by default the source as it is written. Give one
        where the source may move, such as a folder with a date in its path. (templated)
    :param recursive: Whether folders below count.
    :param include: Only files whose path below the source fits one of these patterns, such as ``["*.md", "*.pdf"]``; a
        star also stands for slashes. A file that no longer fits counts as gone. (templated)
    :param exclude: No files whose path below the source fits one of these; by default what is hidden. (templated)
    :param name_prefix: What the name of each document begins with, so that syncs with files of the same names can share
        a knowledge base. (templated)
    :param retire: What becomes of documents whose files are gone: ``archive``, ``disable``, ``delete``, or ``keep`` for
        nothing. (templated)
    :param adopt: Whether documents in use that no sync has made are taken over where they have the name of a file:
        once, where the folder was brought in by other means before.
    :param max_documents: Fail, and change nothing, where more documents than this would be retired. (templated)
    :param max_share: Fail, and change nothing, where more than this part of the sync's documents in use would be
        retired; ``None``: any. Contents that change are not counted: they are in the source, and can be brought back.
        (templated)
    :param dry_run: Whether to look and to plan only: nothing is changed, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``. (templated)
    :param process_rule: How Dify cleans and cuts the text, as its API takes it; by default, the latest rule of the
        knowledge base. One with parent-child chunks needs a ``parent_mode`` in it. (templated)
    :param doc_form: ``text_model``, ``hierarchical_model`` or ``qa_model``; the knowledge base's own by default.
    :param doc_language: Language of the text, such as ``English``.
    :param indexing_technique: ``economy`` or ``high_quality``; needed for the first documents of a knowledge base.
    :param metadata: More values for the metadata of each document; fields that there are not yet are created.
        (templated)
    :param max_active: How many documents may be in indexing at a time before another one is sent.
    :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit of our own.
    :param encoding: Encoding of files of text (``.txt``, ``.md``, ``.html``, ``.csv`` and the like), which are sent as
        UTF-8: its name, such as ``gb18030``; ``detect``: find it out; ``None``: send them unchecked, as they are. What
        is UTF-8, or UTF-16, or begins with a mark of these, is understood in any case. (templated)
    :param follow_links: Whether links may lead out of the source. Otherwise one that does fails the task.
    :param timeout: Seconds for all of it, all waiting included. Dify's lock on a document can last 600 s.
        (templated)
    :param poll_interval: Seconds between two looks while waiting; the first looks come sooner.
    :param stall_timeout: Seconds in which no document moves, after which the wait for indexing is given up; ``None``:
        never.
    :param prove_by: What proves that documents have entered search. ``search``: search returned them; documents that
        Dify calls available and that it does not return are taken out and brought back once, one at a time. A search
        shows up among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against
        the request limit of Dify Cloud. ``segments``: only that their segments are enabled, which Dify also shows for
        documents whose keywords it has lost.
    :param tolerate: Outcomes that should not fail the task, such as ``("invalid",)``. (templated)
    :param deferrable: Whether to wait in the triggerer instead of on the worker, for indexing and for search to follow.
        Deletions are made on the worker.
    :param dify_conn_id: Id of the Airflow Connection. (templated)
    :return: The report as plain JSON: ``dataset_id``, ``sync_source``, ``counts`` by outcome, ``changed`` (whether the
        knowledge base is another one than before), and for each outcome (``created``, ``updated``, ``renamed``,
        ``restored``, ``retired``, ``kept``, ``left``, ``refused``, ``invalid``, ``unreadable``, ``failed``,
        ``not_indexed``, ``not_attempted``) a list with ``name`` and ``id`` of each document, ``old_name`` where it was
        another, ``error`` where something is wrong, and ``move`` where what was to be done is not what the outcome
        says. It is in XCom under the key ``report`` also when the task fails.
    :raises DifyInputError: What was asked for makes no sense, or two files would become one document; nothing was sent.
    :raises DifySourceError: The source is missing, empty, or cannot be listed; nothing was changed.
    :raises DifyGuardError: More documents would be retired than a limit allows; nothing was changed.
    :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all, as its embedding model is missing.
    :raises DifySyncFailed: Files cannot become documents, or their names are taken, and no retry can mend that.
    :raises DifySyncError: Something ended in another outcome that is not tolerated.
    :raises DifyError: Dify could not be asked.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "source", "sync_source", "include", "exclude", "name_prefix",
        "retire", "max_documents", "max_share", "_dry_run", "process_rule", "metadata", "encoding", "tolerate",
        "timeout",
    )  # fmt: skip
    ui_color = "#d6e4ff"

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        source: Any,
        sync_source: str | None = None,
        recursive: bool = False,
        include: Iterable[str] | str = "*",
        exclude: Iterable[str] | str = HIDDEN,
        name_prefix: str = "",
        retire: str = "archive",
        adopt: bool = False,
        max_documents: int | None = None,
        max_share: float | None = MAX_SHARE,
        dry_run: bool = False,
        process_rule: Mapping[str, Any] | None = None,
        doc_form: str | None = None,
        doc_language: str | None = None,
        indexing_technique: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        max_active: int = 20,
        max_file_size: int | None = MAX_FILE_SIZE,
        encoding: str | None = UTF_8,
        follow_links: bool = False,
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        tolerate: Iterable[str] = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_id = dataset_id
        self.dataset_name = dataset_name
        self.source = source
        self.sync_source = sync_source
        self.recursive = recursive
        self.include = include
        self.exclude = exclude
        self.name_prefix = name_prefix
        self.retire = retire
        self.adopt = adopt
        self.max_documents = max_documents
        self.max_share = max_share
        self._dry_run = dry_run  # without the underscore, it is a method of every operator
        self.process_rule = process_rule
        self.doc_form = doc_form
        self.doc_language = doc_language
        self.indexing_technique = indexing_technique
        self.metadata = metadata
        self.max_active = max_active
        self.max_file_size = max_file_size
        self.encoding = encoding
        self.follow_links = follow_links
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.stall_timeout = stall_timeout
        self.prove_by = prove_by
        self.tolerate = tolerate
        self.deferrable = deferrable
        self.dify_conn_id = dify_conn_id
        self._stop: Callable[[], None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Bring the knowledge base in step, and return the report."""
        self.read_guards()
        self._tolerated()
        sync = self.in_knowledge_base(lambda dataset_id: self._sync(dataset_id, self._files()))
        self.log.info(
            "%sBringing Dify dataset %s in step with %s; documents whose files are gone: %s.",
            "Dry run, nothing is changed: " if self._dry_run else "",
            sync.dataset_id,
            self._place(),
            self.retire,
        )
        started = clocks.clock.time()
        return self._run(sync, context, started, Deadline(self.timeout, clocks.clock.monotonic))

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None, *, state: dict[str, Any], waited_for: str, started: float
    ) -> dict[str, Any]:
        """Go on after a wait; return and raise what :meth:`execute` would.

        :param event: What the trigger fired.
        :param state: What is to be known of the sync.
        :param waited_for: What the wait was for.
        :param started: When the task began, in seconds since the epoch.
        """
        self.read_guards()
        sync = self._sync(state.get("dataset_id", self.dataset_id), (), before=state)
        error = self._take_indexing(sync, event) if waited_for == INDEXING else self._take_status(sync, event)
        if error:
            error.report = sync.report()
            self._publish(sync, context)
            raise error
        return self._run(sync, context, started, Deadline(self.timeout, clocks.clock.time, started))

    def on_kill(self) -> None:
        """Send nothing more, and leave behind what was done so far: in the log, and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning("Killed. What was changed so far stays; run the task again to go on from there:")
            self._stop()

    def _run(self, sync: Sync, context: Context, started: float, deadline: Deadline) -> dict[str, Any]:
        with self.open_hook(context, sync.dataset_id) as hook:
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._publish(sync, context)

            # Only while nothing but Dify is spoken to: Airflow bears no call from within another one.
            self._stop = stop
            try:
                report = hook.run(sync.flow(deadline, hook.retries, hand_over=self.deferrable), deadline)
            finally:
                self._stop = None
                # Also where it failed: whoever mends it needs to know what was done.
                self._publish(sync, context)
        if sync.waiting:
            self._defer(sync, started)
        report.raise_for_outcomes(self._tolerated())
        return report.to_json()

    def _defer(self, sync: Sync, started: float) -> NoReturn:
        kwargs = {"state": sync.state(), "waited_for": sync.waiting, "started": started}
        if sync.changes.waiting is None:
            defer_until_indexed(self, sync.dataset_id, sync.active, started, kwargs)
        action, handover = sync.changes.waiting
        options = {
            "poll_interval": self.poll_interval,
            "prove_by": self.prove_by,
            "tolerate": sync.changes.bearable,
        }
        defer_for_status(
            self,
            sync.dataset_id,
            action.value,
            handover,
            started=started,
            timeout=self.timeout,
            options=options,
            kwargs=kwargs,
        )

    def _take_indexing(self, sync: Sync, event: dict[str, Any] | None) -> DifyError | None:
        error = error_of_indexing(event)
        if error and not isinstance(error, (DifyIndexingError, DifyIndexingTimeout)):
            return error
        if isinstance(error, DifyIndexingStalled):
            sync.indexing_ended(stalled(self.stall_timeout or 0.0))
        elif isinstance(error, DifyIndexingTimeout):
            sync.indexing_ended(NOT_IN_TIME)
        return None

    @staticmethod
    def _take_status(sync: Sync, event: dict[str, Any] | None) -> DifyError | None:
        if not event or "report" not in event:
            raise unknown(event)
        sync.changes.waited(StatusReport.from_json(event["report"]))
        return DifyError.from_json(event["error"]) if event["error"] else None

    def _files(self) -> list[Source]:
        return list(
            list_folder(
                self.source,
                recursive=self.recursive,
                include=self.include,
                exclude=self.exclude,
                name_prefix=self.name_prefix,
                max_file_size=self.max_file_size,
                encoding=self.encoding,
                follow_links=self.follow_links,
            )
        )

    def _place(self) -> str:
        """The source for people, without the secrets of its URL: it is in the log, and in the documents' metadata."""
        return inputs.without_keys(str(self.source))

    def _sync(self, dataset_id: object, files: Sequence[Source], before: Mapping[str, Any] | None = None) -> Sync:
        # A rule that a template renders is a text.
        rule: Any = inputs.literal(self.process_rule)
        return Sync(
            dataset_id,
            files,
            sync_source=self._place().rstrip("/") if self.sync_source is None else self.sync_source,
            retire=self.retire,
            adopt=self.adopt,
            guard=Guard(self.max_documents, self.max_share),
            options=DocumentOptions(self.indexing_technique, rule, self.doc_form, self.doc_language),
            metadata=self.metadata,
            max_active=self.max_active,
            poll_interval=self.poll_interval,
            stall_timeout=self.stall_timeout,
            dry_run=self._dry_run,
            prove_by=self.prove_by,
            before=before,
        )

    def _tolerated(self) -> frozenset[SyncOutcome]:
        return inputs.choices(self.tolerate, SyncOutcome, "tolerate")

    def _publish(self, sync: Sync, context: Context) -> None:
        report = sync.report()
        counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
        dry_run = " (a dry run: nothing was changed)" if report.dry_run else ""
        self.log.info("Result of the sync%s: %s.", dry_run, counts or "nothing")
        for line in report.attention():
            self.log.warning("%s", line)
        # The folder stands for its files, of which there may be many.
        files = [self._place()]
        self.publish_report(context, report.to_json(), action="sync", changed=report.changed_ids, files=files)
