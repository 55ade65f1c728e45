"""The parts of a conversation with Dify.

A conversation is a generator. It yields a :data:`Step` and receives the result: for a :class:`Request` the
:class:`Response` (or a ``DifyTransportError`` is thrown in if there was none), for any other step nothing. Whoever runs
it owns the sockets and the clock, so the same conversation runs in a worker, in a triggerer's event loop, and in a test
without waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import BinaryIO, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"


class Content(Protocol):
    """The content of a file from anywhere."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def open(self) -> BinaryIO:
        """Open it for reading from its beginning. The caller closes it.

        :raises DifySourceError: It cannot be read, now or later.
        """


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as a form, together with its options.

    :param name: Name of the file, which becomes the document's name.
    :param content: Its content, read piece by piece while it is sent.
    :param data: Options in the form's field ``data``, sent as JSON; ``None``: no such field.
    :param fields: Additional fields of the form, by name.
    """

    name: str
    content: Content
    data: JSON = None
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """Where the file goes that Dify answers with.

    :param file: It is emptied, and written to piece by piece while the answer comes.
    :param limit: Most bytes that the answer may have.
    :param seconds: How long all of it may take. No pause in between may be longer than the timeout of the connection.
    """

    file: BinaryIO
    limit: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, below the base URL.

    :param method: HTTP method.
    :param path: Path below the base URL, beginning with a slash, such as ``/datasets``.
    :param query: Query parameters, in order.
    :param json: Body to send as JSON; ``None`` for none.
    :param upload: A file to send, instead of JSON.
    :param repeatable: Whether the kind of failure alone decides about a retry. If not, the failure goes to the flow,
        which first checks what happened to the request.
    :param enough: Requests a stream of events. It receives everything that has arrived so far, and returns whether the
        rest is not needed. The response is what had arrived by then, however the stream ended.
    :param into: Requests a file: where to save it. The body of the response is empty then.
    """

    method: str
    path: str
    query: tuple[tuple[str, str | int], ...] = ()
    json: JSON = None
    upload: Upload | None = None
    repeatable: bool = True
    enough: Callable[[bytes], bool] | None = field(default=None, compare=False)
    into: Download | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a :class:`Request`.

    :param status: HTTP status.
    :param headers: Headers, with names in lower case.
    :param body: Body, decoded from its content encoding.
    :param at: When it arrived, in seconds since the epoch; needed if ``Retry-After`` is a date.
    :param retried: Whether the request had failed before, which took time.
    :param masked: Removes secrets from texts that errors quote.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0
    retried: bool = False
    masked: Callable[[str], str] = field(default=str, repr=False, compare=False)

    def date(self, header: str) -> float | None:
        """Return the date in a header, in seconds since the epoch; ``None`` if it has none."""
        with suppress(TypeError, ValueError, OverflowError, IndexError):
            date = parsedate_to_datetime(self.headers.get(header, ""))
            return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
        return None

    @property
    def created_at(self) -> float:
        """When it was created, by the server's clock if it shows it: that clock may differ from the local one."""
        date = self.date("date")
        return self.at if date is None else date


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait.

    :param seconds: How long.
    :param reason: Why, for the log, with the time that it takes; empty if there is no news.
    :param level: Its level in the log.
    """

    seconds: float
    reason: str
    level: int = field(default=logging.INFO, compare=False)


@dataclass(frozen=True, slots=True)
class Note:
    """A message for the task log."""

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
    """Run flows in parallel. An error of one of them ends all of them.

    :param flows: The flows. They keep their results themselves.
    :param most: Maximum number of flows that run at the same time.
    """

    flows: Sequence[Flow[None]]
    most: int


Step: TypeAlias = Request | Pause | Note | Measure | Together
Flow: TypeAlias = Generator[Step, "Response | None", T]


def answered(response: Response | None) -> Response:
    """Return what a flow received for a :class:`Request`: always a response."""
    if response is None:
        raise TypeError("A request must be answered with a response.")
    return response


def resumed(flow: Flow[T], answer: Response | None, error: BaseException | None) -> Step:
    """Continue a flow, and return its next step.

    :param flow: The flow.
    :param answer: The result of its last step; ``None`` at the beginning.
    :param error: The exception, if the step failed.
    :raises StopIteration: The flow has ended; ``value`` is what it returns.
    """
    return flow.send(answer) if error is None else flow.throw(error)


def mapped(flow: Flow[T], handle: Callable[[Step], Flow[Response | None]]) -> Flow[T]:
    """Run a flow with something between it and its runner: retries, or the end at a long wait.

    :param flow: The flow.
    :param handle: Receives each step, and returns its response. What it raises is raised in the flow.
    """
    answer: Response | None = None
    error: BaseException | None = None
    while True:
        try:
            step = resumed(flow, answer, error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
        answer = error = None  # do not keep it during the wait
        try:
            answer = yield from handle(step)
        except BaseException as raised:  # noqa: BLE001 - the flow handles every error
            error = raised


class LeaveWorker(BaseException):
    """Raised in a flow at a long pause: the flow ends here, and its conversation continues in another process."""


def until_long_wait(flow: Flow[T], leaves_at: Callable[[Pause], bool]) -> Flow[T | None]:
    """Run a flow until a long wait begins.

    :param flow: The flow of a conversation that can continue elsewhere.
    :param leaves_at: Whether to leave at this pause.
    :return: What the flow returns; ``None`` if it left.
    """

    def handle(step: Step) -> Flow[Response | None]:
        if isinstance(step, Pause) and leaves_at(step):
            raise LeaveWorker
        return (yield step)

    try:
        return (yield from mapped(flow, handle))
    except LeaveWorker:
        return None


#: Too short to wait.
_NO_TIME = 1e-6


class Deadline:
    """A point in time until which waiting makes sense.

    :param seconds: How far away it is.
    :param clock: Returns the time in seconds: ``time.monotonic`` within a process, ``time.time`` if the deadline
        outlives it.
    :param start: When the time started, by the same clock; now, unless the wait continues from another process.
    """

    def __init__(self, seconds: float, clock: Callable[[], float], start: float | None = None) -> None:
        self._clock = clock
        self._start = clock() if start is None else start
        self._seconds = seconds

    def restart(self) -> None:
        """Start again with the full time."""
        self._start = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def remaining(self) -> float:
        """Seconds that are left; 0 when it has passed."""
        left = self._seconds - self.elapsed
        # Rounding may leave a wait that is too short to move a clock; it counts as nothing.
        return left if left > _NO_TIME else 0.0

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0

    def within(self, seconds: float) -> Deadline:
        """Return a deadline this many seconds from now by the same clock, but not later than this one."""
        return Deadline(min(seconds, self.remaining), self._clock)

    @property
    def half_gone(self) -> bool:
        """Whether at least half of the time is used."""
        return self.elapsed >= self._seconds / 2
