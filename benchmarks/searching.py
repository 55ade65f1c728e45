"""What it costs to prove that search returns documents, compared with reading the first segments of each.

That was the proof before. It is cheap, but not a proof: Dify 1.16.0 shows ``enabled`` for segments whose keywords it
lost.

The proof talks to the built-in Dify in this process: it is the real proof, its requests are counted, and its responses
are weighed. The seconds are what a Dify 1.16.0 was measured to take for such responses, so they are the same on any
machine.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar
from urllib.parse import urlencode

from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Pause, Request, Response
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.proof import SearchCheck, SearchProof
from airflow_provider_dify.knowledge.status.repair import Repair
from airflow_provider_dify.testing import MEASURED_1_16_0, Dataset, Document, FakeDify, VirtualClock
from airflow_provider_dify.testing.api.call import Call, answer
from airflow_provider_dify.testing.api.replies import Reply
from airflow_provider_dify.testing.api.routes import ROUTES
from benchmarks.sizes import Case, Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress

T = TypeVar("T")

#: How many segments of each document were read before.
_BEFORE = 5
_WORDS_A_SEGMENT = 40
_VOCABULARY = 20_000
_SHARE_LOST = 0.15


@dataclass
class Bill:
    """The cost of a conversation.

    :param searches: How many of the requests are searches.
    :param seconds: What Dify 1.16.0 takes for them.
    :param kilobytes: Size of the responses.
    """

    requests: int = 0
    searches: int = 0
    seconds: float = 0.0
    kilobytes: float = 0.0

    def __str__(self) -> str:
        return f"{self.requests:,} requests, {self.seconds:,.1f} s, {self.kilobytes:,.0f} kB"


class Direct:
    """Conversations with a Dify without a socket in between."""

    def __init__(self, dify: FakeDify) -> None:
        self._dify = dify
        self._headers = {"authorization": f"Bearer {dify.api_key}", "content-type": "application/json"}
        self.bill = Bill()

    def run(self, flow: Flow[T]) -> T:
        """Run a conversation to its end; pauses take no time."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Request):
                    step = flow.send(self._send(step))
                else:
                    if isinstance(step, Pause):
                        self._dify.clock.sleep(step.seconds)
                    step = next(flow)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _send(self, request: Request) -> Response:
        body = b"" if request.json is None else json.dumps(request.json).encode()
        call = Call(
            self._dify.world, request.method, f"/v1{request.path}", urlencode(request.query), self._headers, body,
            "http://benchmark", new_connection=False,
        )  # fmt: skip
        reply = answer(call, ROUTES)
        if not isinstance(reply, Reply):
            raise TypeError(f"{request.path} answers later")
        content = reply.encoded()
        seconds = MEASURED_1_16_0.of(reply.cost, reply.size)
        self._dify.clock.advance(seconds)
        self.bill.requests += 1
        self.bill.searches += request.path.endswith("/retrieve")
        self.bill.seconds += seconds
        self.bill.kilobytes += len(content) / 1000
        return Response(reply.status, {"content-type": "application/json"}, content)


class Scene:
    """A knowledge base, some documents of which have just entered or left search."""

    def __init__(self, case: Case, *, leaving: bool = False) -> None:
        self.dify = FakeDify(clock=VirtualClock(), lock_race="never")
        self.dify.worker.seconds_per_job = 0.05
        self.kb: Dataset = self.dify.add_dataset("benchmark", indexing_technique=case.kind)
        documents = [
            self.kb.add_document(f"page {number}", text=text, segments=case.segments)
            for number, text in enumerate(_texts(case.documents, case.segments * _WORDS_A_SEGMENT))
        ]
        luck = random.Random("documents")
        self.changed: Sequence[Document] = luck.sample(documents, case.changed)
        lost = luck.sample(self.changed, int(len(self.changed) * case.lost))
        self.lost = {document.id for document in lost}
        for document in lost:
            for chunk in document.chunks:
                chunk.in_index = False
        for document in self.changed if leaving else ():
            document.set(archived=True, in_search=False)

    def prove(self) -> tuple[SearchCheck, Bill]:
        """Prove all changes, now that the worker is done."""
        direct = Direct(self.dify)
        self.proof = SearchProof(self.kb.id, direct.run(api.get_dataset(self.kb.id)))
        ids = [document.id for document in self.changed]
        documents = direct.run(read_documents(self.kb.id, ids))
        direct.bill = Bill()
        deadline = Deadline(3600.0, self.dify.clock.monotonic)
        look = direct.run(self.proof.look(ids, documents, thorough=False, progress=Progress(deadline)))
        return look, direct.bill

    def prove_as_before(self) -> tuple[set[str], Bill]:
        """Read the first segments of each document; return those whose flags they reflect."""
        direct = Direct(self.dify)
        green = set()
        for document in self.changed:
            path = f"/datasets/{self.kb.id}/documents/{document.id}/segments"
            if direct.run(_first_segments(path)) is not document.archived:
                green.add(document.id)
        return green, direct.bill

    def repair(self, lost: Sequence[str]) -> Bill:
        """Repair what search has lost, and prove it again."""
        direct = Direct(self.dify)
        repair = Repair(self.kb.id, Action.UN_ARCHIVE, self.proof)
        deadline = Deadline(36_000.0, self.dify.clock.monotonic)
        direct.run(repair.flow(lost, deadline, Retries()))
        if set(repair.repaired) != set(lost):
            raise RuntimeError(f"Repaired {len(repair.repaired)} of {len(lost)} documents.")
        return direct.bill


