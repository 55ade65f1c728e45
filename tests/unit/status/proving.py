"""Runs a status change, and counts the requests of its proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from airflow_provider_dify.exceptions import DifyDocumentStatusError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.documents import ActionName
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.status.report import StatusReport
from airflow_provider_dify.testing import Dataset, Document, FakeDify, RequestRecord, VirtualClock
from tests.unit.status.test_properties import time_of

REMOVING = ("disable", "archive")


@dataclass
class Proof:
    """One run.

    :param reads: Pages of segments that were read for the proof.
    :param searches: Searches.
    :param waiting: Pages of segments that repairs read while they waited for the worker.
    :param noted: Pages of segments that repairs read to remember disabled chunks.
    :param repairs: What the repairs sent: the action and its ids.
    """

    report: StatusReport
    error: DifyDocumentStatusError | None
    reads: int
    searches: int
    waiting: int
    noted: int
    repairs: list[tuple[str, list[str]]]

    @property
    def cost(self) -> int:
        """Requests for the proof."""
        return self.reads + self.searches

    @property
    def lost(self) -> int:
        """How many documents search had lost."""
        return self.report.repaired + len(self.report.lagging)


@contextmanager
def a_dify(**kwargs: Any) -> Iterator[FakeDify]:
    """A Dify whose worker finishes its jobs before anybody can check."""
    with FakeDify(clock=VirtualClock(), lock_race="never", **kwargs) as dify, time_of(dify):
        dify.worker.seconds_per_job = 0.0005
        yield dify


def prove(dify: FakeDify, action: ActionName, documents: Sequence[Document], **kwargs: Any) -> Proof:
    """Change the status of documents, and count the requests after the worker is done."""
    began = len(dify.requests)
    error: DifyDocumentStatusError | None = None
    with DifyHook() as hook:
        try:
            report = hook.change_document_status(
                documents[0].dataset.id, [document.id for document in documents], action, StatusOptions(**kwargs)
            )
        except DifyDocumentStatusError as raised:
            error, report = raised, cast("StatusReport", raised.report)
    requests = dify.requests[began:]
    changes = [number for number, request in enumerate(requests) if request.method == "PATCH"]
    own = [number for number in changes if requests[number].path.endswith(f"/{action}")]
    # Changes of the run itself go out one behind the other, before anything is looked at.
    looked = next((n for n, one in enumerate(requests) if _is_read(one) or _is_search(one)), len(requests))
    assert any(number < looked for number in own) or not own
    return Proof(report, error, **_tally(requests[looked:]))


def _tally(requests: Iterable[RequestRecord]) -> dict[str, Any]:
    counts: Counter[str] = Counter(reads=0, searches=0, waiting=0, noted=0)
    repairs: list[tuple[str, list[str]]] = []
    repaired: str | None = None
    row: tuple[str, int] = ("", 0)  # the document whose segments were read last, and how many pages of them
    for request in requests:
        if _is_read(request):
            document = request.path.split("/")[-2]
            counts["waiting" if document == repaired else "reads"] += 1
            row = (document, row[1] + 1 if document == row[0] else 1)
            continue
        if request.method == "PATCH":
            ids, action = request.json["document_ids"], request.path.rpartition("/")[2]
            repairs.append((action, ids))
            repaired = ids[0]
            if action in REMOVING and row[0] == repaired:
                counts["noted"] += row[1]
                counts["reads"] -= row[1]
        elif _is_search(request):
            counts["searches"] += 1
            repaired = None
        row = ("", 0)
    return {**counts, "repairs": repairs}


def _is_read(request: RequestRecord) -> bool:
    return request.method == "GET" and request.path.endswith("/segments")


def _is_search(request: RequestRecord) -> bool:
    return request.method == "POST" and request.path.endswith("/retrieve")


def fill(kb: Dataset, number: int, *, segments: int = 1, in_use: bool = True, prefix: str = "page") -> list[Document]:
    """Documents that share words, each segment of which has words of its own too."""
    return [
        kb.add_document(f"{prefix} {n}", text=text(f"{prefix}{n}", segments), segments=segments, archived=not in_use)
        for n in range(number)
    ]


def text(name: str, segments: int) -> str:
    """A text that is made by taking every n-th word."""
    parts = [["Visitors", "parking", "canteen", f"{name}q{part}x", f"room{part}y"] for part in range(segments)]
    return " ".join(word for row in zip(*parts, strict=True) for word in row)


def returned(dify: FakeDify, documents: Iterable[Document]) -> bool:
    """Whether search returns each document for its own words."""
    return all(one.name in dify.search(one.dataset, _own(one)) for one in documents)


def _own(document: Document) -> str:
    return " ".join(word for word in document.text.split() if word.endswith("q0x"))
