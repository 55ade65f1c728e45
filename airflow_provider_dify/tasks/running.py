"""Runs a conversation on the worker, and its long waits in the triggerer. Imports almost nothing at first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_dify import REPORT_KEY
from airflow_provider_dify.tasks.base import KnowledgeBaseTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.exceptions import DifyError
    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.conversation import Conversation, Movable
    from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow
    from airflow_provider_dify.knowledge.selection.choice import Choice

#: XCom key of a task's state while it waits in the triggerer.
_STATE_KEY = "dify_state"
#: Seconds that a trigger may exceed the timeout of its task, and additional seconds for each document to read.
_GRACE, _GRACE_EACH = 120.0, 0.1
#: Seconds that a killed task may take to stop what runs in Dify.
_SECONDS_TO_STOP = 20.0
#: Maximum seconds that Airflow waits for a trigger: it adds them to the current time, which has a limit.
LONGEST_DEFERRAL = 10 * 365 * 86_400.0


class ConversationTask(KnowledgeBaseTask):
    """A task that runs one conversation and publishes its report, even if it fails or is killed."""

    timeout: float
    deferrable: bool = False
    tolerate: Any = ()
    #: What the log says about changes if the task is killed.
    if_killed: ClassVar[str] = "Killed. What was changed so far stays as it is."
    #: Whether the triggerer may take the same time again to undo changes.
    undoes: ClassVar[bool] = False
    #: Whether the timeout ends the retries of requests, too.
    limits_retries: ClassVar[bool] = True
    _stop: Callable[[], None] | None = None
    #: The report that was published when the task was killed; ``None``: it was not.
    _killed_with: dict[str, JSON] | None = None
    #: Says that a result is not final: a request may be under way.
    _so_far: str = ""

    def converse(
        self,
        context: Context,
        conversation: Conversation[Any],
        document_ids: Sequence[str] | None = (),
        *,
        plan: str = "",
        started: float | None = None,
    ) -> dict[str, JSON]:
        """Run a conversation to its end, or until the triggerer takes over.

        :param document_ids: Its documents, for the links.
        :param plan: What it does, for the log.
        :param started: When the task began, in seconds since the epoch, if it has been in the triggerer.
        :return: The report as plain JSON.
        """
        from airflow_provider_dify.transport.clock import current

        began = current().time() if started is None else started
        with self.open_hook(context, conversation.dataset_id, document_ids) as hook:
            hook.get_conn()
            flow, deadline = self._begin(conversation, hook, started)
            if started is None:
                flow = self.introduced(hook, flow, conversation.dataset_id, plan)
            ended = self._run(context, conversation, hook, flow, deadline)
        if not ended:
            self._leave(conversation, context, began)
        return self.result_of(conversation.report())

    def _begin(self, conversation: Any, hook: DifyHook, started: float | None) -> tuple[Flow[Any], Deadline]:
        from airflow_provider_dify.knowledge.flow import Deadline, until_long_wait
        from airflow_provider_dify.transport.clock import current

        clock = current()
        # Processes share the wall clock only.
        deadline = Deadline(self.timeout, clock.monotonic if started is None else clock.time, started)
        flow = conversation.flow(deadline, hook.retries)
        return until_long_wait(flow, conversation.leaves_at) if self.deferrable else flow, deadline

    def _run(self, context: Context, conversation: Any, hook: DifyHook, flow: Flow[Any], deadline: Deadline) -> bool:
        """Run a flow, and return whether it ended; otherwise the triggerer has to continue."""
        from airflow_provider_dify.exceptions import DifyError
        from airflow_provider_dify.transport.metrics import send_outcomes

        ended = True

        def stop() -> None:
            hook.stop()
            self._stop_in_dify(conversation, hook)
            report = conversation.report()
            self._so_far = " so far"
            self.publish(report, conversation.names, context)
            self._so_far = ""
            self._killed_with = report.to_json()

        # Only during requests to Dify: Airflow does not allow a call from within another one.
        self._stop = stop
        try:
            try:
                ended = hook.run(flow, deadline if self.limits_retries else None) is not None
            finally:
                self._stop = None
            self.ended(context, hook, conversation.report())
            if ended:
                self.judge(conversation.report())
        except DifyError as error:
            self.log_cause(error)
            raise
        finally:
            # Even if it failed or was killed: whoever fixes it needs to know what was done.
            if ended:
                send_outcomes(conversation.report())
                if conversation.report().to_json() != self._killed_with:
                    self._publish(conversation, context)
        return ended

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Return and raise what ``execute`` would.

        :param event: The trigger's event.
        """
        from airflow_provider_dify.transport.metrics import send_outcomes

        plain, names, error = read_event(event)
        report = self.read_report(plain)
        send_outcomes(report)
        self.open_hook(context, plain["dataset_id"], self.ids_of(report))  # for its links, nothing is left to request
        if error:
            self.log_cause(error)
        self.publish(report, names, context)
        if error:
            error.report = report
            raise error
        return plain

    def on_kill(self) -> None:
        """Stop sending, and leave what was done so far in the log and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning(self.if_killed)
            self._stop()

    def _stop_in_dify(self, conversation: Conversation[Any], hook: DifyHook) -> None:
        """Stop what runs in Dify without this task."""
        from airflow_provider_dify.exceptions import DifyError
        from airflow_provider_dify.knowledge.conversation import Stoppable

        if not isinstance(conversation, Stoppable):
            return
        try:
            hook.run_apart(conversation.when_killed(), _SECONDS_TO_STOP)
        except DifyError as error:
            self.log.warning("What goes on in Dify for this task could not be stopped: %s", error)

    def publish(self, report: Any, names: Mapping[str, str], context: Context) -> None:
        """Log a report, and leave it for downstream tasks."""
        raise NotImplementedError

    def tolerated(self, report: Any) -> frozenset[Any]:
        """Return the outcomes in a report that do not fail the task.

        :raises DifyInputError: ``tolerate`` has something else.
        """
        from airflow_provider_dify.knowledge import inputs

        return inputs.choices(self.tolerate, report.kind, "tolerate")

    def show(
        self,
        what: str,
        report: Any,
        names: Mapping[str, str] = MappingProxyType({}),
        tolerate: Any = (),
        title: str = "Documents by outcome",
    ) -> None:
        """Log a report.

        :param what: What the report is about.
        :param names: The names of documents, by id, as far as known.
        :param tolerate: Outcomes that are not a failure.
        :param title: Title of the table.
        """
        dry_run = " (a dry run: nothing was changed)" if getattr(report, "dry_run", False) else ""
        say = self.log.warning if report.failing(tolerate) else self.log.info
        say("Result of %s%s%s: %s.", what, self._so_far, dry_run, report.describe())
        self.log_table(title, report.table(names, tolerate))

    def ended(self, context: Context, hook: DifyHook, report: Any) -> None:
        """Use the hook again after the conversation ended well or left."""

    def judge(self, report: Any) -> None:
        """Raise an error if a conversation's report is not good enough."""

    def result_of(self, report: Any) -> dict[str, JSON]:
        """Return the task's return value, which is plain JSON."""
        plain: dict[str, JSON] = report.to_json()
        return plain

    def read_report(self, plain: dict[str, JSON]) -> Any:
        """Return the report in a trigger's event."""
        raise NotImplementedError

    def ids_of(self, report: Any) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """Return the documents of a report, for the links."""
        return ()

    def waits_for(self, conversation: Any, context: Context) -> Movable[Any]:
        """Return what continues in the triggerer; by default, everything."""
        context["ti"].xcom_push(key=REPORT_KEY, value=conversation.report().to_json())
        movable: Movable[Any] = conversation
        return movable

    def _publish(self, conversation: Conversation[Any], context: Context) -> None:
        self.publish(conversation.report(), conversation.names, context)

    def _leave(self, conversation: Conversation[Any], context: Context, began: float) -> None:
        from airflow_provider_dify.transport.clock import current

        movable = self.waits_for(conversation, context)
        left = max(0.0, began + self.timeout - current().time())
        self.log.info("The triggerer continues, for up to %.0f s.", left)
        again = self.timeout if self.undoes else 0.0
        hand_over(self, movable, began, patience(left + again, len(conversation.names)))


