"""Search: the hook's search, and the retrieval check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyInputError,
    DifyNotFoundError,
    DifyRequestError,
    DifyRetrievalCheckFailed,
    DifyServerError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Request, Response
from airflow_provider_dify.knowledge.retrieval.check import RetrievalCheck
from airflow_provider_dify.knowledge.retrieval.expectations import ranked
from airflow_provider_dify.knowledge.retrieval.report import RetrievalReport
from airflow_provider_dify.knowledge.retrieval.search import Hit, retrieve
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import UNKNOWN, TaskInstance

OTHER = "11111111-0000-4000-8000-000000000000"
NOW = Deadline(0.0, lambda: 0.0)
KEYWORDS = {"search_method": "keyword_search", "reranking_enable": False, "score_threshold_enabled": False}
T = TypeVar("T")


@pytest.fixture
def zebra(kb: Dataset) -> Document:
    return kb.add_document("zebra.md", text="The zebra lives in the savanna", metadata={"stage": "live", "version": 7})


def checked(kb: Dataset, queries: Any, **given: Any) -> dict[str, Any]:
    """Run a check; return its report, which is in XCom too."""
    task = TaskInstance()
    operator = DifyRetrievalCheckOperator(task_id="check", dataset_id=kb.id, queries=queries, **given)
    try:
        returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyRetrievalCheckFailed as error:
        returned = error.result.to_json()
    report: dict[str, Any] = json.loads(json.dumps(task.xcom["report"]))
    assert report == returned
    return report


def asked(dify: FakeDify) -> list[str]:
    return [request.json["query"] for request in dify.requests if request.path.endswith("/retrieve")]


def driven(flow: Flow[T], replies: Iterable[dict[str, Any]]) -> tuple[T, list[Request]]:
    """Run a flow against written responses; return what it returns and what it sent."""
    left = iter(replies)
    sent: list[Request] = []
    answer: Response | None = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as stop:
            assert next(left, None) is None
            return stop.value, sent
        answer = None
        if isinstance(step, Request):
            sent.append(step)
            answer = Response(200, {}, json.dumps(next(left)).encode())


def record(document_id: str, score: float = 0.0, name: str = "page", **metadata: Any) -> dict[str, Any]:
    document = {"id": document_id, "name": name, "doc_metadata": metadata or None}
    segment = {"id": f"segment of {name}", "document_id": document_id, "content": "text", "document": document}
    return {"segment": segment, "score": score}


VECTORS = {
    "indexing_technique": "high_quality",
    "retrieval_model_dict": {
        "search_method": "hybrid_search", "reranking_enable": True, "reranking_mode": "weighted_score",
        "weights": {"weight_type": "customized"}, "top_k": 2, "score_threshold_enabled": False, "score_threshold": None,
    },
}  # fmt: skip


class TestRetrieve:
    @pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
    def test_hits(self, dify: FakeDify, kb: Dataset, zebra: Document, hook: DifyHook, version: str) -> None:
        dify.world.version = version
        kb.add_document("lion.md", text="The lion sleeps")
        (hit,) = hook.retrieve(kb.id, "zebra savanna")
        assert (hit.document_id, hit.document_name, hit.score) == (zebra.id, "zebra.md", 0.0)
        assert (hit.content, hit.metadata) == ("The zebra lives in the savanna", {"stage": "live", "version": 7})
        assert hit.segment_id
        assert dify.requests[-1].json["retrieval_model"] == {**KEYWORDS, "top_k": 5}

    def test_no_hit(self, kb: Dataset, zebra: Document, hook: DifyHook) -> None:
        assert hook.retrieve(kb.id, "xylophone") == ()

    def test_no_documents(self, dify: FakeDify, hook: DifyHook) -> None:
        assert hook.retrieve(dify.add_dataset("empty").id, "zebra") == ()

    def test_an_unknown_dataset(self, dify: FakeDify, hook: DifyHook) -> None:
        with pytest.raises(DifyNotFoundError):
            hook.retrieve(UNKNOWN, "zebra")

    def test_failures_are_retried(self, dify: FakeDify, kb: Dataset, zebra: Document, hook: DifyHook) -> None:
        dify.faults.add(Fault("status"), Fault("reset_after", path="/retrieve$"), Fault("page", path="/retrieve$"))
        assert len(hook.retrieve(kb.id, "zebra")) == 1

    def test_hits_of_vectors(self, dify: FakeDify, hook: DifyHook) -> None:
        vectors = dify.add_dataset("vectors", indexing_technique="high_quality")
        document = vectors.add_document("zebra", text="The zebra lives in the savanna")
        assert [hit.document_id for hit in hook.retrieve(vectors.id, "zebra", top_k=3)] == [document.id]
        model = dify.requests[-1].json["retrieval_model"]
        assert (model["search_method"], model["top_k"]) == ("semantic_search", 3)

    def test_with_vectors_as_the_knowledge_base_has_it(self) -> None:
        _, sent = driven(retrieve(UNKNOWN, "zebra", top_k=3), [VECTORS, {"records": []}])
        assert sent[1].json == {"query": "zebra", "retrieval_model": {**VECTORS["retrieval_model_dict"], "top_k": 3}}  # type: ignore[dict-item]

    def test_with_vectors_and_what_is_given(self) -> None:
        flow = retrieve(UNKNOWN, "zebra", search_method="semantic_search", score_threshold=0.4)
        _, sent = driven(flow, [VECTORS, {"records": []}])
        model = Fields(sent[1].json).object("retrieval_model").values
        assert (model["search_method"], model["score_threshold_enabled"], model["score_threshold"]) == (
            "semantic_search", True, 0.4
        )  # fmt: skip
        assert model["reranking_mode"] == "weighted_score"

    def test_vectors_without_settings(self) -> None:
        bare = {"indexing_technique": "high_quality", "retrieval_model_dict": None}
        _, sent = driven(retrieve(UNKNOWN, "zebra"), [bare, {"records": []}])
        assert Fields(sent[1].json).get("retrieval_model") == {
            **KEYWORDS,
            "search_method": "semantic_search",
            "top_k": 5,
        }

    def test_a_long_text_is_shortened(self) -> None:
        long = record(UNKNOWN)
        long["segment"]["content"] = "word\n" * 1000
        (hit,), _ = driven(retrieve(UNKNOWN, "zebra"), [VECTORS, {"records": [long]}])
        assert len(hit.content) == 201
        assert hit.content.startswith("word word")

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"dataset_id": "kb"}, "dataset_id is not a UUID: 'kb'"),
            ({"query": " "}, "query must be text to search for, not ' '"),
            ({"query": "x" * 251}, "query has 251 characters"),
            ({"top_k": 0}, "top_k must be a whole number of at least 1, not 0"),
            ({"top_k": 101}, "top_k must be at most 100, not 101"),
            ({"search_method": "magic"}, "search_method must be one of keyword_search, semantic_search, full_text"),
            ({"score_threshold": 2}, "score_threshold must be a number from 0 to 1, not 2"),
        ],
    )
    def test_bad_input(self, dify: FakeDify, hook: DifyHook, given: dict[str, Any], says: str) -> None:
        with pytest.raises(DifyInputError) as caught:
            hook.retrieve(**{"dataset_id": UNKNOWN, "query": "zebra", **given})
        assert says in str(caught.value)
        assert dify.requests == []

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"search_method": "semantic_search"}, "search_method must be keyword_search or missing"),
            ({"score_threshold": 0.5}, "Dify gives every hit the score 0"),
        ],
    )
    def test_what_an_economy_knowledge_base_has_not(
        self, kb: Dataset, hook: DifyHook, given: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(DifyInputError) as caught:
            hook.retrieve(kb.id, "zebra", **given)
        assert says in str(caught.value)


class TestCheck:
    @pytest.mark.parametrize(
        "expect",
        [
            lambda page: page.id,
            lambda page: page.id.upper(),
            lambda page: [page.id],
            lambda page: json.dumps([page.id]),
            lambda page: {"id": page.id},
            lambda page: {"name": "zebra*"},
            lambda page: {"name": "zebra.md", "metadata": {"stage": "live", "version": 7}, "first": 1},
            lambda page: {"metadata": {"version": "7"}},
            lambda page: [{"name": "z*"}, {"name": "*.md"}],
        ],
    )
    @pytest.mark.parametrize("level", ["query", "operator"])
    def test_passed(self, kb: Dataset, zebra: Document, expect: Any, level: str) -> None:
        wanted = expect(zebra)
        if level == "query":
            report = checked(kb, [{"query": "zebra", "expect": wanted}])
        else:
            report = checked(kb, "zebra", expect=wanted)
        assert report["passed"]
        assert report["counts"] == {"passed": 1, "failed": 0}
        assert report["failed_documents"] == []
        (query,) = report["queries"]
        assert (query["query"], query["passed"], query["verdict"]) == ("zebra", True, "passed")
        assert query["found"][0]["document_id"] == zebra.id
        assert query["documents"] == [
            {
                "document_id": zebra.id, "document_name": "zebra.md", "rank": 1, "score": 0.0,
                "segment_id": query["documents"][0]["segment_id"],
            }
        ]  # fmt: skip

    def test_missing(self, kb: Dataset, zebra: Document) -> None:
        report = checked(kb, [{"query": "zebra", "expect": [UNKNOWN, {"name": "lion*"}, zebra.id]}])
        assert report["failed_documents"] == report["missing_documents"] == [UNKNOWN]
        (query,) = report["queries"]
        assert query["verdict"] == "missing"
        assert query["missing"] == [
            {"expected": UNKNOWN, "document_id": UNKNOWN, "why": "not the 1 document found"},
            {"expected": "name like 'lion*'", "document_id": None, "why": "not the 1 document found"},
        ]
        assert [one["expected"] for one in query["found"]] == [zebra.id]

    def test_unwanted(self, kb: Dataset, zebra: Document) -> None:
        draft = kb.add_document("draft", text="zebra", metadata={"stage": "draft"})
        report = checked(
            kb, [{"query": "zebra", "expect_not": {"metadata": {"stage": "draft"}}}, "savanna"], expect=zebra.id
        )
        assert report["failed_documents"] == report["unwanted_documents"] == [draft.id]
        assert report["counts"] == {"passed": 1, "failed": 1}
        assert [query["verdict"] for query in report["queries"]] == ["unwanted", "passed"]
        assert [one["document_id"] for one in report["queries"][0]["unwanted"]] == [draft.id]

    def test_unwanted_only_in_front(self, kb: Dataset, zebra: Document) -> None:
        kb.add_document("second", text="zebra")
        query = {"query": "zebra savanna", "expect_not": {"name": "second", "first": 1}}
        assert checked(kb, [query])["passed"]

    def test_a_query_may_go_without_the_default(self, kb: Dataset, zebra: Document) -> None:
        query = {"query": "zebra", "expect": None, "expect_not": {"name": "lion*"}}
        assert checked(kb, [query], expect=UNKNOWN)["passed"]

    def test_the_rank_of_a_document_is_that_of_its_first_segment(self, kb: Dataset) -> None:
        hits = [Hit(i, i, 1.0, f"s{n}", "") for n, i in enumerate(["a", "a", "b", "a", "c", "b"])]
        assert [(find.rank, find.hit.segment_id) for find in ranked(hits)] == [(1, "s0"), (2, "s2"), (3, "s4")]

    def test_not_far_enough_in_front(self) -> None:
        records = [record(OTHER), record(OTHER), record(UNKNOWN)]
        report = flowed({"query": "q", "expect": {"id": UNKNOWN, "first": 1}}, records)
        assert report["queries"][0]["missing"][0]["why"] == "it is number 2"
        assert flowed({"query": "q", "expect": {"id": UNKNOWN, "first": 2}}, records)["passed"]

    def test_not_good_enough(self) -> None:
        records = [record(OTHER, 0.9), record(UNKNOWN, 0.25)]
        report = flowed({"query": "q", "expect": UNKNOWN, "min_score": 0.5}, records)
        assert report["queries"][0]["missing"][0]["why"] == "its score is 0.25, below 0.5"
        assert len(report["queries"][0]["documents"]) == 2
        assert flowed({"query": "q", "expect": OTHER, "expect_not": UNKNOWN, "min_score": 0.5}, records)["passed"]

    def test_top_k_of_a_query(self, dify: FakeDify, kb: Dataset) -> None:
        kb.add_documents(10)
        query = {"query": "fox", "expect": {"name": "document-*"}, "top_k": 7}
        assert [len(one["documents"]) for one in checked(kb, [query, "dog"], expect={"name": "*"})["queries"]] == [7, 5]

    def test_it_waits_until_search_follows(self, dify: FakeDify, kb: Dataset, zebra: Document) -> None:
        zebra.set(in_search=False)
        kb.world.schedule(30, lambda at: zebra.set(in_search=True))
        kb.add_document("lion", text="lion")
        queries = [{"query": "zebra", "expect": zebra.id}, {"query": "lion", "expect": {"name": "lion"}}]
        assert not checked(kb, queries)["passed"]
        assert dify.clock.slept == []
        assert checked(kb, queries, timeout=60)["passed"]
        assert 30 <= sum(dify.clock.slept) <= 41
        assert asked(dify)[2:].count("lion") == 2  # in the first round, and once more when zebra passes

    def test_it_gives_up_at_the_timeout(self, dify: FakeDify, kb: Dataset, zebra: Document) -> None:
        assert not checked(kb, "zebra", expect=UNKNOWN, timeout=45)["passed"]
        assert sum(dify.clock.slept) == pytest.approx(45)

    def test_a_failure_on_the_way_is_retried_also_without_a_timeout(
        self, dify: FakeDify, kb: Dataset, zebra: Document
    ) -> None:
        dify.faults.add(Fault("status", path="/retrieve$", times=2))
        assert checked(kb, "zebra", expect=zebra.id)["passed"]

    @pytest.mark.parametrize("on_failure", ["fail", "report"])
    def test_dify_cannot_be_asked(self, dify: FakeDify, kb: Dataset, zebra: Document, on_failure: str) -> None:
        dify.faults.add(Fault("status", path="/retrieve$", after=1, times=None))
        task = TaskInstance()
        operator = DifyRetrievalCheckOperator(
            task_id="check", dataset_id=kb.id, queries=["zebra", "savanna"], expect=zebra.id, on_failure=on_failure
        )
        with pytest.raises(DifyServerError) as caught:
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert isinstance(caught.value.report, RetrievalReport)
        assert [query["verdict"] for query in task.xcom["report"]["queries"]] == ["passed", "not asked"]
        assert task.xcom["report"]["failed_documents"] == []

    def test_dify_refuses(self, dify: FakeDify, kb: Dataset, zebra: Document) -> None:
        body = {"code": "invalid_param", "message": "Could not connect to Weaviate", "status": 400}
        dify.faults.add(Fault("status", path="/retrieve$", status=400, body=body))
        with pytest.raises(DifyRequestError, match="Could not connect to Weaviate"):
            checked(kb, "zebra", expect=zebra.id)

    def test_an_economy_knowledge_base_says_so_before_the_first_query(self, dify: FakeDify, kb: Dataset) -> None:
        with pytest.raises(DifyInputError, match="score 0"):
            checked(kb, ["zebra", {"query": "lion", "min_score": 0.3}], expect=UNKNOWN)
        assert asked(dify) == []


def flowed(query: dict[str, Any], records: list[dict[str, Any]]) -> dict[str, Any]:
    report, _ = driven(RetrievalCheck(UNKNOWN, [query]).flow(NOW), [VECTORS, {"records": records}])
    return report.to_json()


class TestOperator:
    def test_it_fails_with_a_short_text(self, kb: Dataset, zebra: Document) -> None:
        queries = [{"query": f"zebra number {n}", "expect": UNKNOWN} for n in range(200)]
        operator = DifyRetrievalCheckOperator(task_id="check", dataset_id=kb.id, queries=queries)
        with pytest.raises(DifyRetrievalCheckFailed) as caught:
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        text = str(caught.value)
        assert "200 of 200 queries" in text
        assert f"'zebra number 0' (missing: {UNKNOWN}, not the 1 document" in text
        assert "and 197 more" in text
        assert len(text) < 900
        assert caught.value.retryable

    def test_it_reports_where_that_is_asked_for(self, kb: Dataset, zebra: Document) -> None:
        operator = DifyRetrievalCheckOperator(
            task_id="check", dataset_id=kb.id, queries="zebra", expect=UNKNOWN, on_failure="report"
        )
        returned = operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert (returned["passed"], returned["failed_documents"]) == (False, [UNKNOWN])

    def test_a_kill(self, dify: FakeDify, kb: Dataset, zebra: Document) -> None:
        task = TaskInstance()
        operator = DifyRetrievalCheckOperator(
            task_id="check", dataset_id=kb.id, queries="zebra", expect=UNKNOWN, timeout=3600
        )
        kb.world.schedule(20, lambda at: operator.on_kill())
        with pytest.raises(DifyError, match="killed"):
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert task.xcom["report"]["queries"][0]["verdict"] == "missing"
        operator.on_kill()  # nothing runs any more

    def test_it_is_templated(self) -> None:
        assert set(DifyRetrievalCheckOperator.template_fields) == {
            "dify_conn_id", "dataset_id", "dataset_name", "queries", "expect", "search_method", "timeout"
        }  # fmt: skip

    def test_the_table(self) -> None:
        queries = [
            {"query": "what is a zebra?", "expect": [{"name": "z*"}, UNKNOWN], "expect_not": {"name": "draft*"}},
            {"query": "lions", "expect": OTHER},
        ]
        check = RetrievalCheck(UNKNOWN, queries)
        records = [record(OTHER, 0.75, "zebra.md"), record(OTHER.replace("1", "2"), 0.5, "draft of a zebra")]
        report, _ = driven(check.flow(NOW), [VECTORS, {"records": records}, {"records": records}])
        lines = report.table()
        assert [re.split(r"\s{2,}", line) for line in lines if not line.startswith("--")] == [
            ["verdict", "query", "expected", "found"],
            ["missing and unwanted", "what is a zebra?", "name like 'z*'", "number 1, score 0.75: 'zebra.md'"],
            ["", UNKNOWN, "not among the 2 documents found"],
            ["", "not name like 'draft*'", "number 2, score 0.5: 'draft of a zebra'"],
            ["passed", "lions", OTHER, "number 1, score 0.75: 'zebra.md'"],
        ]
        assert {line.index(what) for line, what in zip(lines[2:], ("num", "not am", "num", "num"), strict=True)} == {78}

    def test_an_economy_knowledge_base_has_no_scores(self) -> None:
        check = RetrievalCheck(UNKNOWN, [{"query": "lions", "expect": OTHER}])
        report, _ = driven(
            check.flow(NOW), [{"indexing_technique": "economy"}, {"records": [record(OTHER, name="lion.md")]}]
        )
        assert report.table()[-1].endswith("  number 1: 'lion.md'")

    def test_a_table_of_many(self) -> None:
        check = RetrievalCheck(UNKNOWN, [{"query": f"q{n}", "expect": UNKNOWN} for n in range(80)])
        table = check.report().table()
        assert table[-1] == "and 30 more queries, see the report"
        assert len(table) == 53
