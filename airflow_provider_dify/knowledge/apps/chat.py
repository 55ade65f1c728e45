"""Asks a chat app, an agent or a chatflow a question, and finds the answer again if it was lost.

A conversation belongs to its user (1.16.0, file 43). A new one is found by the user name of its try, which is unique.
In a continued conversation, the message is the one that did not exist before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, a_list_or_nothing
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import ChatRow
from airflow_provider_dify.knowledge.apps.events import StreamedRun
from airflow_provider_dify.knowledge.apps.options import Rerun, RunOptions
from airflow_provider_dify.knowledge.apps.report import ChatReport, RunOutcome
from airflow_provider_dify.knowledge.apps.requesting import ChatRequest
from airflow_provider_dify.knowledge.apps.stopping import STOP_CHECKS, ended
from airflow_provider_dify.knowledge.apps.tries import Tries, single_try
from airflow_provider_dify.knowledge.errors import may_be_carried_out
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note
from airflow_provider_dify.knowledge.progress import Intervals, Progress
from airflow_provider_dify.knowledge.report import NO_NAMES
from airflow_provider_dify.knowledge.retries import Retries, patiently

_NOTHING: Mapping[str, JSON] = MappingProxyType({})


class ChatMessage:
    """A question to a chat app: checks whether it was asked already, asks it, and waits for the answer.

    :param tries: The tries of the task; if a conversation is continued, ``user`` is its owner in all of them.
    :param request: What to ask.
    :param options: How to wait, and when to ask again.
    :param known: What an earlier try has stored.
    :param keep: Stores something for later tries, before a question is sent.
    """

    #: An app is not a knowledge base.
    dataset_id = ""
    names = NO_NAMES

    def __init__(
        self,
        tries: Tries,
        request: ChatRequest,
        *,
        options: RunOptions | None = None,
        known: Mapping[str, JSON] = _NOTHING,
        keep: Callable[[Mapping[str, JSON]], None] = lambda _: None,
    ) -> None:
        self._tries = tries
        self._request = request
        self.options = options or RunOptions()
        self._known = Fields(dict(known))
        self._keep = keep
        self.user = tries.user
        self.start = StreamedRun()
        self.joined = False
        self.sent = False
        self.error: str | None = None
        self._row: ChatRow | None = None
        self._outcome: RunOutcome | None = None
        #: The messages of the conversation before it was continued.
        self._before: tuple[str, ...] = ()

    @classmethod
    def of_user(
        cls, user: object, query: object, values: object, options: object, *, conversation_id: object = None
    ) -> ChatMessage:
        """Return the only question of a user, from the arguments of a hook.

        :raises DifyInputError: One of them is invalid.
        """
        new = conversation_id is None or conversation_id == ""  # as in Dify's API
        known = None if new else inputs.canonical_id(conversation_id, "conversation_id")
        request = ChatRequest(inputs.text(query, "query"), inputs.by_name(values, "inputs"), known)
        return cls(single_try(user), request, options=inputs.given(options, RunOptions, "options"))

    def report(self) -> ChatReport:
        """Return the state so far."""
        row = self._row
        return ChatReport(
            self._ended(),
            run_id=self.start.run_id,
            task_id=self.start.task_id,
            user=self.user,
            app_id=self.start.app_id,
            error=self.error or (row.error if row else None),
            joined=self.joined,
            answer=row.answer if row else "",
            conversation_id=row.conversation_id if row else self.start.conversation_id,
            message_id=row.id if row else self.start.message_id,
            citations=row.citations if row else (),
            usage=row.usage if row else {},
        )

    def result(self) -> ChatReport:
        """Return the report of a question that was answered.

        :raises DifyRunError: It was not answered; :class:`DifyRunUnknown` if nobody knows.
        """
        report = self.report()
        report.raise_for_outcomes(self.options.tolerate)
        return report

    def _ended(self) -> RunOutcome:
        if self._outcome:
            return self._outcome
        if self._row or self.start.message_id:
            return RunOutcome.RUNNING
        return RunOutcome.UNKNOWN if self.sent else RunOutcome.NOT_STARTED

    def flow(self, deadline: Deadline, retries: Retries | None = None) -> Flow[ChatReport]:  # noqa: ARG002 - as called
        """Find the answer of an earlier try, or ask.

        :param deadline: How long to wait for the answer; then it is stopped.
        :param retries: Not needed: reads are retried anyway, and a question never is.
        :raises DifyError: A request to Dify failed, or Dify does not accept the inputs.
        """
        if not (yield from patiently(deadline, self._find)) and self._may_ask:
            yield from self._ask(deadline)
        if self._row is None and self._outcome is None:
            yield from self._await_row(deadline)
        if self._row is not None and self._outcome is None:
            yield from self._follow(deadline)
        return self.report()

    def when_killed(self) -> Flow[None]:
        """Stop the answer, because nobody waits for it any more."""
        yield from self._stop(checks=5)

    def _stop(self, checks: int = STOP_CHECKS) -> Flow[None]:
        """Stop the answer. Only a chatflow shows whether it has stopped.

        It is noted first: half an answer looks like a complete one, so a retry must not take it.
        """
        if not self.start.task_id or self._outcome is not None:
            return
        self._note(sent=True, stopped=True)
        self._outcome = RunOutcome.RUNNING
        try:
            yield from api.stop_message(self.start.task_id, self.user)
            self._outcome = yield from self._outcome_of_stop(checks)
        finally:
            if self._outcome is not RunOutcome.STOPPED:
                self._note()

    def _outcome_of_stop(self, checks: int) -> Flow[RunOutcome]:
        if not self.start.run_id:  # a basic chat app does not say
            return RunOutcome.STOPPED
        run = yield from ended(self.start.run_id, checks)
        known = run.is_final or run.status == api.PAUSED
        return RunOutcome(run.status) if known else RunOutcome.RUNNING

    def _note(self, **more: JSON) -> None:
        """Store for later tries what is known about the question."""
        self._keep({"user": self.user, "before": list(self._before), **more})

    @property
    def _may_ask(self) -> bool:
        """Whether a question may be sent: not if nobody knows what happened to an earlier one."""
        lost = bool(self._known.get("sent")) and not self._known.get("stopped")
        user, own_users = str(self._known.get("user") or ""), (self._tries.user, *self._tries.earlier)
        if lost and user in own_users and self.options.rerun not in (Rerun.UNKNOWN.value, Rerun.ALWAYS.value):
            self.user, self.sent = user, True
            return False
        return True

    def _find(self) -> Flow[bool]:
        """Find the message of this or an earlier try, and return whether it counts."""
        earlier = () if self.options.rerun == Rerun.ALWAYS.value else self._tries.earlier
        for user in (self._tries.user, *dict.fromkeys(earlier)):
            row = yield from self._row_of(user)
            if row and self._counts(row, user):
                self._row, self.user, self.joined = row, user, user != self._tries.user
                self._outcome = RunOutcome.STOPPED if self._was_stopped(user) else None
                yield Note(f"Using message {row.id}, which {'an earlier' if self.joined else 'this'} try sent.")
                return True
        return False

    def _counts(self, row: ChatRow, user: str) -> bool:
        """Whether to take the message of a try, instead of asking again."""
        if self.options.rerun == Rerun.NEVER.value:
            return True
        if self._was_stopped(user):
            return False
        # In a continued conversation, all tries have the same user.
        is_own = user == self._tries.user and not self._request.conversation_id
        return row.status == "normal" or is_own

    def _was_stopped(self, user: str) -> bool:
        """Whether an earlier try has told Dify to stop its answer."""
        return bool(self._known.get("stopped")) and self._known.get("user") == user

    def _row_of(self, user: str) -> Flow[ChatRow | None]:
        """Return the message of a try; ``None`` if there is none."""
        if conversation_id := self._request.conversation_id:
            if self._known.get("before") is None and not self._before:
                return None
            before = {*(self._known.read("before", a_list_or_nothing) or ()), *self._before}
            rows = yield from api.messages_of(user, conversation_id)
            new = [row for row in rows if row.id not in before and row.query == self._request.query]
            return max(new, key=lambda row: row.created_at, default=None)
        for conversation in (yield from api.conversations_of(user)):
            rows = yield from api.messages_of(user, str(conversation["id"]))
            if rows:
                return min(rows, key=lambda row: row.created_at)
        return None

    def _ask(self, deadline: Deadline) -> Flow[None]:
        body = yield from patiently(deadline, lambda: self._request.prepared(self.user))
        if conversation_id := self._request.conversation_id:
            rows = yield from patiently(deadline, lambda: api.messages_of(self.user, conversation_id))
            self._before = tuple(row.id for row in rows) or ("-",)
        yield from patiently(deadline, lambda: self._send(body, deadline))

    def _send(self, body: Mapping[str, JSON], deadline: Deadline) -> Flow[None]:
        """Send the question, once.

        :raises DifyError: It was not carried out.
        """
        self._note(sent=True)
        self.sent = True
        try:
            self.start = yield from api.send_message(body, self._hear, lambda: deadline.passed)
        except DifyError as error:
            if not may_be_carried_out(error):
                self.sent = False
                self._keep({})
                raise
            self.error = error.message
            return
        if self.start.refused:
            self.sent = False
            self._keep({})
            raise DifyInputError(f'Dify does not accept the inputs: "{self.start.refused}". Nothing was asked.')
        self.error = self.start.error or None

    def _hear(self, start: StreamedRun) -> None:
        """Take what is known about the answer while it comes: if the task is killed, it is stopped."""
        self.start = start

    def _await_row(self, deadline: Deadline) -> Flow[None]:
        """Wait for the message to appear."""
        patience = deadline.within(self.options.appear_timeout)
        waits, progress = Intervals(longest=10.0), Progress(deadline)
        while True:
            self._row = yield from patiently(deadline, lambda: self._row_of(self.user))
            if self._row:
                return
            if patience.passed:
                self._outcome = RunOutcome.UNKNOWN
                return
            awaits = "the question to appear in Dify, which has not said whether it took it"
            yield progress.pause(min(waits.next(), patience.remaining), awaits)

    def _follow(self, deadline: Deadline) -> Flow[None]:
        """Wait for the answer. At the deadline, stop it."""
        waits, progress = Intervals(longest=self.options.poll_interval), Progress(deadline)
        while True:
            self._outcome = yield from patiently(deadline, self._look)
            if self._outcome:
                if self._outcome is RunOutcome.SUCCEEDED:
                    self.error = None  # an error of the request does not matter any more
                self.sent = False
                self._note()
                return
            if deadline.passed:
                yield from self._give_up(deadline)
                return
            yield progress.pause(min(waits.next(), deadline.remaining), "the answer")

    def _give_up(self, deadline: Deadline) -> Flow[None]:
        """Stop the answer at the deadline."""
        lasted = deadline.elapsed
        yield from self._stop()
        self._outcome = self._outcome or RunOutcome.RUNNING
        if self._outcome is RunOutcome.SUCCEEDED:  # just before it was stopped
            yield from self._read()
            return
        told = ", and this task told it to stop" if self.start.task_id else ""
        self.error = f"There was no complete answer after {lasted:.0f} s{told}."

    def _read(self) -> Flow[None]:
        """Read the message again."""
        if row := self._row:
            rows = yield from api.messages_of(self.user, row.conversation_id)
            self._row = next((one for one in rows if one.id == row.id), row)

    def _look(self) -> Flow[RunOutcome | None]:
        """Read the message, and return its outcome; ``None`` if it has not ended."""
        yield from self._read()
        row = self._row
        if row is None:
            return None
        if row.status == "error":
            return RunOutcome.FAILED
        if run_id := self.start.run_id:
            run = yield from api.get_run(run_id)
            self.error = run.error
            return RunOutcome(run.status) if run.is_final else None
        # A stopped answer of a basic chat looks like a complete one.
        return RunOutcome.SUCCEEDED if row.answer or self.start.ended else None