def patience(left: float, documents: int) -> float:
    """Return the seconds after which Airflow ends a trigger that has not ended by itself with a report."""
    return left + _GRACE + _GRACE_EACH * documents


def hand_over(task: Any, movable: Movable[Any], began: float, seconds: float) -> None:
    """Let the triggerer continue a conversation of a task, which then continues in ``execute_complete``.

    :param began: When the task began, in seconds since the epoch.
    :param seconds: After how many seconds Airflow ends the trigger.
    """
    from airflow_provider_dify.triggers.conversation import DifyConversationTrigger

    task.defer(
        trigger=DifyConversationTrigger(
            kind=movable.kind,
            state=movable.to_json(),
            dify_conn_id=task.dify_conn_id,
            started=began,
            timeout=task.timeout,
        ),
        method_name="execute_complete",
        timeout=timedelta(seconds=min(seconds, LONGEST_DEFERRAL)),
    )


class DocumentsTask(ConversationTask):
    """A task on documents that are given by id or selected by filters.

    :param document_ids: UUIDs of the documents: a list, one id, the output of another task, or a string that renders to
        a JSON list or to ids separated by commas or white space.
    :param filters: Conditions for the documents, instead of ids, such as ``{"status": "available", "created_before":
        "90d"}``: at least one parameter of :meth:`DifyHook.list_documents`, or a text that renders to such a mapping.
        Documents are selected once, when the task begins. A retry selects again: it only finds documents that still
        match, and its report is about these.
    :param max_documents: Fail, and change nothing, if more documents than this are selected.
    :param max_share: Fail, and change nothing, if more than this share of all documents is selected, such as ``0.1``.
        ``auto``: one half for filters, no limit for ids; ``None``: no limit.
    """

    document_ids: Any
    filters: Any
    max_documents: Any
    max_share: Any

    def choice(self) -> Choice:
        """Return which documents are selected."""
        from airflow_provider_dify.knowledge.selection.choice import Choice
        from airflow_provider_dify.transport.clock import current

        now, most, share = current().time(), self.max_documents, self.max_share
        return Choice.of(self.document_ids, self.filters, now=now, max_documents=most, max_share=share)

    def tolerated(self, report: Any) -> frozenset[Any]:
        """Return the outcomes that do not fail the task: with filters, ``missing`` documents are no longer selected."""
        return super().tolerated(report) | (set() if self.filters is None else {"missing"})

    def ids_of(self, report: Any) -> Sequence[str]:
        """Return the documents of a report, for the links."""
        return tuple(document_id for outcome in report.kind for document_id in report.of(outcome))


