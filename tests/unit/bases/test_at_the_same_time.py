"""However the steps of several tasks mix, they make one knowledge base, and all of them return its id."""

from __future__ import annotations

import json
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.bases.creation import SETTLED
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.bases.provision import Provision
from airflow_provider_dify.knowledge.flow import Deadline, Note, Pause, Request, Response
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.bases.setting_up import only, run

START = 1_800_000_000.0


@dataclass
class Server:
    """The part of Dify that matters: it checks a name first and writes later, and its clock runs while it does so.

    :param taken: Who is between the check and the write, with what will be written.
    """

    bases: dict[str, dict[str, Any]] = field(default_factory=dict)
    now: float = START
    numbers: Any = field(default_factory=lambda: count(1))

    def new(self, body: dict[str, Any], back: float) -> dict[str, Any]:
        """A row that is to be written. Its time is that of the beginning of its transaction, and its id any."""
        number = next(self.numbers)
        one = f"{random.Random(number).getrandbits(32):08x}-0000-4000-8000-{number:012x}"
        return {"id": one, "name": body["name"], "description": body.get("description", ""), "indexing_technique": None,
                "document_count": 0, "created_at": int(self.now - back), "enable_api": True}  # fmt: skip

    def answer(self, request: Request) -> Response:
        """Answer everything but a creation."""
        one = self.bases.get(request.path.rpartition("/")[2])
        if request.path == "/datasets":
            newest = sorted(self.bases.values(), key=lambda base: base["created_at"], reverse=True)
            return self.reply(200, {"data": newest, "total": len(newest), "page": 1, "has_more": False})
        if one is None:
            return self.reply(404, {"code": "not_found", "message": "Dataset not found.", "status": 404})
        if request.method == "DELETE":
            del self.bases[one["id"]]
            return Response(204, {}, b"")
        if request.method == "PATCH":
            one.update(Fields(request.json).values)
        return self.reply(200, one)

    def reply(self, status: int, body: dict[str, Any]) -> Response:
        return Response(status, {"date": formatdate(self.now, usegmt=True)}, json.dumps(body).encode(), self.now)


class Task:
    """A task that goes on by one step when it is its turn."""

    def __init__(self, server: Server, back: float) -> None:
        self.server = server
        self.back = back
        self.wakes = server.now
        self.result: Any = None
        deadline = Deadline(900, lambda: server.now)
        flow = Provision("kb", KnowledgeBaseOptions(description="d")).flow(deadline, Retries())
        self.steps: Generator[Any, Any, Any] = self._steps(retrying(flow, Retries(), deadline))

    def _steps(self, flow: Generator[Any, Any, Any]) -> Generator[None, None, None]:
        answer = None
        try:
            while True:
                step = flow.send(answer)
                answer = None
                if isinstance(step, Pause):
                    self.wakes = self.server.now + step.seconds
                    yield
                elif isinstance(step, Request) and step.method == "POST":
                    answer = yield from self._create(step)
                elif not isinstance(step, Note):
                    answer = self.server.answer(step)
                    yield
        except StopIteration as stop:
            self.result = stop.value
        except DifyError as error:
            self.result = error

    def _create(self, request: Request) -> Generator[None, None, Response]:
        asked = Fields(request.json)
        if any(one["name"] == asked.text("name") for one in self.server.bases.values()):
            return self.server.reply(409, {"code": "dataset_name_duplicate", "message": "Exists.", "status": 409})
        row = self.server.new(asked.values, self.back)
        yield  # others may check meanwhile
        self.server.bases[row["id"]] = row
        yield  # and others may look before the answer arrives
        return self.server.reply(200, row)


@given(
    turns=st.lists(st.integers(0, 2), max_size=60),
    backs=st.lists(st.floats(0, 1.5), min_size=3, max_size=3),
    tasks=st.integers(2, 3),
)
@settings(max_examples=150, deadline=None)
def test_all_make_one(turns: list[int], backs: list[float], tasks: int) -> None:
    server = Server()
    running = [Task(server, back) for back in backs[:tasks]]
    everyone, order = list(running), iter(turns)
    while running:
        awake = [task for task in running if task.wakes <= server.now]
        if not awake:  # time passes while all wait
            server.now = min(task.wakes for task in running)
            continue
        task = awake[next(order, 0) % len(awake)]
        try:
            next(task.steps)
        except StopIteration:
            running.remove(task)
    (base,) = server.bases.values()
    assert {task.result.dataset_id for task in everyone} == {base["id"]}
    assert base["description"] == "d"
    assert sum(task.result.outcome == "created" for task in everyone) <= 1


NONE: dict[str, Any] = {"data": [], "total": 0, "page": 1, "limit": 100, "has_more": False}


def both_created(dify: FakeDify) -> Dataset:
    """Another task creates it at the same moment: neither Dify nor the first read sees that."""
    dify.world.checks_names = False
    dify.faults.add(Fault("status", method="GET", path="/datasets$", status=200, body=NONE))
    return dify.add_dataset("handbook")


def own(dify: FakeDify, other: Dataset) -> Dataset:
    return next(one for one in dify.world.datasets.values() if one is not other)


def fill(kb: Dataset) -> None:
    kb.add_document("page")


def test_the_newer_one_is_deleted_by_the_task_that_created_it(dify: FakeDify) -> None:
    other = both_created(dify)
    other.created_at -= 1
    result = run(description="x")
    assert result.error is None
    assert (result.returned, result.outcome) == (other.id, "updated")
    assert list(dify.world.datasets.values()) == [other]
    assert other.description == "x"


def test_the_older_one_stays_and_waits_for_the_other_task(dify: FakeDify) -> None:
    other = both_created(dify)
    other.created_at += 1
    dify.world.schedule(2 * SETTLED, lambda at: dify.world.datasets.__delitem__(other.id))
    result = run()
    assert result.error is None
    assert (result.returned, result.outcome) == (only(dify).id, "created")


def test_the_other_task_never_deletes_its_own(dify: FakeDify, said: pytest.LogCaptureFixture) -> None:
    other = both_created(dify)
    other.created_at += 1
    result = run()
    assert isinstance(result.error, DifyInputError)
    assert "'handbook' is the name of 2 knowledge bases." in str(result.error)
    waits = "2 knowledge bases have the name 'handbook'. Checking again in 3 s whether another task deletes one."
    assert waits in said.messages
    assert len(dify.world.datasets) == 2


def test_one_that_has_documents_is_not_deleted(dify: FakeDify) -> None:
    other = both_created(dify)
    other.created_at -= 1
    dify.faults.add(Fault("latency", path="/datasets/[0-9a-f-]{36}$", seconds=1))
    dify.world.schedule(0.5, lambda at: fill(own(dify, other)))
    result = run()
    assert isinstance(result.error, DifyInputError)
    assert "the newer one has documents already" in str(result.error)
    assert len(dify.world.datasets) == 2


def test_the_other_one_is_deleted_after_all(dify: FakeDify) -> None:
    """It was found by its name, and is gone when it is read: it is created again."""
    other = dify.add_dataset("handbook")
    dify.faults.add(Fault("latency", path=f"/datasets/{other.id}$", seconds=1))
    dify.world.schedule(0.5, lambda at: dify.world.datasets.__delitem__(other.id))
    result = run()
    assert (result.error, result.outcome) == (None, "created")
    assert result.returned == only(dify).id != other.id
