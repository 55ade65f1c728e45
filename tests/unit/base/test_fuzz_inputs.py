"""Whatever people put in, only errors of this package are raised, input errors before anything is sent, and all ends.

A small part always runs; ``make test ARGS="-m fuzz"`` tries 20,000 inputs of operators and of the hook, and more.
"""

from __future__ import annotations

import inspect
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from airflow_provider_dify import exceptions
from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifyKilledError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.apps import (
    DifyAnswerCheckOperator,
    DifyChatMessageOperator,
    DifyWorkflowRunOperator,
)
from airflow_provider_dify.operators.bases import DifyKnowledgeBaseOperator
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator, DifyReindexOperator
from airflow_provider_dify.operators.export import DifyExportOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import FakeDify, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.conftest import KEY, TaskInstance

#: Of the many, each part is a test, so that they run on all processors and none looks as if it hangs.
PARTS = 100
FEW, MANY = 150, 20_000 // PARTS
#: With a Dify behind it, each takes ten times as long.
FEW_ANSWERED, MANY_ANSWERED = 25, 2_000 // PARTS

ID, OTHER = "5cd7dc6a-e446-4696-ad00-30036e58194e", "6cd7dc6a-e446-4696-ad00-30036e58194e"
MANIFEST = {"dataset_id": ID, "release": "c | r", "previous": {ID: {"enabled": True, "archived": False}}}

APP = {"dify_conn_id": "dify_default"}
#: Other parameters of an operator.
OPERATORS: dict[Any, dict[str, Any]] = {
    DifyDocumentStatusOperator: {"dataset_id": ID, "document_ids": [ID], "action": "archive"},
    DifyDocumentDeleteOperator: {"dataset_id": ID, "filters": {"name": "*"}},
    DifyReindexOperator: {"dataset_id": ID, "filters": {"status": "error"}},
    DifyListDocumentsOperator: {"dataset_id": ID, "filters": {"status": "archived"}},
    DifyDocumentMetadataOperator: {"dataset_id": ID, "document_ids": [ID], "values": {"team": "a"}},
    DifyDocumentIngestOperator: {"dataset_id": ID, "source": {"name": "a", "text": "About penguins."}},
    DifySyncOperator: {"dataset_id": ID, "source": "folder"},
    DifyRetrievalCheckOperator: {"dataset_id": ID, "queries": [{"query": "penguins", "expect": {"name": "p*"}}]},
    DifyReleaseOperator: {
        "dataset_id": ID, "document_ids": [ID], "replaces": [OTHER], "channel": "c", "release": "r",
    },
    DifyRollbackOperator: {"manifest": MANIFEST},
    DifyExportOperator: {"dataset_id": ID, "target": "exported"},
    DifyKnowledgeBaseOperator: {"dataset_name": "team"},
    DifyWorkflowRunOperator: {"inputs": {"text": "penguins"}, **APP},
    DifyChatMessageOperator: {"query": "penguins", **APP},
    DifyAnswerCheckOperator: {"questions": [{"query": "penguins", "contains": "a"}], **APP},
    DifyDocumentIndexingSensor: {"dataset_id": ID, "document_ids": [ID]},
}  # fmt: skip
#: The arguments that the methods of the hook need, by the name of the parameter.
ARGUMENTS: dict[str, Any] = {
    "dataset_id": ID, "document_id": ID, "document_ids": [ID], "replaces": [OTHER], "action": "archive",
    "values": {"team": "a"}, "values_by_id": {ID: {"team": "a"}}, "names": "team", "name": "team", "field_id": OTHER,
    "filters": {"name": "*"}, "source": "folder", "target": "exported", "query": "penguins", "manifest": MANIFEST,
    "chunk_id": OTHER, "chunk_ids": [OTHER], "chunks": ["About penguins."], "texts": ["About penguins."],
    "child_chunk_id": OTHER, "child_chunk_ids": [OTHER], "content": "About penguins.",
    "tag_id": OTHER, "tag_ids": [OTHER], "user": "airflow", "conversation_id": OTHER, "run_id": OTHER,
    "path": "folder/a.md",
}  # fmt: skip
#: Parameters that have a default, but mean nothing without one of them.
ONE_OF = {
    "delete_documents": "document_ids", "reindex_documents": "document_ids", "wait_until_indexed": "document_ids",
    "update_chunk": "content", "update_dataset": "name", "get_dataset": "dataset_id",
}  # fmt: skip
#: Methods that send nothing of it, or exactly what they are given.
NOT_VERBS = {
    "close", "deadline", "get_conn", "get_connection_form_widgets", "get_ui_field_behaviour", "run", "run_apart",
    "stop", "test_connection",
}  # fmt: skip
#: Parameters with the name of a file or folder.
FILES = ("source", "target", "path", "output_path")


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "kwargs", "args")]


