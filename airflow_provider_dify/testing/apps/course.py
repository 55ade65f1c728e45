"""How a run goes from its first node to its last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.apps import events, messages
from airflow_provider_dify.testing.apps.forms import HumanForm
from airflow_provider_dify.testing.apps.plan import Answer, Node, Partial, Paused
from airflow_provider_dify.testing.apps.run import Inputs, Run


class CourseEngine(Protocol):
    """What the course of a run needs from the engine."""

    @property
    def workflow_max_execution_time(self) -> float: ...

    def next_step(self, run: Run, seconds: float, act: Callable[[float], None], at: float) -> None:
        """Schedule the next step of a run."""

    def pause(self, run: Run) -> None:
        """Pause a run until its form is filled in."""

    def end(self, run: Run, at: float, status: str, outputs: Json, error: str | None) -> None:
        """End a run."""


class Course:
    """The course of one run. Times are passed as wall clock."""

    def __init__(self, engine: CourseEngine, run: Run) -> None:
        self._engine = engine
        self._run = run
        self._left: list[tuple[Node | None, float]] = []
        #: The current node; ``None``: none that the stream shows.
        self._node: Node | None = None
        self._since = 0.0
        self._answer: Answer | Exception = Answer("")
        self._written = ""

    def begin(self, at: float) -> None:
        """The run starts."""
        run = self._run
        if run.app.has_runs:
            run.emit(events.started(run), at)
            self._whole_node(events.START, at, run.inputs, run.inputs)
        run.steps = 1
        try:
            self._left = run.app.steps_of(run.inputs)
        except Exception as error:  # noqa: BLE001 - from a function that computes the seconds
            self._fail(at, str(error))
        else:
            self._start_node(at)

    def _whole_node(self, node: Node, at: float, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        run = self._run
        run.emit(events.node_started(run, node, at), at)
        run.emit(events.node_finished(run, node, at, since=at, inputs=inputs, outputs=outputs), at)

    def _start_node(self, at: float) -> None:
        """Start the next node. When the last one starts, the function of a chat app is called."""
        run = self._run
        self._node, seconds = self._left.pop(0)
        self._since = at
        if self._node is not None:
            run.steps += 1
            if run.app.has_runs:
                run.emit(events.node_started(run, self._node, at), at)
        if self._left:
            self._engine.next_step(run, seconds, self._end_node, at)
        elif run.message is None:
            self._engine.next_step(run, seconds, self._call_function, at)
        else:
            self._write_answer(seconds, at)

    def _end_node(self, at: float) -> None:
        self._finish_node(at, {})
        self._start_node(at)

    def _finish_node(self, at: float, outputs: Json, *, status: str = "succeeded", error: str | None = None) -> None:
        run, node = self._run, self._node
        if node is None or not run.app.has_runs:
            return
        given = {**node.outputs, **outputs}
        run.emit(
            events.node_finished(
                run, node, at, since=self._since, inputs={}, outputs=given, status=status, error=error
            ),
            at,
        )

    def _call_function(self, at: float) -> None:
        """The last node of a workflow is done."""
        run = self._run
        try:
            result = run.app.function(Inputs(run.inputs, run))
        except Exception as error:  # noqa: BLE001 - any error fails the run
            self._fail(at, str(error))
            return
        if isinstance(result, Paused):
            self._pause(at, result)
            return
        outputs = dict(result.outputs if isinstance(result, Partial) else result)
        for body in events.text_chunks(run, outputs):
            run.emit(body, at)
        if isinstance(result, Partial):
            run.exceptions += 1
            self._finish_node(at, outputs, status="exception", error=result.error)
        else:
            self._finish_node(at, {})
        self._succeed(at, outputs, "partial-succeeded" if isinstance(result, Partial) else "succeeded")

    def _succeed(self, at: float, outputs: Json, status: str) -> None:
        run = self._run
        run.steps += 1
        shown = {} if run.message is not None else outputs
        self._whole_node(events.last_node(run), at, shown, outputs)
        if run.message is not None:
            run.emit(messages.message_end(run, run.message), at)
        limit, took = self._engine.workflow_max_execution_time, at - run.created_at
        if took > limit:
            error = f"Aborted: Maximum execution time exceeded: {took:.2f}s > {limit:g}s"
            self._engine.end(run, at, "stopped", outputs, error)
        else:
            self._engine.end(run, at, status, outputs, None)

    def _fail(self, at: float, error: str) -> None:
        run, node = self._run, self._node
        retries = 0 if node is None else node.retries
        for number in range(1, retries + 1):
            run.steps += 1
            run.exceptions += 1
            if node is not None and run.app.has_runs:
                body = events.node_finished(
                    run, node, at, since=self._since, inputs={}, outputs={}, status="retry", error=error
                )
                body["data"]["retry_index"] = number
                run.emit(body, at)
        run.exceptions += 1
        self._finish_node(at, {}, status="failed", error=error)
        self._engine.end(run, at, "failed", {}, error)

    def _pause(self, at: float, plan: Paused) -> None:
        run = self._run
        node = self._node or Node("ask", kind="human-input")
        run.form = HumanForm(run.app.world, plan, node, at)
        reason = run.form.reason()
        run.emit(events.form_required(run, reason, node), at)
        run.emit(events.paused(run, reason, node, elapsed=round(at - run.created_at, 6)), at)
        self._engine.pause(run)

    def resume(self, at: float) -> None:
        """Continue a paused run."""
        run = self._run
        node = run.form.node if run.form else Node("ask")
        run.executing = True
        run.emit(events.started(run, reason="resumption"), at)
        run.emit(events.node_started(run, node, at), at)

    def _write_answer(self, seconds: float, at: float) -> None:
        """The answer of a chat app comes in pieces, spread over the duration of its last node."""
        message = self._run.message
        if message is None:
            return
        try:
            self._answer = self._run.app.answer(message)
        except Exception as error:  # noqa: BLE001 - any error fails the run
            self._answer = error
            self._engine.next_step(self._run, seconds, self._end_answer, at)
            return
        message.sources, message.tokens = list(self._answer.sources), self._answer.tokens
        self._run.tokens = sum(message.tokens)
        parts = messages.pieces(self._answer.text)
        self._write(parts, seconds / max(1, len(parts)), at)

    def _write(self, parts: list[str], pause: float, at: float) -> None:
        """Write the first of these pieces now, and the others later."""
        run, message = self._run, self._run.message
        if parts and message is not None:
            self._written += parts[0]
            run.emit(messages.message_piece(run, message, parts[0]), at)
        if len(parts) > 1:
            self._engine.next_step(run, pause, lambda due: self._write(parts[1:], pause, due), at)
        else:
            self._engine.next_step(run, pause, self._end_answer, at)

    def _end_answer(self, at: float) -> None:
        run, message = self._run, self._run.message
        if message is None:
            return
        if isinstance(self._answer, Exception):
            self._fail_answer(at, str(self._answer))
            return
        self._keep_answer(at, self._answer.text)
        if run.app.has_runs:
            self._finish_node(at, {})
            self._succeed(at, {"answer": message.answer, "files": []}, "succeeded")
            return
        if run.app.mode == "agent-chat":
            run.emit(messages.agent_thought(run, message), at)
        run.emit(messages.message_end(run, message), at)
        self._engine.end(run, at, "succeeded", {}, None)

    def _fail_answer(self, at: float, error: str) -> None:
        run, message = self._run, self._run.message
        if message is None:
            return
        message.status = "error"
        message.error = f"Run failed: {error}" if run.app.has_runs else error
        if run.app.has_runs:
            self._fail(at, error)
            return
        run.emit(messages.stream_error(run, message, error), at)
        self._engine.end(run, at, "failed", {}, error)

    def _keep_answer(self, at: float, text: str) -> None:
        message = self._run.message
        if message is not None:
            message.answer = text
            message.latency = round(at - message.created_at, 6)
            if message.conversation is not None:
                message.conversation.updated_at = at

    def cut_off(self, at: float) -> None:
        """The run was stopped: the written part of an answer stays."""
        if self._run.message is not None:
            self._keep_answer(at, self._written)
