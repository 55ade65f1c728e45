"""One run of an app: its row in the database, and the events of its stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.apps.chat import Message
from airflow_provider_dify.testing.apps.forms import HumanForm
from airflow_provider_dify.testing.apps.plan import Answer, Mode, Node, Partial, Paused
from airflow_provider_dify.testing.model.site import Site

Status = Literal["queued", "running", "paused", "succeeded", "failed", "stopped", "partial-succeeded"]
#: How much later than the last event of the stream the row ends, which shows in its ``elapsed_time``.
ROW_LATER = 0.024


class Event(NamedTuple):
    """One event of a stream.

    :param at: Wall clock.
    """

    at: float
    body: Json


class Inputs(dict[str, Any]):
    """The inputs of a run, as its function gets them.

    :param run: The run, in case the function needs the user or the id.
    """

    def __init__(self, values: Mapping[str, Any], run: Run) -> None:
        super().__init__(values)
        self.run = run


#: The function of a workflow.
RunFunction = Callable[[Inputs], Mapping[str, Any] | Partial | Paused]


class RunApp(Protocol):
    """What a run and its engine need from its app."""

    #: Number of blocking requests in progress.
    active: int

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def mode(self) -> Mode: ...

    @property
    def workflow_id(self) -> str: ...

    @property
    def world(self) -> Site: ...

    @property
    def engine(self) -> RunEngine: ...

    @property
    def function(self) -> Callable[[Any], Any]: ...

    @property
    def has_runs(self) -> bool:
        """Whether it runs a workflow."""

    @property
    def queued(self) -> list[Run]:
        """Runs that were accepted but have not started."""

    def started(self, run: Run) -> None:
        """Record that a run has left the queue."""

    def end_user(self, user: str) -> str:
        """Id of the end user with that name."""

    def steps_of(self, inputs: Mapping[str, Any]) -> list[tuple[Node | None, float]]:
        """Its nodes and how long each takes."""

    def answer(self, message: Message) -> Answer:
        """The answer of a chat app's function to a message."""


class RunEngine(Protocol):
    """What a run, and whoever waits for it, needs from its engine."""

    def postpone(self, run: Run, seconds: float) -> None:
        """Keep a run that was just accepted in the queue for this many seconds."""

    def finish(self, run: Run) -> None:
        """End the current step of a run at once."""

    def stop(self, task_id: str, user: str | None) -> None:
        """Stop the run with this task id."""

    def orphan(self, run: Run) -> None:
        """Let the worker or process of a run die."""

    def resume(self, run: Run, fields: Json) -> None:
        """Continue a paused run."""


class Reader(Protocol):
    """A reader of the events of a run."""

    def disturb(self) -> None:
        """Another reader has closed its connection."""


class Run:
    """One run, from the moment Dify accepted it.

    :param inputs: As its function gets them.
    :param blocking: Whether the API process runs it while the client waits, instead of the worker.
    :param message: In a chat app, the message that it answers.
    """

    #: ``queued``: Dify has accepted it, but it has not started. It has no row and no log entry then.
    status: Status = "queued"
    error: str | None = None
    steps = 0
    exceptions = 0
    tokens = 0
    finished_at: float | None = None
    #: Whether it is in progress.
    executing = False
    #: Whether its worker or process has died, so that it never ends.
    orphaned = False
    #: Whether there will be no further event.
    closed = False
    #: The form that it waits or waited for.
    form: HumanForm | None = None
    #: Whether one of its readers has disconnected; Dify notices at the next event.
    departed = False

    def __init__(
        self,
        app: RunApp,
        *,
        user: str,
        inputs: Mapping[str, Any],
        blocking: bool,
        refusal: str | None = None,
        message: Message | None = None,
        files: Sequence[Json] = (),
    ) -> None:
        world = app.world
        self.app = app
        self.id = world.new_id()
        self.task_id = world.new_id()
        self.user = user
        self.inputs = dict(inputs)
        self.files = list(files)
        self.blocking = blocking
        #: The error about its inputs, which a stream only reports when the worker has taken it.
        self.refusal = refusal
        self.message = message
        self.outputs: Json = {}
        self.accepted_at = world.clock.time()
        self.created_at = self.accepted_at
        self.log_id = world.new_id()
        self.events: list[Event] = []
        #: Ids of its nodes in the events.
        self.node_ids: dict[str, str] = {}
        #: Open streams.
        self.readers: list[Reader] = []
        self.engine = app.engine
        self._listeners: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.app.name!r} for {self.user!r}: {self.status}>"

    @property
    def sent_inputs(self) -> Json:
        """Its inputs, plus those that Dify adds."""
        system: Json = {"sys.files": list(self.files), "sys.user_id": self.user}
        if self.message is not None:
            system = {"sys.query": self.message.query, **system, "sys.dialogue_count": self.message.position}
        ids = {"sys.app_id": self.app.id, "sys.workflow_id": self.app.workflow_id, "sys.workflow_run_id": self.id}
        return {**self.inputs, **system, **ids}

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status not in ("queued", "running", "paused")

    @property
    def elapsed(self) -> float:
        """Seconds in its row: 0 until it has ended."""
        return 0.0 if self.finished_at is None else round(self.finished_at - self.created_at + ROW_LATER, 6)

    def emit(self, body: Json, at: float) -> None:
        """Write an event to its stream."""
        if self.departed:
            self.departed = False
            for reader in self.readers:
                reader.disturb()
        self.events.append(Event(at, body))
        self.changed()

    def close(self) -> None:
        """Write nothing more."""
        self.closed = True
        self.changed()

    def changed(self) -> None:
        """Wake the clients that wait for it."""
        for listener in list(self._listeners):
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change. :return: a function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def orphan(self) -> None:
        """Let its worker or process die: it stays ``running`` forever."""
        self.engine.orphan(self)

    def stop(self) -> None:
        """Stop it, as Dify's console does."""
        self.engine.stop(self.task_id, user=None)

    def finish(self) -> None:
        """End the current node now, such as one that takes ``math.inf`` seconds."""
        self.engine.finish(self)

    def resume(self, fields: Mapping[str, Any] | None = None) -> None:
        """Fill in the form of a paused run, and press its first button."""
        self.engine.resume(self, dict(fields or {}))