def _arguments(method: Any, name: str) -> dict[str, Any]:
    found = inspect.signature(method).parameters
    needed = [one for one in found if found[one].default is inspect.Parameter.empty and one != "self"]
    return {one: ARGUMENTS[one] for one in [*needed, *filter(None, [ONE_OF.get(name)])]}


#: The same for each method of the hook that sends something of what it is given.
VERBS: dict[str, dict[str, Any]] = {
    name: _arguments(method, name)
    for name, method in inspect.getmembers(DifyHook, inspect.isfunction)
    if method.__module__.startswith("airflow_provider_dify.")
    and not (name.startswith("_") or name in NOT_VERBS)
    and parameters(method)
}


class Shy:
    """Even its repr fails."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def made(value: Any) -> Callable[[], Any]:
    return lambda: value


ODD: tuple[Callable[[], Any], ...] = tuple(
    itertools.chain(
        map(made, (
            None, True, False, "", " ", "None", "null", "{{ x }}", "{% if x %}", "[", "{", "[]", "{}", "[[]]",
            "x" * 70_000,
            "\0", "a\0b", "\ud800", "\n", "1e400", "nan", "5", "0.5", "true", "-1", "0", 0, -1, 1, 5, 10**18,
            10**400, 10**5000,
            0.0, -0.0, 0.5, 1.5, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"), "*", "**", "*b" * 40,
            "%b" * 40 + "c", "[!", "[z-a]", KEY, f"Bearer {KEY}", ID, [ID], (ID,), {ID: ID}, f"['{ID}']",
            "(1,)", "..", "~",
            "s3://[", "file://", "azure://x", "http://x", b"", b"\xff", bytearray(b"x"), Decimal("NaN"), Decimal(1),
            timedelta(days=1), timedelta.max, date.min, date.max, datetime.min,  # noqa: DTZ901
            datetime.max,  # noqa: DTZ901

            datetime(2026, 1, 31, tzinfo=timezone.utc), uuid.UUID(ID), Path("x"), Path(), range(3), set(), {1},
            {1: 2}, {None: 1},
            {"name": "a"}, {"name": ""}, {"name": 5, "text": 7}, {"name": "*b" * 40}, {"keyword": "%b" * 40 + "c"},
            {"max_hits": "5"}, {"metadata": {"a": [1, None]}}, {"created_before": "99999w"},
            {"created_after": date.max},
            {"status": [None]}, {"query": "x", "expect": ID}, [{"query": 5, "expect": {"name": 5,
            "first": "x"}}], {"a": {}},
            {"a": float("nan")}, {"a": 10**400}, {"mode": "custom", "rules": {1, 2}}, {"mode": float("nan")},
            ["missing"],
            "missing,busy", ("invalid",), object, len, Ellipsis, 1j, "previous_release", "utf-16", "detect",
            "rot13", "base64", "idna", "economy", "defer", "none", "enable", "x/../y", "\u202e", "\U0001f600" * 300,
        )),
        (object, Shy, lambda: iter([]), lambda: iter([ID]), lambda: (x for x in (1, 2)), lambda: [Shy()],
        lambda: {"a": Shy()},
         lambda: nested(60), lambda: {"a": nested(60)}, lambda: "[" * 50_000, lambda: "[" * 900 + "]" * 900),
    )
)  # fmt: skip
#: Airflow itself looks into what its operators are given, and breaks on these; its hooks get them as they are.
DEEP: tuple[Callable[[], Any], ...] = (
    lambda: nested(3000),
    lambda: {"a": nested(3000)},
    lambda: {"name": nested(3000)},
)
SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
    | st.dates() | st.datetimes() | st.timedeltas() | st.uuids() | st.decimals()
)  # fmt: skip
KEYS = st.text(max_size=5) | st.sampled_from(
    ["name", "text", "path", "query", "expect", "id", "metadata", "status", "mode", "keyword", "document_ids",
    "previous"]
)  # fmt: skip
VALUE = st.sampled_from(ODD).map(lambda make: make()) | st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)
DEEP_VALUE = VALUE | st.sampled_from(DEEP)


def _is_outside(name: str, value: object) -> bool:
    """Whether this is the root of this machine or the user's home, which are not the place for a test."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    return name in FILES and any(isinstance(one, str) and one.startswith(("/", "~")) for one in items)


