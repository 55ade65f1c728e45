"""Whatever the documents are and whatever goes wrong: if the task is green, search returns the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.reindex.reindexing import VERSION, run_reindex


@dataclass(frozen=True)
class State:
    """A document before the task.

    :param fails: It cannot be indexed.
    :param lost: Dify calls it available, and search does not return it.
    :param goes: Somebody deletes it after so many seconds.
    """

    status: str
    enabled: bool
    archived: bool
    empty: bool
    fails: bool
    lost: bool
    goes: float | None


rarely = st.sampled_from([False] * 6 + [True])
states = st.builds(
    State,
    status=st.sampled_from(["error"] * 4 + ["completed", "indexing", "waiting"]),
    enabled=st.sampled_from([True, True, False]),
    archived=rarely,
    empty=rarely,
    fails=rarely,
    lost=rarely,
    goes=st.sampled_from([None] * 8 + [0.05, 0.7, 3.0]),
)
RETRY = "/documents/retry$"
BUSY = {"code": "invalid_param", "message": "Document is being retried, please try again later"}
#: All of them after the first request, which only asks whether Dify can do it.
TROUBLES: dict[str, Callable[[], Fault]] = {
    "busy": lambda: Fault("status", path=RETRY, status=400, body=BUSY, after=1),
    "broken": lambda: Fault("status", path=RETRY, status=502, after=1),
    "lost": lambda: Fault("status_after", path=RETRY, status=504, after=1),
    "slow": lambda: Fault("latency", path=RETRY, seconds=2, after=1),
}


def add(kb: Dataset, number: int, state: State) -> Document:
    """Add a document in a state."""
    page = kb.add_document(
        f"page {number}",
        text="" if state.empty else f"Visitors like unusual{number}words.",
        indexing_status=state.status,
        enabled=state.enabled,
        archived=state.archived,
    )
    if state.status in ("indexing", "waiting"):
        page.finish_indexing(after=1.0)
    if state.status == "completed" and state.lost and not state.empty:
        page.chunks[0].in_index = False
    if state.fails:
        kb.world.worker.failing.add(page.id)  # type: ignore[attr-defined]
    if state.goes is not None:
        kb.world.schedule(state.goes, lambda _: remove(page))
    return page


def remove(page: Document) -> None:
    if not page._row.deleted:
        page.dataset.remove(page._row)


@contextmanager
def a_dify() -> Iterator[FakeDify]:
    fake = FakeDify(clock=VirtualClock(), version=VERSION)
    with pytest.MonkeyPatch.context() as patch, fake as dify, using(dify.clock):
        patch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
        yield dify


@pytest.mark.large
@given(
    documents=st.lists(states, min_size=1, max_size=8),
    vectors=st.booleans(),
    trouble=st.sampled_from([None, *TROUBLES]),
    deferrable=st.booleans(),
)
def test_green_means_found(documents: list[State], vectors: bool, trouble: str | None, deferrable: bool) -> None:
    with a_dify() as dify:
        kb = dify.add_dataset("kb", indexing_technique="high_quality" if vectors else "economy")
        kb.add_document("other", text="Something else.")
        pages = [add(kb, number, state) for number, state in enumerate(documents)]
        if trouble:
            dify.faults.add(TROUBLES[trouble]())
        run = run_reindex(kb, pages, deferrable=deferrable, timeout=700)
        dify.settle()
        assert sum(run.report["counts"].values()) == len(pages)
        good = {*run.report["reindexed"], *run.report["unchanged"]}
        assert run.error is not None or good == {page.id for page in pages}
        left = [page for page in pages if page.id in good and not page._row.deleted]
        assert all(page.in_search for page in left if page.enabled and not page.archived)
        assert all(page.indexing_status == "completed" for page in left)
