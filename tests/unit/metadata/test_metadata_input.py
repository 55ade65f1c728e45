"""Invalid metadata."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import UNKNOWN, TaskInstance
from tests.unit.metadata.describing import SEEN, add_field


def row(name: str, says: str, **given: Any) -> Any:
    return pytest.param(given, says, id=name)


class TestBadInput:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            row("nothing to do", "Nothing to change"),
            row("no values", "Nothing to change", values={}),
            row("a list", "values must map names of metadata fields to values, not ['a']", values=["a"]),
            row("a text", "values must map names", values="a=1"),
            row("a rendered list", "values must map names", values='["a"]'),
            row("a truth value", "Dify has no boolean fields: use 1 or 0, or text.", values={"a": True}),
            row("a list as value", "values['a'] must be text, a finite number, or a datetime", values={"a": [1]}),
            row("not a number", "values['a'] must be text, a finite number", values={"a": float("nan")}),
            row("an infinite number", "values['a'] must be", values={"a": float("inf")}),
            row("a NUL", "values['a'] must be text", values={"a": "x\0"}),
            row("half a character", "values['a'] must be text", values={"a": "\ud800"}),
            row("half a character as name", "not the name of a metadata field", values={"\ud800": "x"}),
            row("a number beyond all", "values['a'] must be text, a finite number", values={"a": 10**400}),
            row("no time zone", "Give it a time zone.", values={"a": datetime(2026, 1, 1)}),  # noqa: DTZ001
            row("a built-in field", "values names 'uploader', a built-in field", values={"uploader": "me"}),
            row(
                "no name", "values contains something that is not the name of a metadata field: ' '", values={" ": "x"}
            ),
            row("a truth as name", "not the name of a metadata field: True", values={True: "x"}),
            row("a long name", "a metadata field with 256 characters", values={"n" * 256: "x"}),
            row("set and cleared", "'a' is both in values and in clear", values={"a": 1}, clear="a"),
            row("clear a built-in field", "clear names 'source'", clear=["source"]),
            row("clear a truth", "clear must be a list of names of metadata fields, not True", clear=True),
            row("clear no name", "clear contains something that is not", clear=[None]),
            row("no documents", "document_ids contains no id", values={"a": 1}, document_ids=[]),
            row("no id", "document_ids[0] is not a UUID: 'x'", values={"a": 1}, document_ids=["x"]),
            row("no dataset", "dataset_id is not a UUID: 'kb'", values={"a": 1}, dataset_id="kb"),
            row("batch size", "batch_size must be a whole number of at least 1, not 0", values={"a": 1}, batch_size=0),
            row("timeout", "timeout must be a number above 0, not 0", values={"a": 1}, timeout=0),
            row("an outcome", "tolerate must be one of changed, unchanged, missing", values={"a": 1}, tolerate="gone"),
        ],
    )
    def test_nothing_is_sent(self, dify: FakeDify, given: dict[str, Any], says: str) -> None:
        parameters = {"dataset_id": UNKNOWN, "document_ids": [UNKNOWN], **given}
        operator = DifyDocumentMetadataOperator(task_id="set", **parameters)
        with pytest.raises(DifyInputError) as caught:
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert says in str(caught.value)
        assert dify.requests == []

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({}, "values must map ids of documents to values, not {}"),
            ({"x": {"a": 1}}, "An id of values is not a UUID: 'x'"),
            ({UNKNOWN: {}}, f"values[{UNKNOWN}] must map names of metadata fields to values, not {{}}"),
            ({UNKNOWN: {"a": 1}, UNKNOWN.replace("-", ""): {"a": 2}}, f"values contains document {UNKNOWN} twice"),
            (
                {UNKNOWN: {"a": 1}, UNKNOWN.replace("8", "9"): {"a": "x"}},
                "The values of metadata field 'a' have different types: number and string, 'x'",
            ),
        ],
    )
    def test_values_of_each_document(self, dify: FakeDify, hook: DifyHook, values: Any, says: str) -> None:
        with pytest.raises(DifyInputError) as caught:
            hook.set_metadata_of_documents(UNKNOWN, values)
        assert says in str(caught.value)
        assert dify.requests == []

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("string", 1), ("string", SEEN), ("number", "1"), ("number", SEEN), ("time", "2026-01-31")],
    )
    def test_a_value_that_does_not_go_into_its_field(
        self, dify: FakeDify, kb: Dataset, hook: DifyHook, kind: str, value: Any
    ) -> None:
        add_field(kb, "a", kind)
        with pytest.raises(DifyInputError, match=f"'a' has values of type {kind}") as caught:
            hook.set_document_metadata(kb.id, kb.add_document("page").id, {"a": value, "new": 1})
        assert ("render_template_as_native_obj" in str(caught.value)) is isinstance(value, str)
        assert [request.method for request in dify.requests] == ["POST", "GET"]  # the first one created the field
