"""What proves that search reflects a change, how few requests it takes, and what must not fool it."""

from __future__ import annotations

import pytest

from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.unit.status.proving import a_dify, fill, prove, returned

KINDS = ["economy", "high_quality"]


def lose(documents: list[Document]) -> None:
    """Let the index lose documents as soon as it has them."""
    for document in documents:
        for chunk in document.chunks:
            chunk.in_index = False


def lose_at_once(dify: FakeDify, documents: list[Document]) -> None:
    dify.world.schedule(0.45, lambda _: lose(documents))


def knowledge_base(dify: FakeDify, kind: str) -> Dataset:
    return dify.add_dataset("handbook", indexing_technique=kind)


class TestCost:
    """Requests after the worker is done."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("number", [40, pytest.param(300, marks=pytest.mark.large)])
    @pytest.mark.parametrize("lost", [0, pytest.param(7, marks=pytest.mark.large)])
    def test_entering_search_in_a_small_knowledge_base(self, kind: str, number: int, lost: int) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, kind)
            fill(kb, 400, segments=4, prefix="other")
            documents = fill(kb, number, segments=4, in_use=False)
            lose_at_once(dify, documents[:lost])
            run = prove(dify, "un_archive", documents)
            assert run.error is None
            assert run.report.repaired == run.lost == lost
            assert run.cost < 0.2 * number + 3 * lost
            assert returned(dify, documents)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("number", [20, pytest.param(300, marks=pytest.mark.large)])
    @pytest.mark.parametrize("lost", [0, pytest.param(7, marks=pytest.mark.large)])
    def test_entering_search_in_a_large_knowledge_base(self, kind: str, number: int, lost: int) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, kind)
            fill(kb, 1000, segments=8, prefix="other")
            documents = fill(kb, number, segments=4, in_use=False)
            lose_at_once(dify, documents[:lost])
            run = prove(dify, "un_archive", documents)
            assert run.error is None
            assert run.report.repaired == run.lost == lost
            assert run.cost <= 1.25 * number + 3 * lost
            assert returned(dify, documents)

    @pytest.mark.parametrize("kind", KINDS)
    def test_leaving_search(self, kind: str) -> None:
        with a_dify() as dify:
            documents = fill(knowledge_base(dify, kind), 300, segments=4)
            run = prove(dify, "archive", documents)
            assert run.error is None
            assert run.searches == 0
            assert run.cost <= 1.25 * 300

    @pytest.mark.large
    def test_it_grows_with_the_documents_and_not_with_the_knowledge_base(self) -> None:
        costs = []
        for others in (1000, 4000):
            with a_dify() as dify:
                kb = knowledge_base(dify, "economy")
                fill(kb, others, segments=8, prefix="other")
                costs.append(prove(dify, "un_archive", fill(kb, 20, in_use=False)).cost)
        assert costs[0] == costs[1] <= 25

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_document(self, kind: str) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, kind)
            fill(kb, 1000, segments=8, prefix="other")
            run = prove(dify, "un_archive", fill(kb, 1, in_use=False))
            assert (run.reads, run.searches) == (1, 1)

    def test_child_chunks_count(self) -> None:
        """Of 300 parents with 20 child chunks each, a thousand places hold a sixth."""
        rule = {
            "mode": "hierarchical",
            "rules": {"parent_mode": "paragraph", "subchunk_segmentation": {"separator": "|"}},
        }
        with a_dify() as dify:
            kb = dify.add_dataset(
                "handbook", indexing_technique="high_quality", doc_form="hierarchical_model", process_rule=rule
            )
            documents = [
                kb.add_document(f"page {n}", text="|".join(f"visitors child{n}c{c}x" for c in range(12)), archived=True)
                for n in range(300)
            ]
            for document in documents:
                document._row.rule = kb.rule
            run = prove(dify, "un_archive", documents)
            assert run.error is None
            assert run.cost < 0.2 * 300


class TestLostKeywords:
    @pytest.mark.large
    def test_a_thousand_documents_end_green_and_are_found(self) -> None:
        with a_dify(lost_keywords=0.15) as dify:
            documents = fill(knowledge_base(dify, "economy"), 1000, in_use=False)
            run = prove(dify, "un_archive", documents, timeout=3600)
            assert run.error is None
            assert len(run.report.changed) == 1000
            assert 100 < run.report.repaired == len(run.repairs) / 2 < 200
            assert run.cost < 0.2 * 1000 + 3 * run.lost
            assert returned(dify, documents)

    def test_always_is_red_and_names_the_cause(self) -> None:
        with a_dify(lost_keywords="always") as dify:
            documents = fill(knowledge_base(dify, "economy"), 50, in_use=False)
            run = prove(dify, "un_archive", documents, timeout=3600)
            assert run.error is not None
            assert set(run.report.lagging) == {one.id for one in documents}
            assert "CELERY_WORKER_AMOUNT" in str(run.error)
            assert len(run.repairs) <= 10  # it gives up soon
            assert not any(one.archived for one in documents)

    def test_repairs_name_one_id_once_and_wait_for_each_job(self) -> None:
        with a_dify(lost_keywords=0.5) as dify:
            documents = fill(knowledge_base(dify, "economy"), 40, in_use=False)
            pending: list[int] = []
            change = dify.world.broker.dispatch

            def dispatch(*args: object, **kwargs: object) -> object:
                pending.append(len(dify.worker.pool.jobs))
                return change(*args, **kwargs)  # type: ignore[arg-type]

            dify.world.broker.dispatch = dispatch  # type: ignore[assignment, method-assign]
            dify.worker.seconds_per_job = 0.01
            run = prove(dify, "un_archive", documents, timeout=3600)
            assert run.error is None
            assert run.report.repaired >= 10
            assert pending[-len(run.repairs) :] == [0] * len(run.repairs)
            assert all(len(ids) == 1 for _, ids in run.repairs)
            pairs = list(zip(run.repairs[::2], run.repairs[1::2], strict=True))
            assert all((one[0], other[0]) == ("archive", "un_archive") for one, other in pairs)
            assert all(one[1] == other[1] for one, other in pairs)

    def test_what_this_run_has_not_changed_is_not_repaired(self) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, "economy")
            there, coming = fill(kb, 20, prefix="there"), fill(kb, 20, in_use=False)
            lose(there[:3])
            run = prove(dify, "un_archive", there + coming)
            assert run.report.lagging == tuple(one.id for one in there[:3])
            assert run.repairs == []

    def test_segments_alone_search_nothing(self) -> None:
        with a_dify(lost_keywords=0.15) as dify:
            documents = fill(knowledge_base(dify, "economy"), 100, in_use=False)
            run = prove(dify, "un_archive", documents, prove_by="segments")
            assert run.error is None
            assert (run.searches, run.repairs) == (0, [])
            assert run.cost <= 1.25 * 100


class TestWhatMustNotFoolIt:
    def test_first_chunks_that_a_person_disabled(self) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, "economy")
            document = kb.add_document("book", text=" ".join(f"word{n}x" for n in range(230)), segments=230)
            for number in range(210):
                document.disable_chunk(number)
            run = prove(dify, "enable", [document])
            assert run.error is None
            assert run.report.unchanged == (document.id,)
            assert (run.reads, run.searches) == (3, 1)

    def test_first_chunks_without_keywords(self) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, "economy")
            text = " ".join([*"abcdefghij" * 12, *(f"word{n}x" for n in range(10))])
            document = kb.add_document("table", text=text, segments=130, archived=True)
            run = prove(dify, "un_archive", [document])
            assert run.error is None
            assert (run.reads, run.searches) == (2, 1)

    @pytest.mark.parametrize(("kind", "green"), [("economy", False), ("high_quality", True)])
    def test_a_document_without_keywords(self, kind: str, *, green: bool) -> None:
        with a_dify() as dify:
            document = knowledge_base(dify, kind).add_document("letters", text="a b c", archived=True)
            run = prove(dify, "un_archive", [document])
            assert (run.error is None) is green
            assert run.report.not_searchable == (() if green else (document.id,))

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("others", [0, pytest.param(1000, marks=pytest.mark.large)])
    def test_identical_documents(self, kind: str, others: int) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, kind)
            fill(kb, others, segments=8, prefix="other")
            documents = [kb.add_document(f"copy {n}", text="The same page again.", archived=True) for n in range(1200)]
            run = prove(dify, "un_archive", documents, timeout=3600)
            assert run.error is None
            assert run.repairs == []
            assert run.cost <= (1.25 if others else 0.2) * 1200

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("others", [0, pytest.param(1000, marks=pytest.mark.large)])
    def test_documents_that_differ_in_one_word(self, kind: str, others: int) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, kind)
            fill(kb, others, segments=8, prefix="other")
            documents = [
                kb.add_document(f"row {n}", text=f"Visitors parking canteen holidays case{n}x.", archived=True)
                for n in range(250)
            ]
            lose_at_once(dify, documents[:10])
            run = prove(dify, "un_archive", documents, timeout=3600)
            assert run.error is None
            assert run.report.repaired == 10
            assert run.cost <= (1.25 if others else 0.2) * 250 + 30

    def test_words_that_occur_everywhere(self) -> None:
        """No word distinguishes these documents from the others: each needs its own query."""
        words = [f"common{n}x" for n in range(25)]
        with a_dify() as dify:
            kb = knowledge_base(dify, "economy")
            for n in range(7000):
                kb.add_document(f"other {n}", text=" ".join(words[(n + k * (n % 7 + 1)) % 25] for k in range(10)))
            documents = [
                kb.add_document(f"page {n}", text=" ".join(words[(n + k * 3) % 25] for k in range(10)), archived=True)
                for n in range(50)
            ]
            run = prove(dify, "un_archive", documents)
            assert run.error is None
            assert run.repairs == []
            assert run.cost <= 2.25 * 50

    @pytest.mark.parametrize("ghosts", [60, 400])
    @pytest.mark.parametrize("number", [1, 40])
    def test_what_removed_documents_left_behind(self, ghosts: int, number: int) -> None:
        with a_dify() as dify:
            kb = knowledge_base(dify, "economy")
            fill(kb, 100)
            documents = fill(kb, number, in_use=False)
            for n in range(ghosts):
                ghost = kb.add_document(f"old {n}", text=documents[n % number].text, archived=True)
                for chunk in ghost.chunks:
                    chunk.in_index = True
            run = prove(dify, "un_archive", documents)
            assert run.error is None
            assert run.repairs == []

    def test_leaving_with_chunks_that_a_person_disabled(self) -> None:
        """A worker that does not run has disabled nothing; the first page does not show it."""
        with a_dify() as dify:
            kb = knowledge_base(dify, "economy")
            document = kb.add_document("book", text=" ".join(f"word{n}x" for n in range(230)), segments=230)
            for number in range(210):
                document.disable_chunk(number)
            dify.worker.stop()
            run = prove(dify, "archive", [document], timeout=30)
            assert run.report.lagging == (document.id,)
            dify.worker.start()
            assert prove(dify, "archive", [document]).error is None
            assert not document.in_search
