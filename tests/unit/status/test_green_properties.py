"""The promise, as a property: green means that search returns each document that it should, and no other.

Random documents, kinds of knowledge base, disabled chunks, keywords that Dify loses, jobs that fail, and somebody else
who changes documents in the middle. At the end, everything that a green task calls good is checked by a query with the
document's own words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.documents import ActionName
from airflow_provider_dify.knowledge.indexing.report import IndexingReport
from airflow_provider_dify.knowledge.ingest.options import IngestOptions
from airflow_provider_dify.knowledge.ingest.report import IngestReport
from airflow_provider_dify.knowledge.release.options import ReleaseOptions
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.status.report import StatusReport
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.testing import Dataset, Document, FakeDify, VirtualClock
from tests.examples import examples
from tests.unit.status.test_properties import time_of

EXAMPLES = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
ACTIONS: tuple[ActionName, ...] = ("enable", "disable", "archive", "un_archive")
PARENT_CHILD = {
    "mode": "hierarchical",
    "rules": {
        "pre_processing_rules": [],
        "segmentation": {"separator": "\n\n", "max_tokens": 500},
        "parent_mode": "paragraph",
        "subchunk_segmentation": {"separator": "\n", "max_tokens": 200},
    },
}
#: What Dify finds no text in.
NO_TEXT = "\u200b\u200b"


@dataclass(frozen=True)
class State:
    """A document before the task.

    :param lost: Dify calls it available, and search does not return it.
    :param chunk: A person disabled its first chunk.
    """

    enabled: bool = True
    archived: bool = False
    empty: bool = False
    lost: bool = False
    chunk: bool = False
    fails: bool = False

    @property
    def in_use(self) -> bool:
        return self.enabled and not self.archived


@dataclass(frozen=True)
class Meddling:
    """What somebody else does to one of the documents at a time.

    :param at: Seconds from the beginning of the task.
    :param which: Number of the document.
    """

    at: float
    which: int
    enabled: bool
    archived: bool


@dataclass(frozen=True)
class Trouble:
    """What goes wrong.

    :param kind: The knowledge base: ``economy``, ``high_quality``, or ``parent-child``, which is a high-quality one.
    :param lost: The share of keywords that Dify loses when jobs run in parallel.
    """

    kind: str
    lost: float
    seed: int
    meddling: tuple[Meddling, ...]


rarely = st.sampled_from([False] * 5 + [True])
states = st.builds(
    State, enabled=st.booleans(), archived=st.booleans(), empty=rarely, lost=rarely, chunk=rarely, fails=rarely
)
troubles = st.builds(
    Trouble,
    kind=st.sampled_from(["economy"] * 4 + ["high_quality", "parent-child"]),
    lost=st.sampled_from([0.0, 0.15, 0.5, 1.0]),
    seed=st.integers(0, 5),
    meddling=st.lists(
        st.builds(Meddling, st.sampled_from([0.3, 0.6, 1.1, 2.5, 6]), st.integers(0, 13), st.booleans(), st.booleans()),
        max_size=2,
    ).map(tuple),
)


class World:
    """A Dify, a knowledge base with documents, and what goes wrong meanwhile."""

    def __init__(self, dify: FakeDify, documents: list[State], trouble: Trouble) -> None:
        self.dify = dify
        parent_child = trouble.kind == "parent-child"
        self.kb: Dataset = dify.add_dataset(
            "handbook",
            indexing_technique="economy" if trouble.kind == "economy" else "high_quality",
            doc_form="hierarchical_model" if parent_child else None,
            process_rule=PARENT_CHILD if parent_child else None,
        )
        self.documents = [self._add(number, state) for number, state in enumerate(documents)]
        dify.worker.failing.update(d.id for d, state in zip(self.documents, documents, strict=True) if state.fails)
        for one in trouble.meddling:
            if self.documents:
                document = self.documents[one.which % len(self.documents)]
                dify.world.schedule(one.at, partial(meddle, document, one))

    def _add(self, number: int, state: State) -> Document:
        text = "" if state.empty else f"Visitors read zebra{number}x. The rule of page{number}y holds."
        document = self.kb.add_document(
            f"page {number}",
            text=text,
            segments=2,
            enabled=state.enabled,
            archived=state.archived,
            in_search=state.in_use and not state.empty,
        )
        if state.lost and state.in_use and not state.empty:
            lose(document)
        if state.chunk and state.in_use and not state.empty and not state.lost:
            document.disable_chunk(0)
        return document

    def returns(self, document: Document) -> bool:
        """Whether search returns a document for its own words."""
        return document.name in self.dify.search(self.kb, document.text) if document.text.strip() else False

    def run(self, act: Callable[[DifyHook], Any]) -> Any:
        """Run it with the Dify's clock; return what it returns, or its error."""
        with time_of(self.dify):
            hook = DifyHook("dify_default")
            try:
                return act(hook)
            except DifyError as error:
                return error
            finally:
                hook.close()

    def check_in_use(self, ids: Any) -> None:
        """Search returns each of these documents exactly if its flags say so."""
        for document in self.kb.documents:
            if document.id in set(ids):
                assert self.returns(document) is (document.enabled and not document.archived), document


