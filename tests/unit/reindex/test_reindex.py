"""Failed documents are indexed again, and search returns them; otherwise the task is red and says why."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyEndpointError,
    DifyGuardError,
    DifyInputError,
    DifyKnowledgeBaseFailed,
    DifyNotFoundError,
    DifyRateLimitError,
    DifyReindexError,
    DifyReindexFailed,
    DifyServerError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.reindex.options import ReindexOptions
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from tests.unit.conftest import UNKNOWN
from tests.unit.reindex.reindexing import VERSION, changes, failed, run_reindex, sent


@pytest.fixture
def dify(dify_factory: DifyFactory) -> FakeDify:
    return dify_factory(version=VERSION)


@pytest.fixture
def kb(dify: FakeDify) -> Dataset:
    """A knowledge base with four good documents, so that filters may select up to as many failed ones."""
    kb = dify.add_dataset("handbook")
    kb.add_documents(4)
    return kb


class TestGood:
    """What ends green."""

    def test_by_filter(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals", "whales")
        run = run_reindex(kb, filters={"status": "error"})
        assert run.error is None
        assert run.not_empty == {"reindexed": ["whales", "seals"]}
        assert all(page.in_search for page in pages)
        assert sent(dify) == [2]

    def test_by_id(self, dify: FakeDify, kb: Dataset) -> None:
        """Documents that are indexed, or being indexed, are not sent."""
        (page,) = failed(kb, "seals")
        good, off = kb.documents[0], kb.add_document("off", enabled=False)
        slow = kb.add_document("slow", indexing_status="indexing")
        slow.finish_indexing(after=30)
        run = run_reindex(kb, [page, good, slow, off])
        assert run.error is None
        assert run.not_empty == {"reindexed": ["seals", "slow"], "unchanged": [good.name, "off"]}
        assert sent(dify) == [1]
        assert not off.in_search

    def test_nothing_to_do(self, dify: FakeDify, kb: Dataset) -> None:
        run = run_reindex(kb, filters={"status": "error"})
        assert (run.error, run.not_empty, sent(dify)) == (None, {}, [])

    def test_in_batches(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, *(f"page {n}" for n in range(250)))
        run = run_reindex(kb, pages)
        assert run.error is None
        assert len(run.report["reindexed"]) == 250
        assert sent(dify) == [100, 100, 50]

    def test_what_dify_has_disabled(self, dify: FakeDify, kb: Dataset) -> None:
        """Dify disables a document that it cannot bring into search. Its flags and search agree afterwards."""
        (page,) = failed(kb, "seals", enabled=False)
        run = run_reindex(kb, [page])
        assert run.error is None
        assert run.not_empty == {"reindexed": ["seals"]}
        assert (page.enabled, page.in_search) == (True, True)

    def test_what_search_has_lost_is_repaired(self, dify: FakeDify, kb: Dataset) -> None:
        lost = kb.add_document("lost", in_search=True)
        lost.chunks[0].in_index = False
        run = run_reindex(kb, [lost])
        assert run.error is None
        assert (run.not_empty, run.report["repaired"]) == ({"unchanged": ["lost"]}, 1)
        assert lost.in_search

    def test_dry_run(self, dify: FakeDify, kb: Dataset) -> None:
        (page,) = failed(kb, "seals")
        run = run_reindex(kb, [page, kb.documents[0]], dry_run=True)
        assert run.error is None
        assert run.report["dry_run"] is True
        assert run.not_empty == {"unchanged": [kb.documents[0].name], "not_attempted": ["seals"]}
        assert changes(dify) == []

    def test_a_lost_response(self, dify: FakeDify, kb: Dataset) -> None:
        """It is not sent a second time, and the report says that this run did it."""
        pages = failed(kb, "seals", "whales")
        dify.worker.seconds_per_document = 0.0
        dify.faults.add(Fault("status_after", path="/documents/retry$", after=1))
        run = run_reindex(kb, pages)
        assert run.error is None
        assert run.not_empty == {"reindexed": ["seals", "whales"]}
        assert sent(dify) == [2]

    def test_a_failure_that_passes(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals", "whales")
        dify.faults.add(Fault("status", path="/documents/retry$", status=503, times=2, after=1))
        run = run_reindex(kb, pages)
        assert run.error is None
        assert sent(dify) == [2, 2, 2]

    def test_the_hook(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        (page,) = failed(kb, "seals")
        report = hook.reindex_documents(kb.id, [page.id], ReindexOptions(prove_by="segments"))
        assert report.reindexed == (page.id,)
        assert page.in_search

    def test_a_second_run(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals", "whales")
        run_reindex(kb, pages)
        run = run_reindex(kb, pages)
        assert run.error is None
        assert run.not_empty == {"unchanged": ["seals", "whales"]}
        assert sent(dify) == [2]


class TestBad:
    """What ends red, and how."""

    def test_it_fails_again(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals", "whales")
        dify.worker.failing.add(pages[0].id)
        run = run_reindex(kb, pages)
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"reindexed": ["whales"], "failed": ["seals"]}
        assert run.report["errors"] == {pages[0].id: "Failed to process the document in the index."}
        assert "Failed to process the document" in str(run.error)

    def test_missing_and_archived(self, dify: FakeDify, kb: Dataset) -> None:
        """They do not keep the others from being indexed."""
        (page,) = failed(kb, "seals")
        (old,) = failed(kb, "old", archived=True)
        run = run_reindex(kb, [UNKNOWN, page, old])
        assert type(run.error) is DifyReindexFailed
        assert run.not_empty == {"reindexed": ["seals"], "missing": [UNKNOWN], "refused": ["old"]}
        assert run_reindex(kb, [page, old], tolerate=["refused"]).error is None

    def test_one_that_dify_refuses(self, dify: FakeDify, kb: Dataset) -> None:
        """The others of its request are sent without it."""
        pages = failed(kb, "seals", "whales", "crabs")
        body = {"code": "invalid_param", "message": "Something is wrong."}
        dify.faults.add(Fault("status", path="/documents/retry$", status=400, body=body, times=2, after=1))
        run = run_reindex(kb, pages)
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"reindexed": ["whales", "crabs"], "busy": ["seals"]}
        assert "Something is wrong." in run.report["errors"][pages[0].id]
        assert sent(dify) == [3, 1, 1, 1]

    def test_one_that_is_being_retried(self, dify: FakeDify, kb: Dataset) -> None:
        """A job that was killed leaves its lock behind."""
        pages = failed(kb, "seals", "whales", "crabs")
        pages[1].lock_retry()
        run = run_reindex(kb, pages)
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"reindexed": ["seals", "crabs"], "busy": ["whales"]}
        assert "left its lock behind (for at most 600 s)" in run.report["errors"][pages[1].id]
        assert sent(dify) == [3, 1, 1, 1]
        pages[1].lock_retry(0)
        assert run_reindex(kb, pages).error is None

    def test_a_failed_one_that_is_paused(self, dify: FakeDify, kb: Dataset) -> None:
        """No read shows it, only Dify's refusal."""
        (page,) = failed(kb, "seals")
        (paused,) = failed(kb, "paused", paused=True)
        run = run_reindex(kb, [paused, page])
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"reindexed": ["seals"], "failed": ["paused"]}
        assert run.report["errors"][paused.id].endswith("Resume it in Dify.")

    @pytest.mark.parametrize(
        ("change", "outcome", "batches"),
        [
            (lambda page: page.set(archived=True), "refused", [2, 1]),
            (lambda page: page.set(indexing_status="completed", in_search=True), "unchanged", [2, 1]),
            (lambda page: page.dataset.remove(page._row), "missing", [2, 1]),
        ],
        ids=["archived", "indexed", "deleted"],
    )
    def test_what_somebody_changes_meanwhile(
        self, dify: FakeDify, kb: Dataset, change: Any, outcome: str, batches: list[int]
    ) -> None:
        pages = failed(kb, "seals", "whales")
        dify.faults.add(Fault("latency", path="/documents/retry$", seconds=5, after=1))
        dify.world.schedule(1, lambda _: change(pages[0]))
        run = run_reindex(kb, pages)
        assert run.not_empty == {"reindexed": ["whales"], outcome: ["seals"]}
        assert sent(dify) == batches

    def test_a_lock_on_what_dify_has_disabled(self, dify: FakeDify, kb: Dataset) -> None:
        (off,) = failed(kb, "off", enabled=False)
        (page,) = failed(kb, "seals")
        off.lock()
        run = run_reindex(kb, [off, page])
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"reindexed": ["seals"], "busy": ["off"]}
        assert not off.enabled

    def test_no_text(self, dify: FakeDify, kb: Dataset) -> None:
        empty = kb.add_document("empty", text="", indexing_status="error")
        run = run_reindex(kb, [empty])
        assert type(run.error) is DifyReindexFailed
        assert run.not_empty == {"not_searchable": ["empty"]}

    def test_lost_for_good(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals")
        pages[0].finish_indexing(after=0)
        dify.settle()
        pages[0].chunks[0].in_index = False
        dify.worker.fail_removing = "The vector store is down."
        run = run_reindex(kb, pages, timeout=60)
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"lagging": ["seals"]}

    def test_the_worker_is_down(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals")
        dify.worker.stop()
        run = run_reindex(kb, pages, timeout=60)
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"not_indexed": ["seals"]}
        assert run_reindex(kb, pages, stall_timeout=30).not_empty == {"not_indexed": ["seals"]}
        dify.worker.start()
        assert run_reindex(kb, pages).error is None

    def test_requests_fail(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, *(f"page {n}" for n in range(150)))
        dify.faults.add(Fault("status", path="/documents/retry$", status=500, times=None, after=2))
        run = run_reindex(kb, pages)
        assert type(run.error) is DifyServerError
        assert {name: len(ids) for name, ids in run.not_empty.items()} == {"not_indexed": 100, "not_attempted": 50}
        dify.faults.clear()
        before = sent(dify)
        assert run_reindex(kb, pages[:100]).error is None
        assert sent(dify) == before

    def test_the_request_is_the_cause_even_if_dify_goes_down(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals")
        dify.faults.add(Fault("status", path="/documents/retry$", status=429, retry_after=10_000, after=1))
        dify.faults.add(Fault("status", method="GET", status=500, after=2, times=None))
        run = run_reindex(kb, pages)
        assert type(run.error) is DifyRateLimitError
        assert run.not_empty == {"not_attempted": ["seals"]}

    def test_the_key_is_withdrawn(self, dify: FakeDify, kb: Dataset) -> None:
        pages = failed(kb, "seals")
        dify.faults.add(Fault("status", path="/documents/retry$", status=401, after=1))
        run = run_reindex(kb, pages)
        assert type(run.error) is DifyAuthenticationError
        assert run.not_empty == {"not_attempted": ["seals"]}


class TestBefore:
    """What is an error before anything is sent."""

    @pytest.mark.parametrize("version", ["1.17.1", "1.16.0", "1.12.1"])
    def test_older_versions(self, dify_factory: DifyFactory, version: str) -> None:
        """Not even a document that Dify has disabled is enabled."""
        dify = dify_factory(version=version)
        kb = dify.add_dataset("handbook")
        (page,) = failed(kb, "seals", enabled=False)
        run = run_reindex(kb, [page])
        assert isinstance(run.error, DifyInputError)
        assert str(run.error).startswith(f"Dify {version} cannot index failed documents again: releases up to 1.17.1")
        assert "DifyDocumentIngestOperator or DifySyncOperator" in str(run.error)
        assert "host" not in str(run.error)
        assert changes(dify) == []
        assert not page.enabled

    @pytest.mark.parametrize(
        "answer",
        [
            {"status": 404, "body": "<html>Not Found</html>"},
            {"status": 404, "body": {"message": "no Route matched with those values"}},
            {"status": 405, "body": {"code": "method_not_allowed", "message": "Not allowed."}},
        ],
        ids=["a page", "the JSON of a gateway", "another method"],
    )
    def test_whatever_the_version_is(self, dify: FakeDify, kb: Dataset, answer: dict[str, Any]) -> None:
        pages = failed(kb, "seals", enabled=False)
        dify.faults.add(Fault("status", path="/documents/retry$", **answer))
        run = run_reindex(kb, pages)
        assert isinstance(run.error, DifyInputError)
        assert "Nothing was changed." in str(run.error)
        assert changes(dify) == []

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"status": 404, "body": {"code": "not_found", "message": "Dataset not found."}}, DifyNotFoundError),
            ({"status": 401, "body": {"code": "unauthorized", "message": "Invalid."}}, DifyAuthenticationError),
            ({"status": 400, "body": "<html>Bad Request</html>"}, DifyEndpointError),
            ({"status": 503, "times": None}, DifyServerError),
        ],
        ids=["deleted meanwhile", "no access", "a page", "down"],
    )
    def test_an_answer_that_says_nothing(
        self, dify: FakeDify, kb: Dataset, answer: dict[str, Any], error: type[Exception]
    ) -> None:
        dify.faults.add(Fault("status", path="/documents/retry$", **answer))
        run = run_reindex(kb, failed(kb, "seals", enabled=False))
        assert type(run.error) is error
        assert changes(dify) == []

    def test_a_failure_that_passes(self, dify: FakeDify, kb: Dataset) -> None:
        dify.faults.add(Fault("status", path="/documents/retry$", status=503, times=2))
        assert run_reindex(kb, failed(kb, "seals")).error is None

    def test_guards(self, dify: FakeDify, kb: Dataset) -> None:
        failed(kb, "a", "b", "c", "d", "e")
        assert isinstance(run_reindex(kb, filters={"status": "error"}).error, DifyGuardError)
        guarded = run_reindex(kb, filters={"status": "error"}, max_share=None, max_documents=4)
        assert isinstance(guarded.error, DifyGuardError)
        assert changes(dify) == []
        assert run_reindex(kb, filters={"status": "error"}, max_share=0.6).error is None

    def test_no_embedding_model(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("vectors", indexing_technique="high_quality")
        pages = failed(kb, "seals")
        kb.embedding_available = False
        assert isinstance(run_reindex(kb, pages).error, DifyKnowledgeBaseFailed)
        assert sent(dify) == []


class TestDeferred:
    """In the triggerer, it ends as on the worker."""

    def test_good(self, dify: FakeDify, kb: Dataset) -> None:
        dify.worker.seconds_per_document = 60
        pages = [*failed(kb, "seals", "whales"), kb.documents[0]]
        run = run_reindex(kb, pages, deferrable=True)
        assert run.deferred
        assert run.error is None
        assert run.not_empty == {"reindexed": ["seals", "whales"], "unchanged": [kb.documents[0].name]}

    def test_bad(self, dify: FakeDify, kb: Dataset) -> None:
        dify.worker.seconds_per_document = 60
        pages = failed(kb, "seals", "whales")
        dify.worker.failing.add(pages[0].id)
        run = run_reindex(kb, [*pages, UNKNOWN], deferrable=True)
        assert run.deferred
        assert type(run.error) is DifyReindexError
        assert run.not_empty == {"reindexed": ["whales"], "missing": [UNKNOWN], "failed": ["seals"]}
        assert run_reindex(kb, [pages[1]], deferrable=True).deferred is False
