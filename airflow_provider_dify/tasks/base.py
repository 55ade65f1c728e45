"""What the operators share. This module imports almost nothing, because each parse of a DAG file loads it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_provider_dify import REPORT_KEY
from airflow_provider_dify.links.console import DifyDocumentLink, DifyKnowledgeBaseLink, console_links
from airflow_provider_dify.tasks.parameters import Parameters

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset, BaseOperatorLink, Context
    from airflow.providers.common.compat.sdk import BaseOperator as _Task
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_dify.assets import Activity
    from airflow_provider_dify.exceptions import DifyError
    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.flow import JSON, Flow
else:
    _Task = object

S = TypeVar("S")


#: Placeholder for a knowledge base that has not been found yet.
_ANY_ID = "00000000-0000-4000-8000-000000000000"


class KnowledgeBaseTask(Parameters, _Task):
    """What every task on a knowledge base shows in Airflow; a mixin for its operators and sensors.

    While the task runs, there are links to Dify's console. Its report is in XCom, its changes are in the events of the
    assets among its ``outlets``, and OpenLineage gets its lineage. If any of this fails, the task does not fail, except
    if XCom does not accept the report.

    :param dataset_id: UUID of the knowledge base.
    :param dataset_name: Name of the knowledge base, instead of its id. Exactly one must have it. This takes one more
        request, and a key that may list knowledge bases.
    :param deferrable: Whether to wait in the triggerer instead of on the worker.
    :param dify_conn_id: Id of the Airflow Connection.
    """

    dify_conn_id: str
    dataset_id: str | None = None
    dataset_name: str | None = None
    operator_extra_links: Collection[BaseOperatorLink] = (DifyKnowledgeBaseLink(), DifyDocumentLink())
    #: Whether a task of this kind changes its knowledge base; for OpenLineage.
    writes: ClassVar[bool] = True
    _activity: Activity | None = None
    #: What the event of an alias contains, by the name of the alias.
    _alias_extras: Mapping[str, dict[str, JSON]] = MappingProxyType({})

    def read_guards(self) -> None:
        """Convert parameters that a template may have rendered as text.

        :raises DifyInputError: One of them is invalid.
        """
        from airflow_provider_dify.knowledge import inputs

        self._hide_links()
        readers: dict[str, Callable[[Any, str], object]] = {
            "timeout": inputs.number,
            "_dry_run": inputs.flag,
            "poll_interval": inputs.number,
            "stall_timeout": inputs.or_none(inputs.number),
            "batch_size": inputs.whole_number,
        }
        for name in vars(self).keys() & readers.keys():
            setattr(self, name, readers[name](getattr(self, name), name.removeprefix("_")))

    def in_knowledge_base(self, make: Callable[[Any], S]) -> S:
        """Create something for the id of the task's knowledge base, which may be given by name.

        :param make: Creates it. It is called before anything is sent, so that it can check everything else.
        :raises DifyInputError: An argument is invalid, or no knowledge base, or more than one, has the name.
        """
        self._hide_links()
        for name, value in list(vars(self).items()):
            if isinstance(value, Iterator):  # it can be read only once
                setattr(self, name, list(value))
        if (self.dataset_name is None) == (self.dataset_id is None):
            from airflow_provider_dify.exceptions import DifyInputError
            from airflow_provider_dify.knowledge import inputs
            from airflow_provider_dify.knowledge.text.hints import why

            if self.dataset_id is None:
                raise DifyInputError(f"Give dataset_id or dataset_name: dataset_id is None.{why(None)}")
            raise DifyInputError(
                f"Give dataset_id or dataset_name, not both: {inputs.show(self.dataset_id)} and "
                f"{inputs.show(self.dataset_name)}."
            )
        if self.dataset_name is None:
            return make(self.dataset_id)
        from airflow_provider_dify.hooks.dify import DifyHook

        make(_ANY_ID)
        with DifyHook(self.dify_conn_id) as hook:
            return make(hook.get_dataset(dataset_name=self.dataset_name).id)

    def open_hook(self, context: Context, dataset_id: str, document_ids: Sequence[str] | None = ()) -> DifyHook:
        """Return a hook for a knowledge base, and show the links to it.

        :param context: Context of the task.
        :param dataset_id: UUID of the knowledge base, in canonical form.
        :param document_ids: The documents of the task if they are known; a single one has its own link.
        """
        # Imported late: parsing a DAG file does not need the hook.
        from airflow_provider_dify.hooks.dify import DifyHook

        hook = DifyHook(self.dify_conn_id)
        if self._activity is None:  # a sensor opens many
            self.show_links(context, hook, dataset_id, document_ids or ())
        return hook

    def introduced(self, hook: DifyHook, flow: Flow[S], dataset_id: str, plan: str) -> Flow[S]:
        """Return a flow whose first line in the log says which Dify and which knowledge base it works on.

        :param plan: What it does, for the second line.
        """
        from airflow_provider_dify.assets import host_of
        from airflow_provider_dify.knowledge.bases.introduction import introduced

        where = f"{host_of(hook.settings.base_url)} (connection '{self.dify_conn_id}')"
        return introduced(flow, where, dataset_id, plan, name="" if dataset_id else self.dataset_name or "")

    def log_cause(self, error: DifyError) -> None:
        """Log why the task fails, before any list of documents. At the end, Airflow logs it with its traceback."""
        self.log.error("%s", error)

    def log_table(self, title: str, lines: Sequence[str]) -> None:
        """Log a table as one record, in a group that Airflow's pages fold."""
        if lines:
            self.log.info("::group::%s", title)
            self.log.info("%s", "\n".join(lines))
            self.log.info("::endgroup::")

    def show_links(self, context: Context, hook: DifyHook, dataset_id: str, document_ids: Sequence[str]) -> None:
        """Show the links to a knowledge base and, if there is only one, to a document. An error does
        not fail the task.
        """
        from airflow_provider_dify.assets import Activity, host_of

        try:
            settings = hook.settings
            self._activity = self._activity or Activity(host_of(settings.base_url), dataset_id, self.writes)
            links = console_links(settings, dataset_id, document_ids)
            for key, link in links.items():
                context["ti"].xcom_push(key=key, value=link)
            known = type(self).operator_extra_links
            self.operator_extra_links = [one for one in known if getattr(one, "xcom_key", None) in links]
        except Exception as error:  # noqa: BLE001 - errors of the connection are reported when it is used
            self.log.debug("There are no links to Dify's console: %s", error)

    def publish_report(
        self,
        context: Context,
        report: dict[str, JSON],
        *,
        action: str | None = None,
        changed: Sequence[str] | None = None,
        more: Mapping[str, JSON] | None = None,
        files: Sequence[str] = (),
    ) -> None:
        """Leave a report in XCom and, if it is about a change, in the events of the task's assets.

        :param context: Context of the task.
        :param report: The report, as plain JSON.
        :param action: What was done to the documents.
        :param changed: UUIDs of the changed documents; ``None`` if the task changes none.
        :param more: Additional contents of the events, as plain JSON.
        :param files: Paths or URLs of the files that were read.
        """
        from airflow_provider_dify.knowledge.answers import Fields, a_whole_number

        context["ti"].xcom_push(key=REPORT_KEY, value=report)
        if self._activity is not None:
            counts = Fields(report).object("counts").each(a_whole_number)
            self._activity = replace(self._activity, action=action or "", counts=counts, files=files)
        if changed is not None:
            from airflow_provider_dify import events

            extra = events.event_extra(report, action=action, changed=changed, dify_conn_id=self.dify_conn_id)
            self.attach_to_events(context, extra["dataset_id"], {**extra, **(more or {})})

    def attach_to_events(self, context: Context, dataset_id: str, extra: Mapping[str, JSON]) -> None:
        """Add contents to the events of the assets among the task's ``outlets``. Several calls add up.

        Airflow creates the events if the task succeeds. The event of an alias is one of the knowledge base's asset;
        there is none if ``changed`` is empty.

        :param context: Context of the task.
        :param dataset_id: The knowledge base that was changed, in canonical form.
        :param extra: The contents, as plain JSON. The place of the task's report in XCom is added.
        """
        if not self.outlets:
            return
        from airflow_provider_dify import events

        try:
            self._attach(context, dataset_id, {**extra, **events.origin(context, dataset_id)})
        except Exception as error:  # noqa: BLE001 - it is done, whatever the events say
            self.log.warning("The events of the task's outlets do not say what was done: %r", error)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - as called
        """Return what the task read and wrote. OpenLineage asks for it, even if the task failed."""
        from airflow_provider_dify.lineage import lineage_of

        return lineage_of(self._activity)

    def _hide_links(self) -> None:
        """Have no links until they are known: when the task ends, Airflow asks for each and keeps an empty answer."""
        if self._activity is None:
            self.operator_extra_links = ()

    def _attach(self, context: Context, dataset_id: str, extra: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import AssetAlias

        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                self._attach_to_alias(outlet.name, context["outlet_events"][outlet], dataset_id, extra)
            elif hasattr(outlet, "uri") or hasattr(outlet, "name"):  # an asset, or a reference to one
                context["outlet_events"][outlet].extra.update(extra)  # Any: Airflow has a type of its own for JSON

    def asset_of(self, dataset_id: str) -> Asset | None:
        """Return the asset that an alias among the outlets stands for; ``None`` if it is unknown."""
        from airflow_provider_dify import assets

        return assets.knowledge_base(self._activity.host, dataset_id) if self._activity else None

    def _attach_to_alias(self, alias: str, accessor: Any, dataset_id: str, extra: Mapping[str, JSON]) -> None:
        if extra.get("changed") == []:
            return
        from airflow_provider_dify import events

        if hasattr(accessor, "dataset_alias_events"):  # Airflow 2
            extra = events.as_text_and_numbers(extra)
        if alias in self._alias_extras:  # its event is created at the end
            self._alias_extras[alias].update(extra)
        elif (asset := self.asset_of(dataset_id)) is not None:
            self._alias_extras = {**self._alias_extras, alias: dict(extra)}
            accessor.add(asset, extra=self._alias_extras[alias])
