"""The operator that replaces old documents with a new version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify import DEFAULT_APP_CONN_ID, DEFAULT_CONN_ID, REPORT_KEY
from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.apps.options import CheckOptions
from airflow_provider_dify.knowledge.release.options import ReleaseOptions
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT
from airflow_provider_dify.tasks.apps.gate import GatedTask
from airflow_provider_dify.tasks.running import read_event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.release.manifest import Manifest
    from airflow_provider_dify.knowledge.release.release import Release

#: Key of the manifest in Airflow's task state store.
_STORE_KEY = "airflow-provider-dify/release"
_CHANNEL = "{{ dag.dag_id }}.{{ task.task_id }}"
_RELEASE = "{{ run_id }}{{ ' [%d]' % ti.map_index if ti.map_index >= 0 else '' }}"

#: How a release that failed ends.
_BAD_STATES = frozenset({"undone", "partly_undone", "partly_deleted"})


class DifyReleaseOperator(GatedTask, BaseOperator):
    """Replace old documents with new ones. The task succeeds only when search returns the new ones only.

    In this order: the new documents are indexed; they are enabled, and search is proven to return them; the queries, if
    any, return the expected documents; the app, if there are ``checks``, answers as expected; the old documents are
    retired, and search is proven not to return them. A query that both versions answer always finds something. New
    documents that are disabled enter search together, and search returns both versions only until the old ones have
    left. Documents that are enabled, as Dify creates them, enter search next to the old ones as soon as they are
    indexed; Dify offers no way around that.

    If ``document_ids`` is the return value of an ingestion, the documents that it created count as disabled before, so
    undoing the release removes them from search. All others get exactly their previous flags.

    If a step fails, all changes are undone, those of old documents first, and each document is proven to have its
    previous flags. Anything that could not be undone is named. Deleting comes last, when everything else is proven;
    once it has begun, a failure and a retry continue forward.

    Before it changes a flag, the task writes the flags of each document into its metadata (fields
    ``airflow_release_journal`` and, for new ones, ``airflow_release``). So a retry of a killed task knows the previous
    state, on every version of Airflow and whatever else was lost.

    The manifest is the task's return value and, even if it fails, in XCom under the key ``report``;
    ``DifyRollbackOperator`` accepts it. It is also in the asset events of the task's ``outlets`` (``manifest`` of their
    ``extra``, up to 1,000 documents) and, on Airflow 3.3 and newer, in the task's state store.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param document_ids: The new documents: UUIDs as a list or a string, or the return value of a
        ``DifyDocumentIngestOperator``.
    :param replaces: What they replace. UUIDs; filters, such as ``{"metadata": {"source": "handbook"}}``, which never
        select a new document; the return value of a ``DifyDocumentIngestOperator``; an empty list for nothing; or
        ``previous_release``: the documents of an earlier release of the same ``channel`` that search still returns, by
        the metadata of the documents themselves. Not needed if ``document_ids`` is the return value of a
        ``DifyDocumentIngestOperator``.
    :param channel: What this is a release of; by default, the DAG and the task. A mapped task that replaces the
        ``previous_release`` needs one for each instance.
    :param release: Name of the release, the same in each try; by default, the run.
    :param max_documents: Fail, and change nothing, if more documents than this would be replaced.
    :param max_share: Fail, and change nothing, if more than this share of all documents would be replaced.
    :return: The manifest as plain JSON: ``dataset_id``, ``release``, ``state`` (``released``; or ``enabled``,
        ``not_begun``, ``releasing``, ``undone``, ``partly_undone``, ``partly_deleted``), ``step``, ``retire``,
        ``counts``, lists of ids (``new``, ``old``, ``enabled``, ``retired``, ``deleted``, ``missing``, ``not_undone``),
        ``previous`` (``enabled`` and ``archived`` of each document before), ``errors`` by id, and, if there are any,
        ``disabled_chunks`` of old documents and ``dry_run``.
    :raises DifyInputError: The parameters are invalid, or a document is both new and old; nothing was sent.
    :raises DifyGuardError: More documents would be replaced than a limit allows; nothing was changed.
    :raises DifyIndexingError: A new document cannot be indexed; nothing was changed.
    :raises DifyReleaseUndone: A step failed, and everything is as it was before. It is a ``DifyReleaseFailed`` if a
        retry cannot fix it.
    :raises DifyReleaseIncomplete: A step failed, and not everything could be undone, or not everything is deleted.
    :raises DifyError: A request to Dify failed; nothing was changed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "replaces", "retire", "channel", "release",
        "queries", "checks", "checks_conn_id", "answer_timeout", "max_active_questions", "max_documents", "max_share",
        "tolerate", "_dry_run", "timeout",
    )  # fmt: skip
    template_fields_renderers = {"queries": "json", "checks": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#d6e4ff"
    described_by = (ReleaseOptions, CheckOptions)
    if_killed = "Killed. What was changed so far stays as it is; a retry continues from there."
    undoes = True
    document_ids: Any
    replaces: Any
    channel: str
    release: str
    _dry_run: bool
    max_documents: int | None
    max_share: float | None

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | Mapping[str, Any] | str,
        replaces: Iterable[str] | Mapping[str, Any] | str | None = None,
        retire: str = "archive",
        channel: str = _CHANNEL,
        release: str = _RELEASE,
        queries: Iterable[str | Mapping[str, Any]] | str | None = None,
        checks: Iterable[str | Mapping[str, Any]] | str | None = None,
        checks_conn_id: str = DEFAULT_APP_CONN_ID,
        answer_timeout: float = CheckOptions.answer_timeout,
        max_active_questions: int = CheckOptions.max_active_questions,
        until: str = "retire",
        max_documents: int | str | None = None,
        max_share: float | None = None,
        tolerate: Iterable[str] = (),
        dry_run: bool | str = False,
        timeout: float = 1800.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        poll_interval: float = 10.0,
        batch_size: int = 100,
        repair: bool = True,
        prove_by: str = "search",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())
        self._own_channel = channel != _CHANNEL

    def execute(self, context: Context) -> dict[str, JSON]:
        """Release the documents, and return the manifest."""
        from airflow_provider_dify.knowledge.text.counts import number_of

        self.read_guards()
        release = self._of(context)
        self.require_app(context)
        verb, new = ("Dry run: would release" if self._dry_run else "Releasing"), len(release.replacement.new)
        plan = (
            f"{verb} {release.version}: {number_of(new, 'new document')} instead of {release.replacement.describe()}, "
            f"for up to {self.timeout:g} s."
        )
        return self.converse(context, release, plan=plan)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> dict[str, JSON]:
        """Return and raise what ``execute`` would. If the triggerer stopped before the questions to the app, ask them.

        :param event: The trigger's event.
        """
        plain, _, error = read_event(event)
        if error or event is None or self.checks is None or plain["state"] != "enabled":
            result: dict[str, JSON] = super().execute_complete(context, event)
            return result
        self.read_guards()
        return self.converse(context, self._of(context), started=event["started"])

    def _of(self, context: Context) -> Release:
        return self.in_knowledge_base(lambda dataset_id: self._release_in(dataset_id, context))

    def _release_in(self, dataset_id: str, context: Context) -> Release:
        from airflow_provider_dify.knowledge.release.journal import Version
        from airflow_provider_dify.knowledge.release.release import Release
        from airflow_provider_dify.knowledge.release.replacement import PREVIOUS_RELEASE, Replacement
        from airflow_provider_dify.transport.clock import current

        if self.replaces == PREVIOUS_RELEASE and not self._own_channel and _map_index(context) >= 0:
            raise DifyInputError(
                "channel is required if a mapped task replaces the previous_release. Each instance needs its own, "
                "such as the name of what it releases: its place in the list can change."
            )
        replacement = Replacement.of(
            self.document_ids,
            self.replaces,
            now=current().time(),
            max_documents=self.max_documents,
            max_share=self.max_share,
        )
        options = self.options(ReleaseOptions)
        version = Version.of(self.channel, self.release, replacement.new)

        def keep() -> None:
            # Airflow does not allow a call from within another one, so a kill leaves no report meanwhile.
            stop, self._stop = self._stop, None
            self._keep(release.report(), context)
            self._stop = stop

        before, gate = self._kept(context), self.gate(context)
        release = Release(dataset_id, replacement, version, options, before=before, keep=keep, gate=gate)
        return release

    def _kept(self, context: Context) -> Manifest | None:
        """Return the manifest of an earlier try, if Airflow has a place to store it (3.3 and newer)."""
        from airflow_provider_dify.knowledge.release.manifest import Manifest

        store = context.get("task_state_store")
        kept = store.get(_STORE_KEY) if store is not None else None
        return Manifest.from_json(kept) if isinstance(kept, dict) else None

    def _keep(self, manifest: Manifest, context: Context) -> None:
        """Store the manifest of a running release outside of this process."""
        context["ti"].xcom_push(key=REPORT_KEY, value=manifest.to_json())
        self._store(manifest, context)

    def waits_for(self, conversation: Release, context: Context) -> Release:
        """Return what continues in the triggerer: the whole release."""
        self._keep(conversation.report(), context)
        return conversation

    def publish(self, report: Manifest, names: Mapping[str, str], context: Context) -> None:
        """Log a manifest, and leave it for downstream tasks."""
        from airflow_provider_dify.events import as_event

        say = self.log.warning if report.state.value in _BAD_STATES else self.log.info
        say("Result of the release%s: %s.", self._so_far, report.describe())
        self.log_table("Documents by outcome", report.table(names))
        plain, changed = report.to_json(), (*report.enabled, *report.retired)
        self._store(report, context)
        self.publish_report(context, plain, action="release", changed=changed, more={"manifest": as_event(plain)})

    @staticmethod
    def _store(manifest: Manifest, context: Context) -> None:
        store = context.get("task_state_store")
        if store is not None and manifest.state.value != "not_begun":
            plain: dict[str, Any] = manifest.to_json()  # Any: Airflow has a type of its own for JSON
            store.set(_STORE_KEY, plain)

    def read_report(self, plain: dict[str, JSON]) -> Manifest:
        """Return the manifest in a trigger's event."""
        from airflow_provider_dify.knowledge.release.manifest import Manifest

        return Manifest.from_json(plain)


def _map_index(context: Context) -> int:
    index = getattr(context["ti"], "map_index", -1)
    return index if isinstance(index, int) else -1
