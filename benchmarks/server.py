"""The built-in Dify in a separate process, so that neither its work nor its memory counts as the client's."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from airflow_provider_dify.testing import App, Costs, Dataset, Document, FakeDify, Node, RequestRecord, Run, SystemClock

#: Seconds to wait for the other process; it creates 100,000 documents in less than two.
_PATIENCE = 60.0
#: Seconds in which runs have started.
_SECONDS_TO_START = 0.5
#: Seconds that Dify's worker takes to update search for a document, as measured.
SECONDS_PER_JOB = 0.06
#: Number of documents of a warm-up.
FEW = 50
#: Seconds to index a new document here: almost none, since Dify's indexing is not what is measured.
SECONDS_PER_DOCUMENT = 0.001


@dataclass(frozen=True)
class Setup:
    """A Dify to measure against.

    :param documents: Number of healthy documents in its knowledge base.
    :param costs: How long its calls take, in real time; ``None``: no time.
    :param locked: Whether every document is locked for an hour.
    :param runs: Number of runs of a workflow that never end. If there are any, the connection is the one of the app.
    :param bytes_each: Size of the file of each document; 0: they have none. A second knowledge base then has ``FEW``
        of them.
    """

    documents: int
    costs: Costs | None
    locked: bool = False
    runs: int = 0
    bytes_each: int = 0


@dataclass(frozen=True)
class Target:
    """What a client needs to know.

    :param connection: The Airflow connection in JSON form.
    :param run_ids: The runs of the app.
    :param few_dataset_id: The knowledge base with a few documents.
    """

    base_url: str
    api_key: str
    connection: str
    dataset_id: str
    document_ids: list[str]
    run_ids: list[str]
    few_dataset_id: str = ""


@dataclass(frozen=True)
class Tally:
    """What Dify has seen.

    :param changes: Requests that change the status of documents.
    :param pages: Requests for a page of documents.
    :param segments: Requests for the segments of a document: these show what search does.
    :param uploads: Requests that create or update a document.
    :param others: All other requests.
    :param connections: TCP connections.
    :param documents: Existing documents.
    :param archived: Documents that are archived.
    :param out_of_search: Documents that search does not return any more.
    :param worker_through_at: When the worker ended its last job, by the monotonic clock that processes share.
    """

    changes: int
    pages: int
    segments: int
    uploads: int
    others: int
    connections: int
    documents: int
    archived: int
    out_of_search: int
    worker_through_at: float

    @property
    def requests(self) -> int:
        """All requests."""
        return self.changes + self.pages + self.segments + self.uploads + self.others


@dataclass(frozen=True)
class Dify:
    """A running Dify, seen from another process."""

    target: Target
    pipe: Connection

    def tally(self) -> Tally:
        """Return what it has seen so far."""
        self.pipe.send("tally")
        tally: Tally = _receive(self.pipe)
        return tally

    def expect(self, *, archived: int) -> Tally:
        """Return what it has seen so far, if the work was really done.

        :param archived: How many documents must be archived by now.
        """
        tally = self.tally()
        if tally.archived != archived:
            raise RuntimeError(f"{tally.archived} documents are archived, and not {archived}: this measures nothing.")
        return tally


@contextmanager
def running(setup: Setup) -> Iterator[Dify]:
    """Run a new Dify in a new process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, setup), daemon=True)
    process.start()
    theirs.close()
    try:
        target: Target = _receive(ours)
        yield Dify(target, ours)
    finally:
        ours.close()  # this ends it
        process.join(_PATIENCE)


def _receive(pipe: Connection) -> Any:
    if not pipe.poll(_PATIENCE):
        raise TimeoutError(f"The built-in Dify gave no sign of life for {_PATIENCE:g} s.")
    return pipe.recv()


def _serve(pipe: Connection, setup: Setup) -> None:
    """Run a Dify, and answer questions about it until nobody asks any more."""
    # The costs and the times of jobs were measured on this version, with one job at a time.
    dify = FakeDify(clock=SystemClock(), costs=setup.costs, version="1.14.1", jobs=1)
    dify.worker.seconds_per_job = SECONDS_PER_JOB
    dify.worker.seconds_per_document = SECONDS_PER_DOCUMENT
    if setup.bytes_each:
        dify.worker.seconds_per_segment = 0.0
    dataset = dify.add_dataset("benchmark")
    few = dify.add_dataset("few")
    documents = _fill(dataset, setup.documents, setup.bytes_each)
    _fill(few, FEW if setup.bytes_each else 0, setup.bytes_each)
    document_ids = [document.id for document in documents]
    for document in documents if setup.locked else ():
        document.lock(3600)
    app = dify.add_workflow("benchmark", nodes=[Node("wait", math.inf)])
    with dify:
        run_ids = _start_runs(app, setup.runs)
        connection = dify.airflow_connection(app=app if run_ids else None)
        pipe.send(Target(dify.base_url, dify.api_key, connection, dataset.id, document_ids, run_ids, few.id))
        with suppress(EOFError):
            while pipe.recv():
                pipe.send(_tally(dify, dataset))


def _fill(dataset: Dataset, documents: int, bytes_each: int) -> list[Document]:
    if not bytes_each:
        return dataset.add_documents(documents)
    names = [f"{dataset.name}-{number:05}.txt" for number in range(documents)]
    return [dataset.add_document(name, text=f"{name} ".ljust(bytes_each, "x"), file_name=name) for name in names]


def _start_runs(app: App, number: int) -> list[str]:
    """Start runs that stay ``running``, because their process dies: then the built-in Dify has no work with them."""
    runs = [Run(app, user="benchmark", inputs={}, blocking=True) for _ in range(number)]
    for run in runs:
        app.engine.submit(run)
    time.sleep(_SECONDS_TO_START if runs else 0.0)
    for run in runs:
        run.orphan()
    return [run.id for run in runs]


def _tally(dify: FakeDify, dataset: Dataset) -> Tally:
    kinds = Counter(map(_kind, dify.requests))
    documents = dataset.documents
    return Tally(
        changes=kinds["changes"],
        pages=kinds["pages"],
        segments=kinds["segments"],
        uploads=kinds["uploads"],
        others=kinds["others"],
        connections=dify.connections,
        documents=len(documents),
        archived=sum(document.archived for document in documents),
        out_of_search=sum(not document.in_search for document in documents),
        worker_through_at=dify.worker.pool.through_at,
    )


def _kind(request: RequestRecord) -> str:
    if request.method == "PATCH":
        return "changes"
    last = request.path.rpartition("/")[2]
    if last.startswith(("create-by-", "update-by-")):
        return "uploads"
    return {"documents": "pages", "segments": "segments"}.get(last, "others")
