"""Guards: limits that may be templates, and the default share for filters."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyGuardError, DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator, DifyReindexOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.base.rendering import rendered
from tests.unit.conftest import patches
from tests.unit.selection.listing import operate

GUARDS: dict[str, tuple[dict[str, Any], bool]] = {
    "few enough": ({"max_documents": "2"}, True),
    "too many": ({"max_documents": "1"}, False),
    "a share": ({"max_share": "0.7"}, True),
    "too large a share": ({"max_share": "0.2"}, False),
    "a time": ({"timeout": "900"}, True),
    "not dry": ({"dry_run": "false"}, True),
    "tolerated": ({"tolerate": "missing, busy"}, True),
    "tolerated as JSON": ({"tolerate": '["missing"]'}, True),
    "tolerated as Python prints it": ({"tolerate": "('missing',)"}, True),
}


class TestGuards:
    """Guards may be templates."""

    @pytest.mark.parametrize("name", GUARDS)
    def test_texts_are_understood(self, dify: FakeDify, kb: Dataset, name: str) -> None:
        given, passes = GUARDS[name]
        pages = [kb.add_document(f"page{number}") for number in range(4)]
        given = {"max_share": "1", **dict.fromkeys(given, "{{ value }}")}
        value = next(iter(GUARDS[name][0].values()))
        operator = DifyDocumentStatusOperator(
            task_id="t", dataset_id=kb.id, filters={"name": "page[01]"}, action="archive", **given
        )
        if passes:
            assert len(rendered(operator, {"value": value})["changed"]) == 2
        else:
            with pytest.raises(DifyGuardError):
                rendered(operator, {"value": value})
            assert not any(page.archived for page in pages)

    def test_a_dry_run(self, dify: FakeDify, kb: Dataset) -> None:
        kb.add_document("page")
        guards: dict[str, Any] = {"max_share": None, "dry_run": "{{ dry }}"}
        operator = DifyDocumentDeleteOperator(task_id="t", dataset_id=kb.id, filters={"name": "*"}, **guards)
        assert rendered(operator, {"dry": True})["dry_run"] is True
        assert len(kb.documents) == 1

    @pytest.mark.parametrize(
        ("kind", "templated"),
        [
            (DifyDocumentStatusOperator, {"_dry_run", "max_documents", "max_share", "tolerate", "timeout"}),
            (DifyDocumentDeleteOperator, {"_dry_run", "max_documents", "max_share", "timeout"}),
            (DifyReindexOperator, {"_dry_run", "max_documents", "max_share", "tolerate", "timeout"}),
            (DifySyncOperator, {"_dry_run", "max_documents", "max_share", "tolerate", "timeout"}),
            (DifyReleaseOperator, {"_dry_run", "max_documents", "max_share", "tolerate", "timeout"}),
            (DifyRollbackOperator, {"tolerate", "timeout"}),
            (DifyDocumentIngestOperator, {"tolerate", "timeout"}),
            (DifyDocumentMetadataOperator, {"tolerate", "timeout"}),
            (DifyListDocumentsOperator, {"max_documents"}),
            (DifyRetrievalCheckOperator, {"timeout"}),
        ],
    )
    def test_each_is_a_templated_field(self, kind: Any, templated: set[str]) -> None:
        assert templated <= set(kind.template_fields)

    @pytest.mark.parametrize("value", ["None", "", "{{ x }}", "perhaps", "0x5", "1_0"])
    @pytest.mark.parametrize("guard", ["max_documents", "max_share", "timeout", "dry_run"])
    def test_what_says_nothing_lifts_nothing(self, dify: FakeDify, kb: Dataset, guard: str, value: str) -> None:
        run = operate(DifyDocumentDeleteOperator, **{"dataset_id": kb.id, "filters": {"name": "*"}, guard: value})
        assert type(run.error) is DifyInputError
        assert guard in str(run.error)
        assert dify.requests == []

    @pytest.mark.parametrize("kind", [DifyDocumentStatusOperator, DifyDocumentDeleteOperator])
    def test_filters_touch_at_most_one_half(self, dify: FakeDify, kb: Dataset, kind: Any) -> None:
        pages = [kb.add_document(f"page{number}") for number in range(4)]
        more = {"action": "archive"} if kind is DifyDocumentStatusOperator else {}
        run = operate(kind, dataset_id=kb.id, filters={"name": "page[012]"}, **more)
        assert type(run.error) is DifyGuardError
        assert "3 of 4 documents (75%) are selected, and max_share allows 50%." in str(run.error)
        assert "set it to None" in str(run.error)
        assert patches(dify) == []
        assert len(kb.documents) == 4
        assert operate(kind, dataset_id=kb.id, filters={"name": "page[01]"}, **more).error is None
        # Ids are listed deliberately, so nobody has to count the others: the one read is for the name in the log.
        asked = len(dify.requests)
        assert operate(kind, dataset_id=kb.id, document_ids=[page.id for page in pages], **more).error is None
        assert len([one for one in dify.requests[asked:] if one.path.endswith(kb.id)]) == 1

    def test_none_lifts_it(self, kb: Dataset) -> None:
        kb.add_document("page")
        run = operate(DifyDocumentDeleteOperator, dataset_id=kb.id, filters={"name": "*"}, max_share=None)
        assert run.error is None
        assert not kb.documents

    def test_the_hook_has_the_same(self, kb: Dataset, hook: DifyHook) -> None:
        kb.add_document("page")
        with pytest.raises(DifyGuardError):
            hook.delete_documents(kb.id, filters={"name": "*"})
        with pytest.raises(DifyGuardError):
            hook.change_document_status(kb.id, None, "archive", filters={"name": "*"})
        assert hook.delete_documents(kb.id, filters={"name": "*"}, max_share=None).deleted
