"""A knowledge base before a release, and what happened to it; used by the tests of releases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.flow import Flow, Pause, Response, resumed
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.conftest import TaskInstance

#: Enabled, archived.
Flags = tuple[bool, bool]
LIVE: Flags = (True, False)
#: Name of an old document that is not indexed.
BROKEN = "old broken"


@dataclass(frozen=True)
class World:
    """A knowledge base before a release.

    :param new: Flags of the new documents.
    :param old: Flags of those that they replace.
    :param broken: Indexing states of additional old documents that are not indexed, and whether they are enabled.
    :param retire: What happens to the old ones.
    :param lock: Seconds for which Dify locks the first old one.
    """

    new: list[Flags]
    old: list[Flags]
    broken: list[tuple[str, bool]] = field(default_factory=list)
    retire: str = "archive"
    lock: int = 0


@contextmanager
def fake() -> Iterator[FakeDify]:
    """A Dify whose clock the provider uses."""
    with FakeDify(clock=VirtualClock()) as dify, using(dify.clock):
        os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = dify.airflow_connection()
        try:
            yield dify
        finally:
            del os.environ["AIRFLOW_CONN_DIFY_DEFAULT"]


class Scene:
    """The documents of a release."""

    def __init__(self, dify: FakeDify, world: World, technique: str = "economy") -> None:
        self.dify = dify
        self.world = world
        self.task = TaskInstance()
        self.tries = 0
        self.kb: Dataset = dify.add_dataset("handbook", indexing_technique=technique)
        self.new = [self._add("new", n, flags) for n, flags in enumerate(world.new)]
        self.old = [self._add("old", n, flags) for n, flags in enumerate(world.old)]
        self.old += [self._add_broken(status, enabled) for status, enabled in world.broken]
        self.names = {document.id: document.name for document in self.kb.documents}
        if world.lock:
            self.old[0].lock(world.lock)
        self.before = self.flags()

    def _add(self, side: str, number: int, flags: Flags) -> Document:
        return self.kb.add_document(f"{side} {number}", text=f"rules {side}", enabled=flags[0], archived=flags[1])

    def _add_broken(self, status: str, enabled: bool) -> Document:
        paused = status == "paused"
        return self.kb.add_document(
            BROKEN, indexing_status="indexing" if paused else status, paused=paused, enabled=enabled
        )

    def flags(self) -> dict[str, Flags]:
        return {document.id: (document.enabled, document.archived) for document in self.kb.documents}

    def found(self) -> set[str]:
        return set(self.dify.search(self.kb, "rules"))

    def operator(self, **more: Any) -> DifyReleaseOperator:
        """A new operator with nothing except its inputs, like a retry on an Airflow before 3.3."""
        arguments: dict[str, Any] = {
            "task_id": "release",
            "dataset_id": self.kb.id,
            "document_ids": [document.id for document in self.new],
            "replaces": [document.id for document in self.old],
            "retire": self.world.retire,
            "release": "run 1",
        }
        return DifyReleaseOperator(**{**arguments, **more})

    def release(self, **more: Any) -> DifyError | None:
        """Run a release; return its error."""
        self.task = TaskInstance()  # XCom is wiped at a retry
        self.tries += 1
        self.task.try_number = self.tries
        try:
            self.operator(**more).execute({"ti": self.task})  # type: ignore[typeddict-item]
        except DifyError as error:
            return error
        return None

    def kill_after(self, requests: int, **more: Any) -> bool:
        """Start a release in a process that is killed after this many responses; return whether it ended."""
        operator = self.operator(**more)
        with DifyHook() as hook:
            deadline = hook.deadline(operator.timeout)
            flow = operator._of({"ti": TaskInstance()}).flow(deadline, hook.retries)  # type: ignore[typeddict-item]
            return run_in_steps(self.dify, retrying(flow, hook.retries, deadline), hook, stop_after=requests)

    @property
    def report(self) -> dict[str, Any]:
        return self.task.xcom["report"]  # type: ignore[no-any-return]

    @property
    def new_alone(self) -> bool:
        """Whether search returns the new version and nothing of the old one."""
        return self.found() == {document.name for document in self.new}

    @property
    def answers(self) -> bool:
        """Whether search returns the whole new version or the whole old one, perhaps both."""
        return self.found() >= {document.name for document in self.new} or self.found() >= self.found_before

    @property
    def found_before(self) -> set[str]:
        names = {self.names[document_id] for document_id, flags in self.before.items() if flags == LIVE}
        return names - {BROKEN}

    @property
    def wholly_new(self) -> bool:
        now = self.flags()
        gone = self.world.retire == "delete"
        old_is_retired = not any(d.id in now for d in self.old) if gone else True
        return all(now[d.id] == LIVE for d in self.new) and old_is_retired and self.new_alone

    @property
    def wholly_old(self) -> bool:
        return self.flags() == self.before and self.found() == self.found_before


def run_in_steps(
    dify: FakeDify,
    flow: Flow[Any],
    hook: DifyHook,
    *,
    stop_after: int | None = None,
    each: Callable[[], None] = lambda: None,
) -> bool:
    """Run a flow over a real connection, and check after each request and after each event in Dify.

    :param stop_after: Leave it after this many responses: nothing comes after that.
    :param each: Called after each.
    :return: Whether it ended.
    """
    client = hook.get_conn()
    answer: Response | None = None
    error: BaseException | None = None
    requests = 0
    while stop_after is None or requests < stop_after:
        try:
            step = resumed(flow, answer, error)
        except (StopIteration, DifyError):
            return True
        answer = error = None
        if isinstance(step, Pause):
            let_pass(dify, step.seconds, each)
            continue
        try:
            answer = client._do(step)
        except DifyError as raised:
            error = raised
        requests += answer is not None or error is not None
        each()
    flow.close()
    return False


def let_pass(dify: FakeDify, seconds: float, each: Callable[[], None]) -> None:
    """Let time pass from one event to the next."""
    clock = dify.clock
    end = clock.monotonic() + seconds
    while (due := dify.world.next_due()) is not None and due < end:
        clock.advance(max(0.0, due - clock.monotonic()) + 1e-6)
        each()
    clock.advance(max(0.0, end - clock.monotonic()))
    each()