def _first_segments(path: str) -> Flow[bool]:
    response = yield Request("GET", path, query=(("page", 1), ("limit", _BEFORE)))
    return api.read_answer(response, lambda payload: all(one.flag("enabled") for one in payload.items("data")))


@lru_cache(maxsize=1)
def _texts(number: int, words: int) -> list[str]:
    """Return texts with a large vocabulary, in which some words are frequent and most are rare (Zipf's law)."""
    luck = random.Random("texts")
    vocabulary = ["".join(luck.choices("abdefgiklmnoprstuw", k=luck.randint(4, 10))) for _ in range(_VOCABULARY)]
    weights = list(accumulate(1 / rank for rank in range(1, _VOCABULARY + 1)))
    return [" ".join(luck.choices(vocabulary, cum_weights=weights, k=words)) for _ in range(number)]


def measure(sizes: Sizes) -> Section:
    """Prove documents in knowledge bases of several sizes, in the new way and in the old one."""
    lines = []
    for case in sizes.searching:
        progress(f"proving {case}")
        lines.append(_entering(case))
    leaving = sizes.searching[0]
    progress(f"proving that {leaving.changed:,} documents have left search")
    lines.append(_leaving(leaving))
    return Section(
        "8. Proof that search returns documents: requests once the worker is done, beside the old way, which read five "
        "segments of each (answers are really made and weighed; seconds are those of a Dify 1.16.0)",
        lines,
    )


def _entering(case: Case) -> Line:
    scene = Scene(case)
    look, bill = scene.prove()
    if set(look.lost) != scene.lost or look.behind or len(look.followed) + len(look.lost) != case.changed:
        raise RuntimeError(f"{case}: it found {len(look.lost)} lost documents, and {len(scene.lost)} are.")
    green, before = scene.prove_as_before()
    lost = len(scene.lost)
    false = len(green & scene.lost)
    repaired, more = "", 2
    if lost and case.repaired:
        more = 3
        repairs = scene.repair(look.lost)
        bill.requests += repairs.searches
        repaired = (
            f" To repair {lost:,} takes {repairs}, among them {repairs.searches:,} searches, which count here; the "
            "others change documents, note their chunks, and wait for the worker."
        )
    told = f"The old way called {false:,} of {lost:,} lost documents green." if lost else ""
    bound = 0.2 if case.small else 1.25
    allowed = bound + more * lost / case.changed
    return Line(
        f"search_{case.key}",
        str(case),
        bill.requests / case.changed,
        "per document",
        f"{bill}, {bill.searches:,} of them searches at first; the old way: {before}. {told}{repaired}".strip(),
        Bound("below" if case.small else "at most", round(allowed, 3)),
    )


def _leaving(case: Case) -> Line:
    scene = Scene(case, leaving=True)
    look, bill = scene.prove()
    if len(look.followed) != case.changed or bill.searches:
        raise RuntimeError("That documents have left search is not proven by their segments.")
    _, before = scene.prove_as_before()
    return Line(
        "search_leaving",
        f"leaving search: {case.changed:,} documents of {case.segments}",
        bill.requests / case.changed,
        "per document",
        f"{bill}; the old way: {before}. All segments are read, as a person may have disabled the first.",
        Bound("at most", 1.25),
    )
