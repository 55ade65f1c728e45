"""Parameters as templates render them: texts, numbers, nothing; and a knowledge base by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_dify.exceptions import DifyAccessError, DifyError, DifyGuardError, DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.selection.select import Selection
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import TaskInstance, patches
from tests.unit.indexing.polling import document
from tests.unit.selection.listing import operate

#: An id whose first part could be a number, and one that is all digits.
DIGITS = "12345678901234567890123456789012"


@pytest.fixture
def native() -> Iterator[DAG]:
    """A DAG that renders templates as native objects."""
    with DAG("native", schedule=None, render_template_as_native_obj=True) as dag:
        yield dag


def rendered(operator: Any, context: dict[str, Any] | None = None) -> Any:
    """Run an operator as Airflow does: its templates are rendered first."""
    operator.render_template_fields(context or {})
    return operator.execute({"ti": TaskInstance()})


class TestNativeRendering:
    """Texts that look like numbers become numbers, and are taken for the texts that they were."""

    def test_names_and_texts_of_documents(self, native: DAG, kb: Dataset) -> None:
        source = [{"name": "2025", "text": "42"}, {"name": "1.5", "text": "About penguins."}]
        operator = DifyDocumentIngestOperator(
            task_id="t", dataset_id=kb.id, source=source, metadata={"team": "{{ team }}"}, tolerate=("not_searchable",)
        )
        rendered(operator, {"team": "docs"})
        assert {document.name for document in kb.documents} == {"2025", "1.5"}

    @pytest.mark.parametrize("filters", [{"name": "2024"}, {"keyword": "2024"}, {"name": ["2024", "x"]}])
    def test_filters(self, native: DAG, kb: Dataset, filters: Any) -> None:
        page = kb.add_document("2024")
        kb.add_document("other")
        assert rendered(DifyListDocumentsOperator(task_id="t", dataset_id=kb.id, filters=filters)) == [page.id]

    def test_queries(self, native: DAG, kb: Dataset) -> None:
        kb.add_document("2024", text="The report of 2024.")
        queries = [{"query": "2024", "expect": {"name": "2024"}}]
        assert rendered(DifyRetrievalCheckOperator(task_id="t", dataset_id=kb.id, queries=queries))["passed"]

    def test_names_of_a_sync(self, native: DAG, kb: Dataset, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text("About penguins.")
        operator = DifySyncOperator(
            task_id="t", dataset_id=kb.id, source=str(tmp_path), sync_source="2024", name_prefix="7"
        )
        assert rendered(operator)["sync_source"] == "2024"
        assert [document.name for document in kb.documents] == ["7a.md"]

    def test_ids(self) -> None:
        assert inputs.canonical_id(int(DIGITS), "dataset_id") == inputs.canonical_id(DIGITS, "dataset_id")
        assert inputs.canonical_ids(int(DIGITS)) == inputs.canonical_ids([DIGITS])


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
        assert "3 of 4 (75.0%) documents are selected, and max_share allows 0.5 of all." in str(run.error)
        assert "set it to None" in str(run.error)
        assert patches(dify) == []
        assert len(kb.documents) == 4
        assert operate(kind, dataset_id=kb.id, filters={"name": "page[01]"}, **more).error is None
        # Who names them means them, and nobody has to count the others.
        asked = len(dify.requests)
        assert operate(kind, dataset_id=kb.id, document_ids=[page.id for page in pages], **more).error is None
        assert not [one for one in dify.requests[asked:] if one.path.endswith(kb.id)]

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


def tasks(kb: Dataset, folder: Path) -> dict[str, Any]:
    """One task of each kind, of a knowledge base by its name."""
    page, old = kb.add_document("page", text="About penguins."), kb.add_document("old", text="About walruses.")
    named: dict[str, Any] = {"task_id": "t", "dataset_name": kb.name}
    (folder / "new.md").write_text("About seals.")
    return {
        "status": DifyDocumentStatusOperator(document_ids=[page.id], action="archive", **named),
        "delete": DifyDocumentDeleteOperator(document_ids=[old.id], **named),
        "list": DifyListDocumentsOperator(**named),
        "metadata": DifyDocumentMetadataOperator(document_ids=[page.id], values={"team": "a"}, **named),
        "ingest": DifyDocumentIngestOperator(source=str(folder), **named),
        "sync": DifySyncOperator(source=str(folder), **named),
        "check": DifyRetrievalCheckOperator(queries="penguins", expect=page.id, **named),
        "release": DifyReleaseOperator(
            document_ids=[page.id], replaces=[old.id], channel="c", release="r", **named
        ),
    }  # fmt: skip


KINDS = ("status", "delete", "list", "metadata", "ingest", "sync", "check", "release")


class TestName:
    """A knowledge base by its name."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_more_request(self, dify: FakeDify, kb: Dataset, tmp_path: Path, kind: str) -> None:
        for number in range(3):
            dify.add_dataset(f"{kb.name} {number}")
        task = tasks(kb, tmp_path)[kind]
        task.execute({"ti": TaskInstance()})
        lists = [request for request in dify.requests if request.path.endswith("/datasets")]
        assert [request.method for request in lists] == ["GET"]
        assert all(kb.id in request.path for request in dify.requests if request not in lists)

    def test_of_a_sensor(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", text="About penguins.")
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_name=kb.name, document_ids=[page.id])
        assert sensor.poke({"ti": TaskInstance()}).xcom_value == [page.id]  # type: ignore[typeddict-item]

    @pytest.mark.parametrize("name", ["\u00fcbersicht", "u\u0308bersicht", " \u00fcbersicht "])
    def test_in_any_form(self, dify: FakeDify, hook: DifyHook, name: str) -> None:
        found = dify.add_dataset("\u00fcbersicht")
        assert hook.get_dataset(dataset_name=name).id == found.id

    def test_behind_the_first_page(self, dify: FakeDify, hook: DifyHook) -> None:
        first = dify.add_dataset("first")
        for number in range(150):
            dify.add_dataset(f"kb{number}")
        assert hook.get_dataset(dataset_name="first").id == first.id

    def test_a_number(self, native: DAG, dify: FakeDify) -> None:
        kb = dify.add_dataset("2024")
        kb.add_document("page")
        assert len(rendered(DifyListDocumentsOperator(task_id="t", dataset_name="2024"))) == 1

    def test_none_has_it(self, dify: FakeDify, kb: Dataset) -> None:
        dify.add_dataset("prices")
        run = operate(DifyListDocumentsOperator, dataset_name="handbok")
        assert type(run.error) is DifyInputError
        assert str(run.error) == (
            "dataset_name: no knowledge base that the key opens is called 'handbok'. Did you mean 'handbook'? "
            "There are 'prices', 'handbook'."
        )

    def test_several_have_it(self, dify: FakeDify, kb: Dataset) -> None:
        other = dify.add_dataset(kb.name)
        run = operate(DifyListDocumentsOperator, dataset_name=kb.name)
        assert type(run.error) is DifyInputError
        assert f"dataset_name '{kb.name}' is the name of 2 knowledge bases: give one of their ids" in str(run.error)
        assert kb.id in str(run.error)
        assert other.id in str(run.error)

    def test_a_key_that_may_not_list(self, dify: FakeDify, kb: Dataset) -> None:
        dify.faults.add(
            Fault("status", status=403, body={"code": "forbidden", "message": "no", "status": 403}, times=None)
        )
        run = operate(DifyListDocumentsOperator, dataset_name=kb.name)
        assert type(run.error) is DifyAccessError
        assert "give dataset_id instead" in str(run.error)

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({}, "dataset_id is not a UUID: None. It was left out, or an upstream task returned nothing."),
            ({"dataset_name": ""}, "dataset_name must be the name of a knowledge base, not ''. A template rendered to"),
            ({"dataset_name": True}, "dataset_name must be the name of a knowledge base, not True."),
            ({"dataset_name": "\ud800"}, "dataset_name must be the name of a knowledge base, not"),
            ({"dataset_name": "a", "dataset_id": DIGITS}, "Give dataset_id or dataset_name, not both: "),
            # What is wrong besides is said first.
            ({"dataset_name": "handbook", "action": "hide"}, "action must be one of enable"),
            ({"dataset_name": "handbook", "timeout": -1}, "timeout must be a number above 0, not -1."),
        ],
    )
    def test_before_anything_is_sent(self, dify: FakeDify, kb: Dataset, given: dict[str, Any], says: str) -> None:
        run = operate(DifyDocumentStatusOperator, **{"document_ids": [DIGITS], "action": "archive", **given})
        assert type(run.error) is DifyInputError
        assert says in str(run.error)
        assert dify.requests == []

    def test_ids_that_can_be_read_only_once(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page")
        run = operate(DifyDocumentStatusOperator, dataset_name=kb.name, document_ids=iter([page.id]), action="archive")
        assert run.error is None
        assert page.archived

    def test_the_same_when_deferred(self, dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
        """What goes on does not look for the name again: somebody may have changed it."""
        (tmp_path / "new.md").write_text("About seals.")
        sync = DifySyncOperator(task_id="t", dataset_name=kb.name, source=str(tmp_path), deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            sync.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        dify.clock.sleep(60)
        dify.world.datasets[kb.id].name = "another name"
        event = {"status": "success", "document_ids": []}
        kwargs = deferred.value.kwargs or {}
        report = sync.execute_complete({"ti": TaskInstance()}, event, **json.loads(json.dumps(kwargs)))  # type: ignore[typeddict-item]
        assert report["dataset_id"] == kb.id
        assert report["counts"]["created"] == 1

    def test_a_deferred_sensor(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_name=kb.name, document_ids=[page.id], deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            sensor.poke({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        asked = len(dify.requests)
        event = {"status": "success", "document_ids": [page.id]}
        task = TaskInstance()
        kwargs = deferred.value.kwargs or {}
        sensor = DifyDocumentIndexingSensor(task_id="t2", dataset_name=kb.name, document_ids=[page.id], deferrable=True)
        assert sensor.execute_complete({"ti": task}, event, **kwargs) == [page.id]  # type: ignore[typeddict-item]
        assert any(kb.id in str(link) for link in task.xcom.values())
        assert len(dify.requests) == asked


class TestDeferrable:
    """An ingestion takes ``deferrable``, as every other operator."""

    @pytest.mark.parametrize(
        ("given", "where"),
        [
            ({}, "wait"),
            ({"deferrable": True}, "defer"),
            ({"deferrable": False}, "wait"),
            ({"indexing": "defer"}, "defer"),
            ({"indexing": "none", "deferrable": True}, "none"),
            ({"indexing": "wait", "deferrable": True}, "wait"),
        ],
    )
    def test_where_it_waits(self, kb: Dataset, given: dict[str, Any], where: str) -> None:
        assert DifyDocumentIngestOperator(task_id="t", dataset_id=kb.id, source="x", **given).indexing == where

    def test_it_defers(self, kb: Dataset) -> None:
        operator = DifyDocumentIngestOperator(
            task_id="t", dataset_id=kb.id, source={"name": "a", "text": "About seals."}, deferrable=True
        )
        with pytest.raises(TaskDeferred):
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]

    def test_by_the_default_arguments_of_the_dag(self, kb: Dataset) -> None:
        with DAG("d", schedule=None, default_args={"deferrable": True}):
            operator = DifyDocumentIngestOperator(task_id="t", dataset_id=kb.id, source="x")
        assert operator.indexing == "defer"


def error_of(kind: Any, **given: Any) -> DifyError:
    error = operate(kind, **given).error
    assert error is not None
    return error


ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
STATUS = {"dataset_id": ID, "document_ids": [ID], "action": "archive"}
INGEST = {"dataset_id": ID, "source": {"name": "a", "text": "b"}}
CHECK = {"dataset_id": ID, "queries": "x", "expect": ID}
NOTHING = "It was left out, or an upstream task returned nothing."
EMPTY = "A template rendered to nothing, or an upstream task returned an empty text."
UNRENDERED = "A template was not rendered: Airflow renders only templated parameters, once."

#: What is said of a value that shows what has happened to it.
SAID: list[tuple[Any, dict[str, Any], str]] = [
    (DifyDocumentStatusOperator, {**STATUS, "dataset_id": None}, f"dataset_id is not a UUID: None. {NOTHING}"),
    (DifyDocumentStatusOperator, {**STATUS, "dataset_id": "None"}, f"dataset_id is not a UUID: 'None'. {NOTHING}"),
    (DifyDocumentStatusOperator, {**STATUS, "dataset_id": ""}, f"dataset_id is not a UUID: ''. {EMPTY}"),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "dataset_id": "{{ x }}"},
        f"dataset_id is not a UUID: '{{{{ x }}}}'. {UNRENDERED}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": "null"},
        f"document_ids[0] is not a UUID: 'null'. {NOTHING}",
    ),
    (DifyDocumentStatusOperator, {**STATUS, "document_ids": ""}, f"document_ids holds no id: ''. {EMPTY}"),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "action": "None"},
        f"action must be one of enable, disable, archive, un_archive, not 'None'. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "timeout": "None"},
        f"timeout must be a number above 0, not 'None'. {NOTHING}",
    ),
    (DifyDocumentStatusOperator, {**STATUS, "dry_run": None}, f"dry_run must be True or False, not None. {NOTHING}"),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "max_documents": "None"},
        f"max_documents must be a whole number of at least 1, not 'None'. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "tolerate": None},
        f"tolerate must be a list or a string, not None. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": None, "filters": "None"},
        f"filters must be a mapping such as {{'status': 'archived'}}, or a text that holds one, not 'None'. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": None, "filters": {"name": "{{ x }}"}},
        f"filters.name must be a text that is not empty, or a list of such, not '{{{{ x }}}}'. {UNRENDERED}",
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "source": None},
        f"source must be a path, a text with a name, or a list of them, not None. {NOTHING}",
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "source": {"name": "a", "text": None}},
        (
            "source[0] must be {'name': ..., 'text': ...} or {'name': ..., 'path': ...}, with a name that "
            f"is not empty, not {{'name': 'a', 'text': None}}. {NOTHING}"
        ),
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "metadata": "None"},
        f"metadata must map names of metadata fields to values, not 'None'. {NOTHING}",
    ),
    (
        DifySyncOperator,
        {"dataset_id": ID, "source": None},
        f"source must be a folder: a path, an URL, or a path object, not None. {NOTHING}",
    ),
    (
        DifySyncOperator,
        {"dataset_id": ID, "source": ".", "sync_source": ""},
        f"sync_source must be a name, a text that is not empty, not ''. {EMPTY}",
    ),
    (
        DifyRetrievalCheckOperator,
        {**CHECK, "queries": None},
        f"queries must be a list of texts or mappings, not None. {NOTHING}",
    ),
    (
        DifyRetrievalCheckOperator,
        {**CHECK, "queries": [None]},
        f"queries[0] must be a text to search for, not None. {NOTHING}",
    ),
    # near misses
    (
        DifyDocumentStatusOperator,
        {**STATUS, "action": "unarchive"},
        "action must be one of enable, disable, archive, un_archive, not 'unarchive'. Did you mean 'un_archive'?",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "action": "ARCHIVE"},
        "action must be one of enable, disable, archive, un_archive, not 'ARCHIVE'. Did you mean 'archive'?",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "prove_by": "segment"},
        "prove_by must be one of search, segments, not 'segment'. Did you mean 'segments'?",
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "indexing": "deferred"},
        "indexing must be one of wait, defer, none, not 'deferred'. Did you mean 'defer'?",
    ),
    (
        DifyRetrievalCheckOperator,
        {**CHECK, "queries": [{"query": "x", "expects": ID}]},
        (
            "queries[0] has the key 'expects'; it may have query, expect, expect_not, top_k, min_score. Did "
            "you mean 'expect'?"
        ),
    ),
    # names where ids belong
    (
        DifyDocumentStatusOperator,
        {**STATUS, "dataset_id": "Hand book"},
        "dataset_id is not a UUID: 'Hand book'. To find a knowledge base by its name, give dataset_name='Hand book'.",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": ["a b.pdf"]},
        (
            "document_ids[0] is not a UUID: 'a b.pdf'. To find documents by name, give filters={\"name\": "
            "'a b.pdf'}, here or to DifyListDocumentsOperator."
        ),
    ),
]