class OnFailure(str, Enum):
    """What to do if a result is not as expected."""

    #: Fail the task.
    FAIL = "fail"
    #: Leave the task green; the report says what is wrong.
    REPORT = "report"


class CheckingTask(ConversationTask):
    """A task that checks results.

    :param on_failure: ``fail``: the task fails; ``report``: it succeeds, and downstream tasks read the report.
    """

    on_failure: Any

    def read_on_failure(self) -> None:
        """Check the parameter.

        :raises DifyInputError: It is something else.
        """
        from airflow_provider_dify.knowledge import inputs

        self.on_failure = inputs.choice(self.on_failure, OnFailure, "on_failure").value

    def judge(self, report: Any) -> None:
        """Raise an error if a result is not as expected, unless it should only be reported."""
        if self.on_failure == OnFailure.FAIL:
            report.raise_for_failures()


class StagedTask(ConversationTask):
    """A task that only waits in the triggerer, and continues on a worker: its state is too large for a trigger.

    The state is kept in XCom meanwhile, because ``dag.test()`` only passes the event.
    """

    def waits_for(self, conversation: Any, context: Context) -> Movable[Any]:
        """Store the task's state, and return what to wait for in the triggerer."""
        self._publish(conversation, context)
        context["ti"].xcom_push(key=_STATE_KEY, value=conversation.state())
        movable: Movable[Any] = conversation.waits_for()
        return movable

    def judge(self, report: Any) -> None:
        """Raise an error if there is an outcome that is not tolerated."""
        report.raise_for_outcomes(self.tolerated(report))

    def resume(
        self, context: Context, event: dict[str, Any] | None, make: Callable[[dict[str, JSON]], Any]
    ) -> dict[str, JSON]:
        """Continue after a wait.

        :param event: The trigger's event.
        :param make: Creates the conversation from the stored state.
        """
        from airflow_provider_dify.exceptions import DifyError, DifyStorageError
        from airflow_provider_dify.transport.metrics import send_outcomes

        self.read_guards()
        report, _, error = read_event(event)
        instance = context["ti"]
        place = getattr(instance, "map_index", -1)
        state = instance.xcom_pull(task_ids=self.task_id, key=_STATE_KEY, map_indexes=place)
        if not isinstance(state, dict):
            raise DifyStorageError(f"XCom '{_STATE_KEY}' of this task is gone: it held where the task stood. Retry.")
        conversation = make(state)
        try:
            conversation.take(report, error)
        except DifyError as failure:
            self.log_cause(failure)
            send_outcomes(conversation.report())
            with self.open_hook(context, conversation.dataset_id):
                self._publish(conversation, context)
            raise
        return self.converse(context, conversation, started=event["started"] if event else None)


def read_event(
    event: dict[str, Any] | None,
    unknown: str = "The trigger fired {}, which this operator does not know. Clear the task to retry.",
) -> tuple[dict[str, Any], dict[str, str], DifyError | None]:
    """Return the report, the names and the error in a trigger's event.

    :param unknown: The message if it is something else.
    :raises DifyError: It is something else.
    """
    from airflow_provider_dify.exceptions import DifyError

    if not isinstance(event, dict) or not {"report", "names", "error", "started"} <= event.keys():
        raise DifyError(unknown.format(repr(event)))
    return event["report"], event["names"], DifyError.from_json(event["error"]) if event["error"] else None
