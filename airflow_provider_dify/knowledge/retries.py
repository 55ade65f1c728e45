"""Which failures are retried, and after how long. The rules are the same for all ways to run a flow."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from airflow_provider_dify.exceptions import DifyError, DifyKilledError, DifyPlanLimitError
from airflow_provider_dify.knowledge.errors import error_in
from airflow_provider_dify.knowledge.flow import (
    Deadline,
    Flow,
    Measure,
    Pause,
    Request,
    Response,
    Step,
    Together,
    answered,
    mapped,
)
from airflow_provider_dify.knowledge.progress import Intervals, checking_again, seconds_of

T = TypeVar("T")
#: Seconds between two tries of a part of a conversation that can use its whole time.
_LONGEST_PATIENCE = 30.0


@dataclass(frozen=True)
class Retries:
    """When a failed request is retried, and after how long.

    :param max_retries: Retries after the first try.
    :param first: Seconds before the first retry; doubled for each further one.
    :param longest: Maximum wait in seconds, unless Dify asks for more.
    :param patience: Maximum ``Retry-After`` in seconds if there is no deadline.
    :param jitter: Returns numbers in [0, 1), so that many clients do not come back at the same moment.
    """

    max_retries: int = 4
    first: float = 0.5
    longest: float = 30.0
    patience: float = 60.0
    jitter: Callable[[], float] = field(default=random.random, compare=False)

    def delay(self, failures: int, error: DifyError) -> float:
        """Return the seconds to wait after this many failures in a row (1 for the first): ``Retry-After`` or longer."""
        doublings = min(failures - 1, 30)  # more would exceed the range of a float
        usual = min(self.longest, self.first * 2.0**doublings) * (0.5 + self.jitter() / 2)
        # A Retry-After of 0 or in the past would be a loop without a pause.
        return max(usual, error.retry_after or 0.0)

    def wait_after(self, failures: int, error: DifyError, deadline: Deadline | None) -> float:
        """Return the seconds to wait before the next try, or raise the error if there should be none."""
        wait = self.delay(failures, error)
        limit = self.patience if deadline is None else deadline.remaining
        # The plan's limit resets within minutes, so wait for it as long as there is time.
        patient = deadline is not None and isinstance(error, DifyPlanLimitError)
        if not error.retryable or wait > limit or (failures > self.max_retries and not patient):
            raise error
        return wait

    def recover(
        self, failures: int, error: DifyError, deadline: Deadline, read: Callable[[], Flow[None]]
    ) -> Flow[bool]:
        """After a failed change, wait, and read the documents before anything is sent again.

        If there should be no other try, they are read once more to make the report exact.

        :param failures: How many tries in a row have failed.
        :param read: Reads the documents.
        :return: Whether there should be another try.
        :raises DifyError: The documents cannot be read; see :func:`last_read`.
        """
        try:
            wait = self.wait_after(failures, error, deadline)
        except DifyError:
            yield from last_read(read(), error)
            return False
        yield Pause(wait, checking_again(wait, error))
        yield from read()
        return True


def last_read(reading: Flow[None], cause: DifyError) -> Flow[None]:
    """Read something to make a report exact, after a failure that ends the job.

    :param reading: Reads it.
    :param cause: The failure. It is raised if the reading fails too, unless the task was killed.
    """
    try:
        yield from reading
    except DifyKilledError:
        raise
    except DifyError:
        raise cause from None


def retrying(flow: Flow[T], retries: Retries, deadline: Deadline | None = None) -> Flow[T]:
    """Run a flow with retries. Errors that remain are raised in the flow.

    :param flow: A flow that only handles good responses and errors of this package.
    :param retries: How to retry requests that are :attr:`Request.repeatable`.
    :param deadline: No wait goes beyond it.
    """
    reads_work = False

    def handle(step: Step) -> Flow[Response | None]:
        nonlocal reads_work
        if isinstance(step, Together):
            return (yield replace(step, flows=[retrying(flow, retries, deadline) for flow in step.flows]))
        if not isinstance(step, Request):
            return (yield step)
        answer = yield from _tries(step, retries, deadline, reads_work)
        reads_work = reads_work or step.method == "GET"
        return answer

    return mapped(flow, handle)


def any_retried(flow: Flow[None]) -> Flow[bool]:
    """Run a flow, and return whether a request was retried: that took time that the flow did not see."""
    retried = False

    def handle(step: Step) -> Flow[Response | None]:
        nonlocal retried
        before, retried = retried, True  # also if it fails: an error does not say whether there were retries
        answer = yield step
        retried = before or (answer is not None and answer.retried)
        return answer

    yield from mapped(flow, handle)
    return retried


def patiently(deadline: Deadline, make: Callable[[], Flow[T]]) -> Flow[T]:
    """Run a part of a flow until it succeeds: Dify may be down for a while, or an app busy.

    :param make: Creates the flow for each try.
    :raises DifyError: It failed, and a retry does not help or would be too late.
    """
    waits = Intervals(longest=_LONGEST_PATIENCE, first=1.0)
    told = ""
    while True:
        try:
            return (yield from make())
        except DifyError as error:
            if not error.retryable or deadline.passed:
                raise
            wait = max(waits.next(), error.retry_after or 0.0)
            if wait > deadline.remaining:
                raise
            why, told = _unless_told(error, told)
            yield Pause(wait, f"Trying again in {seconds_of(wait)}: {why}", logging.WARNING)


def _tries(request: Request, retries: Retries, deadline: Deadline | None, reads_work: bool) -> Flow[Response]:
    failures, told = 0, ""
    while True:
        try:
            response = yield from _once(request, reads_work)
            return replace(response, retried=True) if failures else response
        except DifyError as error:
            failures += 1
            if not request.repeatable:
                raise
            wait = retries.wait_after(failures, error, deadline)
            yield Measure("retries")
            why, told = _unless_told(error, told)
            which = f"Retry {failures} of {retries.max_retries}"
            yield Pause(wait, f"{which} in {seconds_of(wait)}: {why}", logging.WARNING)


def _unless_told(error: DifyError, told: str) -> tuple[str, str]:
    """Return what the log says of a failure, and what it has said now: it does not repeat a long text."""
    return ("the same." if error.message == told else error.message), error.message


def _once(request: Request, reads_work: bool) -> Flow[Response]:
    response = answered((yield request))
    error = error_in(request, response, reads_work=reads_work)
    if error is None:
        return response
    try:
        raise error
    finally:
        # The frame would hold the error, and the error's traceback the frame: thousands of waits leave so much for the
        # garbage collector that it blocks the event loop.
        del error
