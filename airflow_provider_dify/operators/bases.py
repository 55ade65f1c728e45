"""The operator that makes sure that a Dify knowledge base exists, or does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.tasks.running import ConversationTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.bases.report import KnowledgeBaseReport
    from airflow_provider_dify.knowledge.conversation import Conversation


class DifyKnowledgeBaseOperator(ConversationTask, BaseOperator):
    """Make sure that a knowledge base exists with the given settings, or that it does not exist.

    A missing knowledge base is created, and settings that differ are changed. Every setting is read back: if Dify
    ignored one, the task fails. What Dify cannot change is refused before anything is sent. Several tasks at the same
    time make one knowledge base.

    With ``state="absent"`` it is deleted instead, if it has at most ``max_documents`` documents and no app uses it.

    The task returns the id of the knowledge base, for the ``dataset_id`` of other tasks. The report is in XCom under
    the key ``report``, also if the task fails.

    .. seealso:: https://docs.dify.ai/api-reference/knowledge-bases/create-an-empty-knowledge-base

    :param dataset_name: Name of the knowledge base, at most 40 characters.
    :param state: ``present``, or ``absent`` to delete it.
    :param max_documents: With ``absent``: fail, and change nothing, if it has more documents than this; ``None``: any
        number.
    :param timeout: Seconds to try if Dify fails.
    :return: Its id; with ``absent``, the id of the deleted one, or ``None`` if there was none.
    :raises DifyInputError: A parameter is invalid (then nothing was sent), or several knowledge bases have the name.
    :raises DifyGuardError: It may not be deleted; nothing was changed.
    :raises DifySetupFailed: Dify cannot change a setting (then nothing was changed), or ignored one.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_name", "state", "description", "permission", "indexing_technique", "embedding_model",
        "embedding_model_provider", "retrieval_model", "metadata_fields", "tags", "tolerate", "max_documents",
        "timeout",
    )  # fmt: skip
    template_fields_renderers = {"retrieval_model": "json", "metadata_fields": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#d6e4ff"
    described_by = (KnowledgeBaseOptions,)
    state: Any
    max_documents: Any

    def __init__(
        self,
        *,
        dataset_name: str,
        state: str = "present",
        description: str | None = None,
        permission: str | None = None,
        indexing_technique: str | None = None,
        embedding_model: str | None = None,
        embedding_model_provider: str | None = None,
        retrieval_model: Mapping[str, Any] | str | None = None,
        metadata_fields: Mapping[str, str] | str | None = None,
        tags: Iterable[str] | str | None = None,
        tolerate: Iterable[str] | str = (),
        max_documents: int | str | None = 0,
        timeout: float = 300.0,
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> str | None:
        """Set up or delete the knowledge base, and return its id."""
        self.read_guards()
        return str(self.converse(context, self._conversation())["dataset_id"]) or None

    def _conversation(self) -> Conversation[KnowledgeBaseReport]:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.bases.provision import Provision
        from airflow_provider_dify.knowledge.bases.removal import Removal
        from airflow_provider_dify.knowledge.bases.settings import Presence

        options = self.options(KnowledgeBaseOptions)
        if inputs.choice(self.state, Presence, "state") is Presence.PRESENT:
            return Provision(self.dataset_name, options)
        return Removal(self.dataset_name, max_documents=self.max_documents)

    def show_links(self, context: Context, hook: DifyHook, dataset_id: str, document_ids: Sequence[str]) -> None:
        """Show the link to the knowledge base, once it is known which one it is."""
        if dataset_id:
            super().show_links(context, hook, dataset_id, document_ids)

    def publish(self, report: KnowledgeBaseReport, names: Mapping[str, str], context: Context) -> None:
        """Log a report, and leave it for downstream tasks."""
        self.show(f"knowledge base '{report.dataset_name}'", report, names, title="Settings by outcome")
        self.open_hook(context, report.dataset_id)  # for its links
        self.publish_report(context, report.to_json(), action="knowledge_base")