def lose(document: Document, _: float = 0.0) -> None:
    """Let Dify lose the keywords of a document that it calls available."""
    for chunk in document.chunks:
        chunk._segment.in_index = False
    document.dataset.changed()


def meddle(document: Document, one: Meddling, _: float) -> None:
    has_text = bool(document.text.strip())
    document.set(enabled=one.enabled, archived=one.archived, in_search=one.enabled and not one.archived and has_text)


def world_of(documents: list[State], trouble: Trouble) -> FakeDify:
    lost: Any = trouble.lost or "never"
    return FakeDify(clock=VirtualClock(), lost_keywords=lost, seed=trouble.seed, lock_race="never")


@EXAMPLES
@given(documents=st.lists(states, min_size=1, max_size=14), trouble=troubles, action=st.sampled_from(ACTIONS))
def test_change_of_status(documents: list[State], trouble: Trouble, action: ActionName) -> None:
    with world_of(documents, trouble) as dify:
        world = World(dify, documents, trouble)
        ids = [document.id for document in world.documents]
        result = world.run(
            lambda hook: hook.change_document_status(
                world.kb.id,
                ids,
                action,
                StatusOptions(tolerate=("refused", "reverted", "lagging", "not_searchable"), timeout=300),
            )
        )
        report = result if isinstance(result, StatusReport) else result.report
        event(f"green: {isinstance(result, StatusReport)}, repaired: {bool(report.repaired)}")
        if not isinstance(result, StatusReport):
            return
        for document in world.documents:
            if document.id in (*report.changed, *report.unchanged):
                reached = {
                    "enable": document.enabled and not document.archived,
                    "disable": not document.enabled,
                    "archive": document.archived,
                    "un_archive": not document.archived,
                }
                assert reached[action], document
        world.check_in_use((*report.changed, *report.unchanged))


@EXAMPLES
@given(texts=st.lists(st.booleans(), min_size=1, max_size=12), again=st.booleans(), trouble=troubles)
def test_ingestion(texts: list[bool], again: bool, trouble: Trouble) -> None:
    source = [
        {"name": f"page {n}", "text": f"Visitors read zebra{n}x here." if has_text else NO_TEXT}
        for n, has_text in enumerate(texts)
    ]
    with world_of([], trouble) as dify:
        world = World(dify, [], trouble)
        options = IngestOptions(tolerate=("not_searchable", "lagging", "failed"), timeout=300)
        result = world.run(lambda hook: hook.ingest_documents(world.kb.id, source, options))
        if again:
            result = world.run(lambda hook: hook.ingest_documents(world.kb.id, source, options))
        report = result if isinstance(result, IngestReport) else result.report
        event(f"green: {isinstance(result, IngestReport)}, repaired: {bool(report.repaired)}")
        if isinstance(result, IngestReport):
            for document in world.kb.documents:
                if document.id in report.ids():
                    assert world.returns(document), document