@st.composite
def changed(draw: st.DrawFn, kinds: Any, values: st.SearchStrategy[Any], of: Callable[[Any], Any]) -> Any:
    """One of some kinds, and good arguments with one or two of them replaced."""
    kind = draw(st.sampled_from(list(kinds)))
    names = draw(st.lists(st.sampled_from(parameters(of(kind))), min_size=1, max_size=2, unique=True))
    given = {name: draw(values) for name in names}
    assume(not any(_is_outside(name, value) for name, value in given.items()))
    return kind, {**kinds[kind], **given}


few = settings(max_examples=FEW, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=MANY, phases=[Phase.explicit, Phase.generate])
OPERATOR = changed(OPERATORS, VALUE, lambda kind: kind.__init__)
VERB = changed(VERBS, DEEP_VALUE, lambda name: getattr(DifyHook, name))


@pytest.fixture(autouse=True)
def _nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing listen: requests end in a DifyTransportError, and an input error cannot come after that."""
    connection = {"conn_type": "dify", "host": "http://127.0.0.1:1/v1", "password": KEY, "extra": {"max_retries": 0}}
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps(connection))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.md").write_text("About penguins.")


def check_error(error: DifyError) -> None:
    """Check that an error is one of this package, short, and can leave the process."""
    assert type(error).__module__ == exceptions.__name__
    assert len(str(error)) < 3000
    assert KEY not in str(error)
    assert not isinstance(error, DifyInputError) or "cannot be sent" not in str(error)
    json.dumps(error.to_json())


class Impatient(VirtualClock):
    """Kills a task that has waited often: with a timeout of a thousand years, it would go on."""

    waits = 0

    def sleep(self, seconds: float) -> None:
        self.waits += 1
        if self.waits > 50:
            raise DifyKilledError("killed")
        super().sleep(seconds)


def alone(work: Callable[..., None], *drawn: Any) -> None:
    """Work with nobody there. Waits take no time."""
    with using(Impatient()):
        work(*drawn)


class Store(dict[str, Any]):
    """What a task keeps for its later tries."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


def operate(kind: Any, arguments: dict[str, Any]) -> None:
    task, store = TaskInstance(), Store()
    try:
        operator = kind(task_id="task", **arguments)
        if kind is DifyDocumentIndexingSensor:
            operator.poke({"ti": task})
        else:
            operator.execute({"ti": task, "task_state_store": store})
    except DifyError as error:
        check_error(error)
    except AirflowSkipException:
        assert kind is DifyRollbackOperator
    except TaskDeferred as deferred:
        json.dumps(deferred.trigger.serialize()[1])


def call(verb: str, arguments: dict[str, Any]) -> None:
    try:
        # What is so deep cannot even be shown by hypothesis, so it is made only here.
        given = {name: value() if any(value is make for make in DEEP) else value for name, value in arguments.items()}
        found = getattr(DifyHook(), verb)(**given)
        if isinstance(found, Iterator):
            list(found)
    except DifyError as error:
        check_error(error)


@few
@given(drawn=OPERATOR)
def test_any_value_for_an_operator(drawn: Any) -> None:
    alone(operate, *drawn)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(PARTS))
@many
@given(drawn=OPERATOR)
def test_any_value_for_an_operator_many(part: int, drawn: Any) -> None:
    alone(operate, *drawn)


@few
@given(drawn=VERB)
def test_any_value_for_the_hook(drawn: Any) -> None:
    alone(call, *drawn)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(PARTS))
@many
@given(drawn=VERB)
def test_any_value_for_the_hook_many(part: int, drawn: Any) -> None:
    alone(call, *drawn)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_each_odd_value_in_each_place_of_an_operator(kind: Any) -> None:
    for name in parameters(kind.__init__):
        for make in ODD:
            value = make()
            if not _is_outside(name, value):
                alone(operate, kind, {**OPERATORS[kind], name: value})


