"""The parts of a conversation with Dify.

A conversation is a generator. It yields a :data:`Step` and is sent what came of it: for a :class:`Request` the
:class:`Response` (or a ``DifyTransportError`` is thrown in if there was none), for any other step nothing. Whoever runs
it owns the sockets and the clock, so that the same conversation runs in a worker, in a triggerer's event loop, and in a
test that lets no time pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
JSON: TypeAlias = Any  # what json.loads gives


class Content(Protocol):
    """What a file holds, wherever it is."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def open(self) -> BinaryIO:
        """Open it for reading from its beginning; whoever asks closes it.

        :raises DifySourceError: It cannot be read, now or while it is being read.
        """


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as a form, together with its options.

    :param name: Name of the file, which becomes that of the document.
    :param content: What it holds. It is read piece by piece while it is sent.
    :param data: Field ``data`` of the form: its options, to be sent as JSON; ``None``: there is no such field.
    :param fields: Further fields of the form, by name.
    """

    name: str
    content: Content
    data: JSON = None
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, below the base URL.

    :param method: HTTP method.
    :param path: Path below the base URL, beginning with a slash, such as ``/datasets``.
    :param query: Query parameters, in order.
    :param json: Body to send as JSON; ``None`` sends none.
    :param upload: Instead of JSON, a file to send.
    :param repeatable: Whether sending it again after a failure is decided by the failure alone. Where it is
        not, the failure goes to the flow, which looks at what has become of the request first.
    :param enough: Makes it a request for a stream of events: is given all that came so far, and says whether the rest
        is not needed. The answer is what came until then, however the stream ended: its end says nothing.
    """

    method: str
    path: str
    query: tuple[tuple[str, str | int], ...] = ()
    json: JSON = None
    upload: Upload | None = None
    repeatable: bool = True
    enough: Callable[[bytes], bool] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for a :class:`Request`.

    :param status: HTTP status.
    :param headers: Headers, with names in lower case.
    :param body: Body, decoded from its content encoding.
    :param at: When it came, in seconds since the epoch; needed where ``Retry-After`` is a date.
    :param masked: Takes the secrets out of what an error quotes from it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0
    masked: Callable[[str], str] = field(default=str, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass.

    :param seconds: How long.
    :param reason: Why, for the log, with the time that it takes; empty if there is no news.
    """

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the person who runs the DAG should read in the log now."""

    text: str
    level: int = logging.INFO


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to count or to time, for the metrics.

    :param name: Name of the metric. It contains no id and no secret.
    :param count: How often it happened.
    :param seconds: How long it took; ``None``: it is counted, not timed.
    """

    name: str
    count: int = 1
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """Run flows side by side. What one of them raises ends all of them.

    :param flows: The flows. They keep what they find out themselves.
    :param most: How many run at a time.
    """

    flows: Sequence[Flow[None]]
    most: int


Step: TypeAlias = Request | Pause | Note | Measure | Together
Flow: TypeAlias = Generator[Step, "Response | None", T]


def resumed(flow: Flow[T], answer: Response | None, error: BaseException | None) -> Step:
    """Go on with a flow, and return the step that it wants next.

    :param flow: The flow.
    :param answer: What came of its last step; ``None`` at the beginning.
    :param error: What went wrong instead.
    :raises StopIteration: It has ended; ``value`` is what it returns.
    """
    return flow.send(answer) if error is None else flow.throw(error)


def mapped(flow: Flow[T], handle: Callable[[Step], Flow[Response | None]]) -> Flow[T]:
    """Run a flow with something between it and whoever runs it: retries, or the end at a long wait.

    :param flow: The flow.
    :param handle: Is given each step, and returns its answer. What it raises is raised in the flow.
    """
    answer: Response | None = None
    error: BaseException | None = None
    while True:
        try:
            step = resumed(flow, answer, error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
        answer = error = None  # not kept while it waits
        try:
            answer = yield from handle(step)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the flow is told and decides
            error = raised


class Leave(BaseException):
    """Raised in a flow at a long pause: it ends here, and its conversation continues in another process."""


def until_long_wait(flow: Flow[T], leaves_at: Callable[[Pause], bool]) -> Flow[T | None]:
    """Run a flow until a long wait begins.

    :param flow: The flow of a conversation that can continue elsewhere.
    :param leaves_at: Whether a pause is one to leave at.
    :return: What the flow returns; ``None`` if it left.
    """

    def handle(step: Step) -> Flow[Response | None]:
        if isinstance(step, Pause) and leaves_at(step):
            raise Leave
        return (yield step)

    try:
        return (yield from mapped(flow, handle))
    except Leave:
        return None


#: Fewer seconds than anybody can wait.
_NO_TIME = 1e-6


class Deadline:
    """A point in time until which waiting makes sense.

    :param seconds: How far away it is.
    :param clock: Tells the time in seconds; ``time.monotonic`` in a process, ``time.time`` where the deadline
        outlives one.
    :param start: When the time began to run, by the same clock; now, unless the wait goes on elsewhere.
    """

    def __init__(self, seconds: float, clock: Callable[[], float], start: float | None = None) -> None:
        self._clock = clock
        self._start = clock() if start is None else start
        self._seconds = seconds
        self._retries = [0]  # shared with what is made of it by within()

    def restart(self) -> None:
        """Begin anew: all of the time is left again."""
        self._start = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def remaining(self) -> float:
        """Seconds that are left; 0 when it has passed."""
        left = self._seconds - self.elapsed
        # What rounding leaves of a wait until the deadline is nothing: it might be too little to move a clock.
        return left if left > _NO_TIME else 0.0

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0

    def within(self, seconds: float) -> Deadline:
        """Return one that is so many seconds away by the same clock, but not later than this one."""
        part = Deadline(min(seconds, self.remaining), self._clock)
        part._retries = self._retries
        return part

    @property
    def retries(self) -> int:
        """How often a request was tried again so far: each time, a while passed that its flow has not seen."""
        return self._retries[0]

    def count_retry(self) -> None:
        """Note that a request is tried again."""
        self._retries[0] += 1

    @property
    def half_gone(self) -> bool:
        """Whether at least half of the time is gone."""
        return self.elapsed >= self._seconds / 2