@EXAMPLES
@given(
    before=st.lists(st.booleans(), max_size=8),
    after=st.lists(st.booleans(), min_size=1, max_size=8),
    trouble=troubles,
)
def test_sync(tmp_path_factory: Any, before: list[bool], after: list[bool], trouble: Trouble) -> None:
    folder = tmp_path_factory.mktemp("source")

    def write(files: list[bool], version: int) -> None:
        for old in folder.iterdir():
            old.unlink()
        for n, keeps in enumerate(files):
            (folder / f"page{n}.md").write_text(f"Visitors read zebra{n}x{0 if keeps else version}.")

    with world_of([], trouble) as dify:
        world = World(dify, [], trouble)
        options = SyncOptions(max_share=None, timeout=300, tolerate=("lagging", "failed"))
        if before:
            write(before, 1)
            world.run(lambda hook: hook.sync_documents(world.kb.id, folder, options))
        write(after, 2)
        result = world.run(lambda hook: hook.sync_documents(world.kb.id, folder, options))
        event(f"green: {not isinstance(result, DifyError)}")
        if isinstance(result, DifyError):
            return
        good = {e.document_id: e.outcome.value for e in result.entries if e.outcome.good}
        for document in world.kb.documents:
            if document.id in good:
                assert world.returns(document) is (good[document.id] != "retired"), document


@EXAMPLES
@given(
    new=st.lists(states, min_size=1, max_size=6),
    old=st.lists(states, max_size=6),
    trouble=troubles,
    back=st.booleans(),
)
def test_release_and_rollback(new: list[State], old: list[State], trouble: Trouble, back: bool) -> None:
    with world_of([*new, *old], trouble) as dify:
        world = World(dify, [*new, *old], trouble)
        news, olds = world.documents[: len(new)], world.documents[len(new) :]
        chunks = {d.id: [chunk.enabled for chunk in d.chunks] for d in olds}
        result = world.run(
            lambda hook: hook.release_documents(
                world.kb.id, [d.id for d in news], [d.id for d in olds], ReleaseOptions(timeout=300, poll_interval=2)
            )
        )
        event(f"green: {not isinstance(result, DifyError)}")
        if isinstance(result, DifyError):
            return
        assert all(world.returns(document) for document in news)
        assert not any(world.returns(document) for document in olds)
        if back:
            undone = world.run(
                lambda hook: hook.roll_back(result.to_json(), StatusOptions(repair=True, timeout=300, poll_interval=2))
            )
            event(f"rolled back: {not isinstance(undone, DifyError)}")
            if not isinstance(undone, DifyError):
                for document, state in zip(olds, old, strict=True):
                    assert world.returns(document) is state.in_use
                    if state.in_use:
                        assert [chunk.enabled for chunk in document.chunks] == chunks[document.id]


@EXAMPLES
@given(documents=st.lists(states, min_size=1, max_size=8), trouble=troubles)
def test_sensor(documents: list[State], trouble: Trouble) -> None:
    with world_of(documents, trouble) as dify:
        world = World(dify, documents, trouble)
        for document, state in zip(world.documents, documents, strict=True):
            if state.in_use and not state.chunk:
                document.set(indexing_status="indexing", in_search=False)
                document.finish_indexing(after=2)
                if state.lost and not state.empty:
                    dify.world.schedule(2.1, partial(lose, document))
        ids = [document.id for document in world.documents]
        result = world.run(lambda hook: hook.wait_until_indexed(world.kb.id, document_ids=ids, timeout=300))
        event(f"green: {isinstance(result, IndexingReport)}")
        if isinstance(result, IndexingReport):
            # If somebody took a document out of use meanwhile, search may or may not return it.
            assert all(world.returns(d) for d in world.documents if d.enabled and not d.archived)