@pytest.mark.parametrize(
    ("kind", "given", "says"), SAID, ids=lambda value: value[:60] if isinstance(value, str) else ""
)
def test_what_is_said(dify: FakeDify, kind: Any, given: dict[str, Any], says: str) -> None:
    error = error_of(kind, **given)
    assert type(error) is DifyInputError
    assert str(error).startswith(says)
    # The cause is short; what was given, and what there is to choose from, are details.
    assert len(str(error).replace(repr(next(iter(given.values()))), "")) < 320
    assert len(str(error).partition(", not ")[0].partition(". ")[0]) < 200
    assert dify.requests == []


def test_an_unknown_filter_that_is_nearly_one(dify: FakeDify) -> None:
    error = error_of(DifyListDocumentsOperator, dataset_id=ID, filters={"create_before": "1d"})
    assert str(error).endswith("Did you mean 'created_before'?")
    error = error_of(DifyListDocumentsOperator, dataset_id=ID, filters={"colour": "red"})
    assert "Did you mean" not in str(error)


def test_an_unknown_extra_that_is_nearly_one(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"verify_ssl": False, "colour": "red"}
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection(extra))
    with caplog.at_level("WARNING"):
        assert DifyHook().settings.verify is True
    assert (
        "has extras that are not used, as Dify has none such: colour, verify_ssl. Did you mean 'verify'?" in caplog.text
    )


@pytest.mark.parametrize("name", ["source", "exclude"])
def test_a_pattern_longer_than_any_path_is_refused(dify: FakeDify, tmp_path: Path, name: str) -> None:
    """To translate one of so many brackets took minutes."""
    given = {"source": str(tmp_path), name: "[" * 50_000}
    error = error_of(DifyDocumentIngestOperator, dataset_id=ID, **given)
    assert str(error).startswith(f"{name} has 50,000 characters; no path has so many")
    error = error_of(DifyListDocumentsOperator, dataset_id=ID, filters={"name": "[" * 50_000})
    assert str(error).startswith("filters.name has 50,000 characters")
    assert dify.requests == []


def test_a_keyword_of_many_wildcards_takes_no_time() -> None:
    page = Document.read(document(ID, "completed", single=False, name="a" * 200))
    for filters, fits in (
        ({"keyword": "%a" * 60 + "%b"}, False),
        ({"name": "*a" * 60 + "b"}, False),
        ({"keyword": "%a_a%a"}, True),
    ):
        assert Selection.parse(filters, 0.0).may_match(page) is fits