@pytest.mark.fuzz
@pytest.mark.parametrize("verb", VERBS)
def test_each_odd_value_in_each_place_of_the_hook(verb: str) -> None:
    for name in parameters(getattr(DifyHook, verb)):
        for value in [*(make() for make in ODD), *DEEP]:
            if not _is_outside(name, value):
                alone(call, verb, {**VERBS[verb], name: value})


# --- with a Dify that answers -----------------------------------------------------------------------------------------


def answered(dify: FakeDify, monkeypatch: pytest.MonkeyPatch, kind: Any, arguments: dict[str, Any]) -> None:
    """Let an operator work on two documents of its own; input errors come before anything is changed."""
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
    dify.world.datasets.clear()
    kb = dify.add_dataset("handbook")
    new, old = kb.add_document("penguins", text="About penguins."), kb.add_document("old", text="About walruses.")
    ids = {ID: new.id, OTHER: old.id}
    arguments = {name: _meant(value, ids) for name, value in arguments.items()}
    if arguments.get("dataset_id") == new.id:
        arguments["dataset_id"] = kb.id
    if "manifest" in arguments and isinstance(arguments["manifest"], dict):
        arguments["manifest"] = {**arguments["manifest"], "dataset_id": kb.id}
    before = len(dify.requests)
    try:
        operate(kind, arguments)
    finally:
        sent = dify.requests[before:]
        assert len(sent) < 1000


def _meant(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return ids.get(value, value)
    if type(value) is list:
        return [_meant(one, ids) for one in value]
    if type(value) is dict:
        return {_meant(key, ids): _meant(one, ids) for key, one in value.items()}
    return value


@settings(few, max_examples=FEW_ANSWERED)
@given(drawn=OPERATOR)
def test_any_value_with_answers(dify: FakeDify, monkeypatch: pytest.MonkeyPatch, drawn: Any) -> None:
    answered(dify, monkeypatch, *drawn)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(PARTS))
@settings(many, max_examples=MANY_ANSWERED)
@given(drawn=OPERATOR)
def test_any_value_with_answers_many(dify: FakeDify, monkeypatch: pytest.MonkeyPatch, part: int, drawn: Any) -> None:
    answered(dify, monkeypatch, *drawn)


# --- the connection ---------------------------------------------------------------------------------------------------

JSON_VALUE: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**400, "", " ", "\0", "\ud800", "x" * 70_000, "http://[", "//", "http://:x",
    "dify:99999", "ftp://x",
     "http://u:p@x", KEY, f"Bearer {KEY}", "***", "/etc/passwd", "[1]", "{}", "{", "true", "1e400", [], {},
     [[]], {"a": 1},
     {"http": 5}, {"http": "://"}, {"all": "http://["}, {"X-A": "\n"}, {"": ""}, {"cert": 5}, {"Host": "x"},
     ["a", "b", 5]]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
GOOD = {"host": "http://127.0.0.1:1/v1", "password": KEY}
EXTRAS = ("verify", "timeout", "max_retries", "proxies", "headers", "console_url", "cert", "verify_ssl")
CONNECTION = st.fixed_dictionaries(
    {},
    optional={
        "host": JSON_VALUE, "password": JSON_VALUE, "port": JSON_VALUE, "schema": JSON_VALUE, "login": JSON_VALUE,
        "extra": JSON_VALUE | st.dictionaries(st.sampled_from(EXTRAS), JSON_VALUE, max_size=3),
    },
)  # fmt: skip


def connect(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps({"conn_type": "dify", **GOOD, **fields}))
    try:
        hook = DifyHook()
        assert hook.settings.base_url
    except DifyError as error:
        check_error(error)
    else:
        if hook.settings.base_url.startswith("http://127.0.0.1:1/"):
            worked, text = hook.test_connection()
            assert not worked
            assert KEY not in text


@few
@given(fields=CONNECTION)
def test_any_connection(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    connect(monkeypatch, fields)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(PARTS))
@settings(many, max_examples=MANY // 2)
@given(fields=CONNECTION)
def test_any_connection_many(monkeypatch: pytest.MonkeyPatch, part: int, fields: dict[str, Any]) -> None:
    connect(monkeypatch, fields)
