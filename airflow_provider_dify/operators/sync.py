"""The operator that syncs a knowledge base with a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.ingest.options import HIDDEN, MAX_FILE_SIZE, UTF_8, FolderOptions
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT
from airflow_provider_dify.knowledge.sync.options import MAX_SHARE, SyncOptions
from airflow_provider_dify.tasks.running import StagedTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.ingest.contents import Source
    from airflow_provider_dify.knowledge.sync.promotion import Promotion
    from airflow_provider_dify.knowledge.sync.report import SyncReport
    from airflow_provider_dify.knowledge.sync.sync import Sync


class DifySyncOperator(StagedTask, BaseOperator):
    """Sync a knowledge base with a folder or a bucket. The task succeeds only when they are in sync.

    New files become documents, changed files replace the content of their documents, renamed files rename theirs, and
    the documents of deleted files are retired. The plan is made from one read, and is in the log as a table before
    anything is changed. A run without changes makes only the requests of that read. Each run reads each file to compute
    its SHA-256: a modification time or an ETag is not reliable enough.

    **Which documents are touched.** Only those that a sync of the same name created, which have it in their metadata
    (``sync_source``). Several syncs can share a knowledge base, and documents that people created by hand survive. A
    file with the name of such a document is ``refused``, because Dify would overwrite the document.

    **Names.** Dify allows no slash in a file name: with ``recursive``, ``guide/setup.md`` becomes the document
    ``guide__setup.md``. If two files would become one document, nothing is sent.

    **Order.** New contents are indexed first, documents are retired last. While Dify indexes a changed or renamed
    document again, search does not return it (Dify cannot change a name alone: the same content is sent with it).

    **Files that come back.** If a file reappears with the same content, its archived or disabled document is restored;
    otherwise a new document is created next to that one.

    **What can go wrong.** A file that cannot become a document (it is empty or too large, or Dify does not accept its
    type) is ``invalid``, one that cannot be read is ``unreadable``; its earlier document stays. If the source is
    missing or empty, its folders cannot be listed, or (with ``recursive``) its links are broken, the task fails, and
    nothing is changed. The retry of a killed task continues where it stopped: until a run has proven its result, it
    leaves an empty metadata field ``sync_unfinished …`` in the knowledge base. Do not let two tasks with the same
    ``sync_source`` run at the same time: set ``max_active_runs=1``.

    **Exports.** If the source is an export of ``DifyExportOperator``, its documents are recreated with their names,
    contents, metadata, process rules and flags. Each copy has the id of its original in its metadata
    (``exported_document``), so names need not be unique. Such a sync does not defer.

    .. seealso:: https://docs.dify.ai/api-reference/documents/create-document-by-file

    :param source: The folder: a path, a URL (``s3://``, ``gs://``, ``file://``: anything that ``ObjectStoragePath``
        opens), or a path object.
    :param sync_source: Name of the sync, stored in its documents; by default, the source as written. Set it if the
        source may move, such as a folder with a date in its path.
    :param exclude: Exclude files whose path below the source matches one of these patterns; by default, hidden files.
    :param metadata: Additional metadata values of each document. Missing fields are created.
    :param follow_links: Whether links may lead out of the source. Otherwise such a link fails the task.
    :return: The report as plain JSON: ``dataset_id``, ``sync_source``, ``counts`` by outcome, ``changed`` (whether the
        knowledge base was changed), and for each outcome (``created``, ``updated``, ``renamed``, ``restored``,
        ``retired``, ``kept``, ``left``, ``refused``, ``invalid``, ``unreadable``, ``failed``, ``not_indexed``,
        ``lagging``, ``not_searchable``, ``not_attempted``) a list with ``name`` and ``id`` of each document,
        ``old_name`` if it was renamed, ``error`` if something is wrong, and ``move`` if the planned move differs from
        the outcome; ``repaired`` (how many documents search had lost and returns again). It is in XCom under the key
        ``report`` even if the task fails.
    :raises DifyInputError: The parameters are invalid, or two files would become one document; nothing was sent.
    :raises DifySourceError: The source is missing, empty, or cannot be listed; nothing was changed.
    :raises DifyGuardError: A limit would be exceeded; nothing was changed.
    :raises DifyKnowledgeBaseFailed: The knowledge base accepts no documents at all, because its embedding model is
        missing.
    :raises DifySyncFailed: Files cannot become documents, or their names are taken, which a retry cannot fix.
    :raises DifySyncError: A file or document has another outcome that is not tolerated.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "source", "sync_source", "include", "exclude", "name_prefix",
        "retire", "max_documents", "max_share", "_dry_run", "process_rule", "metadata", "encoding", "tolerate",
        "timeout",
    )  # fmt: skip
    ui_color = "#d6e4ff"
    described_by = (FolderOptions, SyncOptions)
    source: Any
    adopt: bool
    sync_source: str | None
    retire: str
    tolerate: Any
    _dry_run: bool
    if_killed = "Killed. What was changed so far stays; run the task again to continue from there."

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
        max_documents: int | str | None = None,
        max_share: float | None = MAX_SHARE,
        dry_run: bool | str = False,
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
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Sync the knowledge base, and return the report."""
        self.read_guards()
        sync = self.in_knowledge_base(self._new)
        verb = "Dry run: would sync" if self._dry_run else "Syncing"
        plan = f"{verb} with {self._place()}, for up to {self.timeout:g} s. Documents of missing files: {self.retire}."
        return self.converse(context, sync, plan=plan)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Continue after a wait; return and raise what :meth:`execute` would.

        :param event: The trigger's event.
        """
        return self.resume(context, event, lambda state: self._sync(state["dataset_id"], (), before=state))

    def _new(self, dataset_id: object) -> Sync | Promotion:
        from airflow_provider_dify.exports.source import open_export
        from airflow_provider_dify.folders import list_folder
        from airflow_provider_dify.knowledge.sync.promotion import Promotion

        reading = self.options(FolderOptions)
        exported = open_export(self.source, reading, adopt=self.adopt)
        if exported is None:
            return self._sync(dataset_id, list_folder(self.source, reading))
        return Promotion(dataset_id, exported, self.options(SyncOptions), sync_source=self._name())

    def _place(self) -> str:
        """The source for people, without the secrets of its URL: it is in the log, and in the documents' metadata."""
        from airflow_provider_dify.knowledge import inputs

        return inputs.without_keys(str(self.source))

    def _sync(self, dataset_id: object, files: Sequence[Source], before: Mapping[str, Any] | None = None) -> Sync:
        from airflow_provider_dify.knowledge.sync.sync import Sync

        return Sync(dataset_id, files, self.options(SyncOptions), sync_source=self._name(), before=before)

    def _name(self) -> str:
        return self._place().rstrip("/") if self.sync_source is None else self.sync_source

    def publish(self, report: SyncReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Log a report, and leave it for downstream tasks."""
        self.show("the sync", report, tolerate=self.tolerated(report))
        # The folder stands for its files, of which there may be many.
        files = [self._place()]
        self.publish_report(context, report.to_json(), action="sync", changed=report.changed_ids, files=files)
