"""What the operators on apps share. Imports almost nothing, because each parse of a DAG file loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_dify import REPORT_KEY
from airflow_provider_dify.links.console import DifyAppLink, app_link
from airflow_provider_dify.tasks.running import ConversationTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset, BaseOperatorLink, Context

    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.tasks.apps.memory import Memory
    from airflow_provider_dify.transport.settings import Settings

#: What an asset event says about a run.
_IN_EVENTS = frozenset({"app_id", "run_id", "outcome", "total_tokens", "total_steps", "elapsed_time"})


class AppTask(ConversationTask):
    """What every task on an app shows in Airflow: its report, a link, events, and lineage.

    :param dify_conn_id: Id of the Airflow Connection, whose password is the app key.
    :param user: Prefix of the name under which Dify shows what the task does, followed by DAG id, task id, run id, map
        index and try number. Use a different one for each Airflow that uses the app: otherwise they would take each
        other's runs.
    """

    user: str
    operator_extra_links: Sequence[BaseOperatorLink] = (DifyAppLink(),)
    writes = False
    _settings: Settings | None = None

    def show_links(self, context: Context, hook: DifyHook, dataset_id: str, document_ids: Sequence[str]) -> None:  # noqa: ARG002 - as called
        """Remember the Dify's host. Only the first response says which app it is."""
        from airflow_provider_dify import assets

        try:
            host = assets.host_of(hook.settings.base_url)
        except Exception as error:  # noqa: BLE001 - errors of the connection are reported when it is used
            self.log.debug("There is no link to Dify's console: %s", error)
            return
        self._activity = self._activity or assets.Activity(host, "", writes=False)
        self._settings = hook.settings

    def show_app(self, context: Context, app_id: str) -> None:
        """Show the link to the log of an app, once it is known."""
        if not app_id or self._activity is None or self._activity.app_id:
            return
        self._activity = replace(self._activity, app_id=app_id)
        if link := self.link_to(app_id):
            context["ti"].xcom_push(key=DifyAppLink().xcom_key, value=link)
            self.operator_extra_links = type(self).operator_extra_links

    def link_to(self, app_id: str) -> str:
        """Return the URL of the log of an app; empty if it is unknown."""
        return app_link(self._settings, app_id) if self._settings else ""

    def publish_run(self, context: Context, plain: dict[str, JSON], action: str, run: Mapping[str, JSON]) -> None:
        """Leave a report in XCom, in the events of the task's assets, and for OpenLineage.

        :param plain: The report, as plain JSON.
        :param action: What was done.
        :param run: What OpenLineage learns about the run; empty if there was none.
        """
        from airflow_provider_dify.knowledge.answers import Fields, a_whole_number

        self.show_app(context, str(plain.get("app_id") or ""))
        context["ti"].xcom_push(key=REPORT_KEY, value=plain)
        if self._activity is None:
            return
        counts = Fields(plain).object("counts").each(a_whole_number)
        self._activity = replace(self._activity, action=action, counts=counts, run=run)
        extra = {name: value for name, value in {**plain, **run}.items() if name in _IN_EVENTS}
        if run:
            self.attach_to_events(context, "", {"dify_conn_id": self.dify_conn_id, "action": action, **extra})

    def asset_of(self, dataset_id: str) -> Asset | None:  # noqa: ARG002 - as called
        """Return the asset of the app; ``None`` if it is unknown."""
        from airflow_provider_dify import assets

        known = self._activity
        return assets.app(known.host, known.app_id) if known and known.app_id else None

    def keep(self, context: Context, memory: Memory, note: Mapping[str, JSON]) -> None:
        """Store something for later tries, and show the link to the app once it is known. If the task is killed
        meanwhile, it stops afterwards.
        """
        # Airflow does not allow a call from within another one, as a signal would make.
        killed: list[bool] = []
        stop, self._stop = self._stop, lambda: killed.append(True)
        try:
            memory.keep(note)
            self.show_app(context, str(note.get("app_id") or ""))
        finally:
            self._stop = stop
            if killed and stop:  # also if Airflow 2 has ended the task with an error meanwhile
                stop()
