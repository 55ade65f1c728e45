"""An app on a stage: it answers a flow as Dify does, without sockets, and time passes only in pauses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from airflow_provider_dify.exceptions import DifyError, DifyTransportError
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.knowledge.apps.report import RunReport
from airflow_provider_dify.knowledge.apps.requesting import RunRequest
from airflow_provider_dify.knowledge.apps.run import WorkflowRun
from airflow_provider_dify.knowledge.apps.tries import tries_of
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Pause, Request, Response
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import VirtualClock
from tests.unit.base.driving import dify_error, reply

APP = "7f3939db-2bbc-4446-8302-eaed4571012d"
ECHO: list[dict[str, Any]] = [
    {"text-input": {"variable": "text", "required": True, "max_length": 48, "options": []}},
    {"paragraph": {"variable": "long", "required": False, "max_length": None, "options": []}},
    {"number": {"variable": "number", "required": False, "options": []}},
    {"select": {"variable": "choice", "required": False, "options": ["red", "green"]}},
    {"checkbox": {"variable": "flag", "required": False, "options": []}},
    {"file": {"variable": "doc", "required": False, "options": []}},
    {"file-list": {"variable": "docs", "required": False, "max_length": 3, "options": []}},
]
#: How Dify may react to a start. All but the first three lose its answer.
STARTS = ("ok", "refused_connection", "too_many", "reset", "lost", "dropped", "empty", "queued", "lost_error", "never")


class Killed(BaseException):
    """The worker is gone, at this very moment."""


@dataclass
class Run:
    """A run on the stage."""

    user: str
    inputs: Mapping[str, Any]
    starts_at: float
    seconds: float
    end: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    stopped_at: float | None = None

    def status(self, now: float) -> str | None:
        """Its status; ``None`` while it waits in the queue."""
        if now < self.starts_at:
            return None
        if self.stopped_at is not None and self.stopped_at < self.starts_at + self.seconds:
            return "stopped"
        if self.end in ("running", "paused"):
            return self.end
        return "running" if now < self.starts_at + self.seconds else self.end


class Stage:
    """A Dify with one app.

    :param seconds: How long a run takes.
    :param starts: What happens to each start, in order; then all is well.
    :param ends: How each run ends, in order; then it succeeds.
    """

    def __init__(self, *, seconds: float = 5.0, starts: tuple[str, ...] = (), ends: tuple[str, ...] = ()) -> None:
        self.clock = VirtualClock()
        self.runs: list[Run] = []
        self.requests: list[Request] = []
        self.seconds = seconds
        self.mode = "workflow"
        self.form = ECHO
        self.published = True
        self.down_until = 0.0
        self.stops_work = True
        self.queue_seconds = 40.0
        self.kill_at: int | None = None
        #: At which request, counted from 1, the API is killed, and how long it is down then.
        self.restart_at: int | None = None
        self.restart_seconds = 30.0
        #: Which requests, counted from 1, are answered with 503; a start is not.
        self.broken: frozenset[int] = frozenset()
        self._starts = list(starts)
        self._ends = list(ends)

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @property
    def statuses(self) -> list[str | None]:
        return [run.status(self.now) for run in self.runs]

    def sent(self, path: str) -> int:
        """How many requests of a path came."""
        return sum(request.path == path for request in self.requests)

    def answer(self, request: Request) -> Response:  # noqa: C901 - one line for each endpoint
        self.requests.append(request)
        number, path = len(self.requests), request.path
        if self.kill_at == number:
            if path == "/workflows/run":  # it has gone out
                self._start(request)
            raise Killed
        if self.now < self.down_until:
            raise DifyTransportError("Connection refused.", reached=False)
        if self.restart_at == number:
            if path == "/workflows/run":
                self._start(request)
            self.down_until = self.now + self.restart_seconds
            raise DifyTransportError("Connection reset.", reached=True)
        if number in self.broken and path != "/workflows/run":
            return dify_error(503, "unknown", "Service unavailable.")
        if path == "/info":
            return reply(200, {"name": "echo", "mode": self.mode, "description": "", "tags": []})
        if path == "/parameters":
            if not self.published:
                return dify_error(400, "app_unavailable", "App unavailable, please check your app configurations.")
            return reply(200, {"user_input_form": self.form})
        if path == "/workflows/run":
            return self._start(request)
        if path == "/workflows/logs":
            return self._logs(dict(request.query)["created_by_end_user_session_id"])
        if path.startswith("/workflows/run/"):
            return self._shown(path.rpartition("/")[2])
        if path.startswith("/workflows/tasks/"):
            return self._stop(path.split("/")[3])
        if path.endswith("/events"):
            return self._events(path.split("/")[2])
        return dify_error(404, "not_found", "Not found.")

    def _start(self, request: Request) -> Response:
        what = self._starts.pop(0) if self._starts else "ok"
        if what == "refused_connection":
            raise DifyTransportError("Connection refused.", reached=False)
        if what == "too_many":
            return dify_error(400, "invalid_param", "Too many requests. Please try again later.")
        if what == "never":  # reset before it was taken, which looks as if it was
            raise DifyTransportError("Connection reset.", reached=True)
        if what == "lost_error":
            return dify_error(502, "unknown", "Bad gateway.")
        wait = self.queue_seconds if what == "queued" else 0.0
        end = self._ends.pop(0) if self._ends else "succeeded"
        asked = Fields(request.json)
        run = Run(asked.text("user"), asked.object("inputs").values, self.now + wait, self.seconds, end)
        self.runs.append(run)
        if what in ("reset", "queued"):
            raise DifyTransportError("Connection reset.", reached=True)
        body = b"event: ping\n\n"
        if what == "lost":
            return dify_error(504, "unknown", "Gateway timeout.")
        if what in ("dropped", "empty"):
            return stream(body if what == "dropped" else b"")
        return stream(body + started(run.id, run.task_id))

    def _logs(self, user: str | int) -> Response:
        rows = [
            {
                "id": str(uuid.uuid4()),
                "workflow_run": {"id": run.id, "status": run.status(self.now), "created_at": run.starts_at},
                "created_by_end_user": {"session_id": run.user},
            }
            for run in self.runs
            if run.user == user and run.status(self.now)
        ]
        return reply(200, {"page": 1, "limit": 100, "total": len(rows), "has_more": False, "data": rows[::-1]})

    def _shown(self, run_id: str) -> Response:
        found = [run for run in self.runs if run.id == run_id and run.status(self.now)]
        if not found:
            return dify_error(404, "not_found", "Workflow run not found.")
        run = found[0]
        status = run.status(self.now)
        done = status in ("succeeded", "partial-succeeded")
        return reply(
            200,
            {
                "id": run.id,
                "workflow_id": "w",
                "status": status,
                "inputs": json.dumps({**run.inputs, "sys.app_id": APP}),
                "outputs": {"run": run.id, "text": run.inputs.get("text")} if done else {},
                "error": "Oh no." if status == "failed" else None,
                "total_steps": 2 if done else 0,
                "total_tokens": 3 if done else 0,
                "created_at": int(run.starts_at),
                "finished_at": None,
                "elapsed_time": self.seconds if done else 0.0,
            },
        )

    def _stop(self, task_id: str) -> Response:
        for run in self.runs:
            if run.task_id == task_id and self.stops_work and run.end != "paused":
                run.stopped_at = run.stopped_at or self.now
        return reply(200, {"result": "success"})

    def _events(self, run_id: str) -> Response:
        run = next(run for run in self.runs if run.id == run_id)
        body = b"event: ping\n\n" + started(run.id, run.id) + started(run.id, run.task_id)
        alive = run.end not in ("running", "paused") and run.status(self.now) == "running"
        return stream(body + (b"event: ping\n\n" if alive else b""))


def stream(body: bytes) -> Response:
    return reply(200, body.decode(), content_type="text/event-stream; charset=utf-8")


def started(run_id: str, task_id: str) -> bytes:
    event = {
        "event": "workflow_started",
        "workflow_run_id": run_id,
        "task_id": task_id,
        "data": {"inputs": {"sys.app_id": APP}},
    }
    return b"data: " + json.dumps(event).encode() + b"\n\n"


@dataclass
class Try:
    """How a try went.

    :param left: Whether it continues in the triggerer.
    """

    conversation: WorkflowRun
    report: RunReport
    error: DifyError | None = None
    killed: bool = False
    left: bool = False

    @property
    def green(self) -> bool:
        return self.error is None and not self.killed and not self.left and self.report.outcome.good

    @property
    def outcome(self) -> str:
        return str(self.report.outcome.value)


class Task:
    """A task whose tries share a memory, which only the current try may change, as in Airflow 3.3."""

    def __init__(
        self, stage: Stage, *, timeout: float = 600.0, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        self.stage = stage
        self.timeout = timeout
        self.inputs = {"text": "hello"} if inputs is None else inputs
        self.options = RunOptions(**options)
        self.memory: dict[str, Any] = {}
        self.number = 0

    def keep(self, note: Mapping[str, Any], number: int) -> None:
        if number != self.number:
            raise DifyError("This try is not the current one.")
        self.memory = json.loads(json.dumps(dict(note)))

    def conversation(self, **changes: Any) -> WorkflowRun:
        self.number = number = self.number + 1
        tries = tries_of("airflow", "dag", "task", "run", -1, number)
        request = changes.pop("request", RunRequest(self.inputs))
        keep = partial(self.keep, number=number)
        return WorkflowRun(tries, request, options=self.options, known=dict(self.memory), keep=keep, **changes)

    def played(self, flow: Flow[Any], deadline: Deadline) -> Play:
        """A flow of a try, on the stage."""
        return Play(retrying(flow, Retries(max_retries=1, jitter=lambda: 0.5), deadline), self.stage)

    def run(self, **changes: Any) -> Try:
        """Run one try to its end."""
        conversation = self.conversation(**changes)
        deadline = Deadline(self.timeout, self.stage.clock.monotonic)
        return ended(conversation, self.played(conversation.flow(deadline), deadline))


def ended(conversation: WorkflowRun, play: Play) -> Try:
    """Let a try go on to its end, and return how it ended."""
    error, killed, left = None, False, False
    try:
        left = play.go() is None
    except DifyError as raised:
        error = raised
    except Killed:
        killed = True
    return Try(conversation, conversation.report(), error, killed, left)


class Play:
    """A flow on a stage, which may be held up in front of a request."""

    def __init__(self, flow: Flow[Any], stage: Stage, at_pause: Callable[[Pause], None] | None = None) -> None:
        self._flow = flow
        self._stage = stage
        self._at_pause = at_pause
        self._step: Any = None
        self.is_over = False

    def go(self, most: int | None = None) -> Any:
        """Run it to its end, or until it is about to send one more request than that."""
        try:
            if self._step is None:
                self._step = next(self._flow)
            while not (isinstance(self._step, Request) and most == 0):
                most = most - 1 if isinstance(self._step, Request) and most is not None else most
                self._step = self._next()
        except StopIteration as stop:
            self.is_over = True
            return stop.value
        except BaseException:
            self.is_over = True
            raise

    def _next(self) -> Any:
        step = self._step
        if isinstance(step, Request):
            try:
                answer = self._stage.answer(step)
            except (DifyError, Killed) as error:
                return self._flow.throw(error)
            return self._flow.send(answer)
        if isinstance(step, Pause):
            if self._at_pause:
                self._at_pause(step)
            self._stage.clock.sleep(step.seconds)
        return next(self._flow)


def play(flow: Flow[Any], stage: Stage, at_pause: Callable[[Pause], None] | None = None) -> Any:
    """Run a flow on a stage."""
    return Play(flow, stage, at_pause).go()


@contextmanager
def killed_at(stage: Stage, request: int) -> Iterator[None]:
    """Kill the worker at its n-th request from now."""
    stage.kill_at = len(stage.requests) + request
    yield
    stage.kill_at = None
