"""A status change of documents that filters select."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_dify.exceptions import DifyDocumentStatusFailed, DifyGuardError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.status.ledger import Handover
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.status.report import StatusReport
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import UNKNOWN, TaskInstance, patches
from tests.unit.selection.listing import HOUR, NOW, operate


class TestStatus:
    """A status change of documents that filters select."""

    @pytest.fixture
    def kb(self, dify: FakeDify) -> Dataset:
        """Ten documents, four of them archived, all of them a day old."""
        kb = dify.add_dataset("handbook")
        for n in range(10):
            kb.add_document(f"page-{n}", archived=n < 4, created_at=NOW - 24 * HOUR + n)
        return kb

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_of_what_is_selected(self, dify: FakeDify, kb: Dataset, deferrable: bool) -> None:
        filters = {"status": "available", "created_before": "1h"}
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id, filters=filters, action="archive", deferrable=deferrable, max_share=None,
        )  # fmt: skip
        newest_first = [document.id for document in reversed(kb.documents)]
        assert run.error is None
        assert run.returned == run.report
        assert run.report["changed"] == newest_first[:6]
        assert "dry_run" not in run.report
        assert all(document.archived for document in kb.documents)
        again = operate(DifyDocumentStatusOperator, dataset_id=kb.id, filters=filters, action="archive")
        assert sum(again.report["counts"].values()) == 0  # a retry selects what is left

    def test_the_selection_is_frozen_when_the_task_defers(self, dify: FakeDify, kb: Dataset) -> None:
        kb.documents[9].lock()
        kb.documents[2].set(archived=False, enabled=False)
        operator = DifyDocumentStatusOperator(
            task_id="task",
            dataset_id=kb.id,
            filters={"status": "available"},
            action="archive",
            deferrable=True,
            max_share=None,
        )
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        _, arguments = deferred.value.trigger.serialize()
        ids = [document.id for document in reversed(kb.documents[4:])]
        assert list(Handover.from_json(arguments["state"]["documents"]).document_ids) == ids
        assert "filters" not in json.dumps(arguments)
        # A document that is deleted after it was selected is no longer selected.
        report = StatusReport(kb.id, "archive", changed=tuple(ids[1:]), missing=(ids[0],))
        event = {"report": report.to_json(), "names": {}, "error": None, "started": 0.0}
        operator.execute_complete({"ti": TaskInstance()}, event)  # type: ignore[typeddict-item]

    def test_nothing_is_selected(self, dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        run = operate(DifyDocumentStatusOperator, dataset_id=kb.id, filters={"name": "x*"}, action="archive")
        assert run.error is None
        assert sum(run.report["counts"].values()) == 0
        assert patches(dify) == []
        assert "Selected 0 of 10 documents by name 'x*'." in said.text
        assert "There is nothing to archive; nothing was changed." in said.text
        assert "Result of archive: no documents." in said.text

    @pytest.mark.parametrize(
        ("guard", "says"),
        [
            ({"max_documents": 5}, "6 of 10 documents are selected, and max_documents allows 5. Nothing was changed."),
            ({"max_share": 0.59}, "6 of 10 documents (60%) are selected, and max_share allows 59%."),
            ({"max_documents": 6, "max_share": 0.6}, ""),
            ({"max_documents": None, "max_share": 1}, ""),
        ],
    )
    @pytest.mark.parametrize("by", ["filters", "ids"])
    def test_guards(self, dify: FakeDify, kb: Dataset, guard: dict[str, Any], says: str, by: str) -> None:
        ids = [document.id for document in reversed(kb.documents[4:])]
        chosen = {"filters": {"archived": False}} if by == "filters" else {"document_ids": ids}
        run = operate(DifyDocumentStatusOperator, dataset_id=kb.id, action="archive", **chosen, **guard)
        assert (run.error is None) is (says == "")
        if says:
            without_total = says.replace(" of 10", "") if by == "ids" and "max_documents" in says else says
            assert without_total in str(run.error)
            assert type(run.error) is DifyGuardError
            assert isinstance(run.error, AirflowFailException)  # a retry cannot fix it
            assert patches(dify) == []
            assert run.report["not_attempted"] == ids

    def test_a_guard_counts_the_whole_knowledge_base(self, dify: FakeDify, kb: Dataset) -> None:
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id,
            action="disable",
            filters={"status": "archived"},
            max_share=0.4,
        )
        assert run.report["counts"]["changed"] == 4

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_what_is_tolerated_is_told_without_advice(
        self, kb: Dataset, said: pytest.LogCaptureFixture, deferrable: bool
    ) -> None:
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id, document_ids=[kb.documents[9].id, UNKNOWN], action="archive", tolerate="missing",
            deferrable=deferrable,
        )  # fmt: skip
        assert run.error is None
        table = said.records[-2]
        assert table.levelname == "INFO"
        assert table.getMessage().splitlines()[-1].split() == ["missing", "(tolerated)", UNKNOWN]
        assert "check the ids" not in said.text

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_dry_run(self, dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture, deferrable: bool) -> None:
        kb.documents[5].lock()
        run = operate(
            DifyDocumentStatusOperator,
            dataset_id=kb.id, filters={"name": "*"}, action="archive", dry_run=True, deferrable=deferrable,
            max_share=None,
        )  # fmt: skip
        assert run.error is None
        assert run.report["counts"]["not_attempted"] == 6
        assert run.report["counts"]["unchanged"] == 4
        assert run.report["dry_run"] is True
        assert patches(dify) == []
        assert "Dry run: would archive the documents selected by name '*' in batches of 100" in said.text
        assert "It would archive 'page-9', 'page-8', 'page-7' and 3 more." in said.text
        assert "Result of archive (a dry run: nothing was changed): 4 unchanged, 6 not_attempted." in said.text
        assert "run ended before" not in said.text

    def test_a_dry_run_fails_where_the_change_would(self, dify: FakeDify, kb: Dataset) -> None:
        run = operate(
            DifyDocumentStatusOperator, dataset_id=kb.id, filters={"archived": True}, action="enable", dry_run=True
        )
        assert isinstance(run.error, DifyDocumentStatusFailed)
        assert "not_attempted" not in str(run.error)
        assert patches(dify) == []

    def test_the_hook_does_the_same(self, dify: FakeDify, kb: Dataset) -> None:
        report = DifyHook().change_document_status(
            kb.id,
            None,
            "archive",
            StatusOptions(dry_run=True),
            filters={"name": "page-[45]"},
            max_documents=2,
            max_share=0.2,
        )
        assert [kb.documents[5].id, kb.documents[4].id] == list(report.not_attempted)
        assert type(report).from_json(report.to_json()) == report
        report = DifyHook().change_document_status(kb.id, None, "archive", filters={"name": "page-[45]"})
        assert report.counts["changed"] == 2
