"""What a user can write wrongly: one table of the operator's errors, raised before it has changed anything."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyDocumentStatusFailed,
    DifyEndpointError,
    DifyError,
    DifyInputError,
    DifyNotFoundError,
    DifyRequestError,
    DifyServerError,
)
from airflow_provider_dify.knowledge.inputs import canonical_ids
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import Change, TaskInstance, patches

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"
NO_UUID = "Take the id from the address of the page in Dify or from the API; it looks like"
ACTIONS = "action must be one of enable, disable, archive, un_archive, not "
OUTCOMES = (
    "tolerate must be one of changed, unchanged, missing, refused, not_ready, busy, reverted, lagging, "
    "not_searchable, not_attempted, "
)


@dataclass(frozen=True)
class Wrong:
    """A mistake, and its error.

    :param name: The mistake.
    :param says: Parts of the text, in order.
    :param given: Parameters of the operator that differ from good ones.
    :param connection: Fields of the connection that differ from good ones.
    :param fault: What Dify, or something in front of it, does to every request.
    :param error: The exact class of the error.
    :param asks: Whether any request is sent to Dify.
    """

    name: str
    says: tuple[str, ...]
    given: dict[str, Any] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    error: type[DifyError] = DifyInputError
    asks: bool = False


def given(name: str, parameter: str, value: object, *says: str) -> Wrong:
    return Wrong(name, says, given={parameter: value})


def extra(name: str, value: object, *says: str) -> Wrong:
    return Wrong(
        f"extra {name}", (f"Extra '{name}' of connection 'dify_default'", *says), connection={"extra": {name: value}}
    )


def password(name: str, value: str, *says: str, error: type[DifyError] = DifyInputError) -> Wrong:
    return Wrong(name, says, connection={"password": value}, error=error, asks=error is not DifyInputError)


def page(status: int, error: type[DifyError], *says: str) -> Wrong:
    return Wrong(f"a page with {status}", says, fault=Fault("page", status=status, times=None), error=error, asks=True)


TABLE = [
    # the action
    given("an unknown action", "action", "delete", f"{ACTIONS}'delete'."),
    given("unarchive", "action", "unarchive", f"{ACTIONS}'unarchive'. Did you mean 'un_archive'?"),
    given("un-archive", "action", "un-archive", f"{ACTIONS}'un-archive'."),
    given("upper case", "action", "ARCHIVE", f"{ACTIONS}'ARCHIVE'."),
    given("a blank at the end", "action", "archive ", f"{ACTIONS}'archive '."),
    given("an empty action", "action", "", f"{ACTIONS}''."),
    given("no action", "action", None, f"{ACTIONS}None."),
    given("a list of actions", "action", ["archive"], f"{ACTIONS}['archive']."),
    given("a path as action", "action", "../../x", f"{ACTIONS}'../../x'."),
    # no documents
    given("no ids", "document_ids", [], "document_ids contains no id: [].", "skip the task"),
    given("no ids in a tuple", "document_ids", (), "document_ids contains no id: ()."),
    given("no ids in an iterator", "document_ids", iter(()), "document_ids contains no id: []."),
    given("an empty string", "document_ids", "", "document_ids contains no id: ''."),
    given("blanks and commas", "document_ids", " , \n", "document_ids contains no id: ' , \\n'."),
    given("an empty list as text", "document_ids", "[]", "document_ids contains no id: '[]'."),
    # something that is not a document
    given("a malformed id", "document_ids", [ID, ID[:-1]], f"document_ids[1] is not a UUID: '{ID[:-1]}'.", NO_UUID),
    given("an id and a letter", "document_ids", [f"{ID}0"], f"document_ids[0] is not a UUID: '{ID}0'."),
    given("dashes elsewhere", "document_ids", ["5-cd7dc6ae4464696ad0030036e58194e"], "document_ids[0] is not a UUID:"),
    given("a URN", "document_ids", [f"urn:uuid:{ID}"], f"document_ids[0] is not a UUID: 'urn:uuid:{ID}'."),
    given("half a brace", "document_ids", [f"{{{ID}"], "document_ids[0] is not a UUID:"),
    given("a name", "document_ids", ["page 1"], "document_ids[0] is not a UUID: 'page 1'."),
    given("a name as text", "document_ids", "report.pdf", "document_ids[0] is not a UUID: 'report.pdf'.",
          "use filters={\"name\": 'report.pdf'}, here or in DifyListDocumentsOperator."),
    given("None as text", "document_ids", "None", "document_ids[0] is not a UUID: 'None'. It is missing, or"),
    given("a path", "document_ids", [f"../{ID}"], f"document_ids[0] is not a UUID: '../{ID}'."),
    given("a path behind", "document_ids", [f"{ID}/../x"], f"document_ids[0] is not a UUID: '{ID}/../x'."),
    given("not rendered", "document_ids", "{{ x }}", "A template was not rendered: Airflow renders only templated"),
    given("None among ids", "document_ids", [ID, None], "document_ids[1] is not a UUID: None."),
    given("an empty id", "document_ids", [ID, ""], "document_ids[1] is not a UUID: ''."),
    given("a number among ids", "document_ids", [5], "document_ids[0] is not a UUID: 5."),
    given("a nested list", "document_ids", [[ID]], f"document_ids[0] is not a UUID: ['{ID}']."),
    given("a nested list as text", "document_ids", f"[['{ID}']]", "document_ids[0] is not a UUID: ['"),
    given("a null in a JSON list", "document_ids", f'["{ID}", null]', "document_ids[1] is not a UUID: None."),
    given("a dict", "document_ids", {ID: True}, f"document_ids must be a list or a string, not {{'{ID}': True}}."),
    given("a number", "document_ids", 5, "document_ids must be a list or a string, not 5."),
    given("nothing", "document_ids", None, "Give document_ids or filters: document_ids is None."),
    given("bytes", "document_ids", ID.encode(), f"document_ids must be a list or a string, not b'{ID}'."),
    given("half a list as text", "document_ids", f"['{ID}'", "document_ids looks like a list, but is not: \"['"),
    given("a list without an end", "document_ids", "[" * 100_000, "document_ids looks like a list, but is not: '[[["),
    given("code as text", "document_ids", "[print()]", "document_ids looks like a list, but is not: '[print()]'."),
    given("no list at all", "document_ids", "[{[]: 1}]", "document_ids looks like a list, but is not: '[{[]: 1}]'."),
    given("a very long text", "document_ids", "x" * 100_000, "document_ids[0] is not a UUID: 'xxx", "…. Take the id"),
    given("the key among ids", "document_ids", [KEY], "document_ids[0] is not a UUID: 'dataset-***'."),
    # the knowledge base
    given("no knowledge base", "dataset_id", None, "dataset_name: dataset_id is None. It is missing, or an"),
    given("an empty dataset id", "dataset_id", "", "dataset_id is not a UUID: ''. A template rendered to nothing, or"),
    given("a name of a knowledge base", "dataset_id", "handbook", "dataset_id is not a UUID: 'handbook'.",
          "by name, use dataset_name='handbook'."),
    given("a path as dataset id", "dataset_id", f"../{ID}", f"dataset_id is not a UUID: '../{ID}'."),
    given("a path behind the dataset id", "dataset_id", f"{ID}/documents", "dataset_id is not a UUID:"),
    given("a number as dataset id", "dataset_id", 7, "dataset_id is not a UUID: 7."),
    given("the key as dataset id", "dataset_id", KEY, "dataset_id is not a UUID: 'dataset-***'.", NO_UUID),
    # how to do it
    given("no batch", "batch_size", 0, "batch_size must be a whole number of at least 1, not 0."),
    given("a negative batch", "batch_size", -100, "batch_size must be a whole number of at least 1, not -100."),
    given("True as batch", "batch_size", True, "batch_size must be a whole number of at least 1, not True."),
    given("text as batch", "batch_size", "ten", "batch_size must be a whole number of at least 1, not 'ten'."),
    given("a fraction as batch", "batch_size", 10.0, "batch_size must be a whole number of at least 1, not 10.0."),
    given("no time", "timeout", 0, "timeout must be a number above 0, not 0."),
    given("not a number", "timeout", float("nan"), "timeout must be a number above 0, not nan."),
    given("time without end", "timeout", float("inf"), "timeout must be a number above 0, not inf."),
    given("negative time", "timeout", -1, "timeout must be a number above 0, not -1."),
    given("text as time", "timeout", "15 min", "timeout must be a number above 0, not '15 min'."),
    given("True as time", "timeout", True, "timeout must be a number above 0, not True."),
    given("no pause", "poll_interval", 0, "poll_interval must be a number above 0, not 0."),
    given("a negative pause", "poll_interval", -5.0, "poll_interval must be a number above 0, not -5.0."),
    given("no pause given", "poll_interval", None, "poll_interval must be a number above 0, not None."),
    given("an unknown outcome", "tolerate", ["missing", "absent"], f"{OUTCOMES}not 'absent'."),
    given("an outcome in upper case", "tolerate", "MISSING", f"{OUTCOMES}not 'MISSING'."),
    given("outcomes in one text", "tolerate", "missing;busy", f"{OUTCOMES}not 'missing;busy'."),
    given("True to tolerate", "tolerate", True, "tolerate must be a list or a string, not True."),
    given("a dict to tolerate", "tolerate", {"missing": True}, "tolerate must be a list or a string, not {'missing'"),
    # the key
    password("an empty key", "", "The password of connection 'dify_default' is empty. Put Dify's Knowledge API key"),
    password("a key with a newline", f"{KEY[:20]}\n{KEY[20:]}", "The password of connection 'dify_default' has charac"),
    password("a key with bullets", "dataset-••••••••", "has characters that no API key has, such as spaces or bullets"),
    password("an app key", "app-Qm7tZk2Xw9Lr4VbN8yHc1JdF", "401 unauthorized", "is an app key ('app-')",
             error=DifyAuthenticationError),
    password("a masked key", "dataset-***JdF", "401 unauthorized", "is a masked key ('***'), as in Dify's list. Create",
             error=DifyAuthenticationError),
    password("an unknown key", KEY, "401 unauthorized", "Put a Knowledge API key of this workspace",
             error=DifyAuthenticationError),
    # the rest of the connection
    extra("timeout", "soon", "must be a number above 0, not 'soon'."),
    extra("verify", "perhaps", "must be true, false, or the path of a CA bundle", "on this machine, not 'perhaps'."),
    extra("max_retries", 1.5, "must be a whole number of at least 0, not 1.5."),
    extra("headers", ["X-Team"], "must be a JSON object with text values."),
    extra("proxies", "http://proxy:3128", "must be a JSON object with text values."),
    extra("console_url", "dify.example.com", "must be a URL such as https://", "not 'dify.example.com'."),
    Wrong("a scheme that is not http", ("The host of connection 'dify_default'", "its scheme is 'ftp', not http"),
          connection={"host": "ftp://dify"}),
    # something other than Dify responds
    page(200, DifyEndpointError, "was answered with 200 and the page '200 Welcome' instead of Dify's JSON.",
         "Check the host of the connection: the base URL of Dify's API usually ends in /v1."),
    page(404, DifyEndpointError, "was answered with 404 and the page '404 Not Found' instead of Dify's JSON.",
         "Check the host of the connection", "needs Dify 1.5.0 or later."),
    page(502, DifyServerError, "was answered with 502 and the page '502 Bad Gateway' instead of Dify's JSON.",
         "Dify or a proxy in front of it is not available."),
    page(413, DifyRequestError, "413 and the page '413 Request Entity Too Large'", "refused it because of its size."),
    Wrong("an empty answer", ("was answered with 200 and an empty body instead of Dify's JSON.", "Check the host"),
          fault=Fault("page", status=200, body="", times=None), error=DifyEndpointError, asks=True),
    Wrong("half of the JSON", ("was answered with 200 and JSON that is cut off", "broke off the answer."),
          fault=Fault("truncated", times=None), error=DifyServerError, asks=True),
    Wrong("JSON of something else",
          ("The answer does not have the form of Dify's API (ValueError: 'id' is not an id but a N", "Check the host"),
          fault=Fault("status", status=200, body={"hello": "world"}, times=None), error=DifyEndpointError, asks=True),
    Wrong("JSON that is no object", ("was answered with 200 and '[]' instead of Dify's JSON.",),
          fault=Fault("status", status=200, body="[]", times=None), error=DifyEndpointError, asks=True),
    # valid but missing
    Wrong("an unknown knowledge base", ('404 not_found, "Dataset not found."', "the key belongs to the same workspace"),
          given={"dataset_id": ID}, error=DifyNotFoundError, asks=True),
    Wrong("an unknown document", ("archive: 3 of 3 documents", f"1 missing ({ID}): not in this knowledge base; check"),
          given={"document_ids": "with an unknown one"}, error=DifyDocumentStatusFailed, asks=True),
]  # fmt: skip


@pytest.fixture
def documents(dify: FakeDify) -> list[Document]:
    handbook = dify.add_dataset("handbook")
    return [handbook.add_document("page"), handbook.add_document("disabled", enabled=False)]


@pytest.mark.parametrize("wrong", [pytest.param(wrong, id=wrong.name) for wrong in TABLE])
def test_what_is_wrong_is_said_before_anything_is_changed(
    dify: FakeDify, documents: list[Document], monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    connection = {"conn_type": "dify", "host": dify.base_url, "password": dify.api_key, **wrong.connection}
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps(connection))
    if wrong.fault:
        dify.faults.add(wrong.fault)
    ids = [document.id for document in documents]
    arguments = {"dataset_id": documents[0].dataset.id, "document_ids": ids, "action": "archive", **wrong.given}
    if arguments["document_ids"] == "with an unknown one":
        arguments["document_ids"] = [*ids, ID]
    operator = DifyDocumentStatusOperator(task_id="change", **arguments)

    with pytest.raises(DifyError) as raised:
        operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]

    text = str(raised.value)
    assert type(raised.value) is wrong.error
    assert_in_order(text, wrong.says)
    assert len(text) < 700
    assert not connection["password"] or connection["password"] not in text
    assert KEY not in text
    assert patches(dify) == []
    assert bool(dify.requests) is wrong.asks
    assert [(document.enabled, document.archived) for document in documents] == [(True, False), (False, False)]


def assert_in_order(text: str, parts: tuple[str, ...]) -> None:
    position = 0
    for part in parts:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} is not in (the rest of) {text!r}"
        position = found + len(part)


def upper(ids: list[str]) -> object:
    return [one.upper() for one in ids]


def generated(ids: list[str]) -> Iterator[str]:
    yield from ids


ACCEPTED: dict[str, Callable[[list[str]], object]] = {
    "a list": list,
    "a tuple": tuple,
    "a generator": generated,
    "an iterator": iter,
    "keys of a dict": lambda ids: dict.fromkeys(ids).keys(),
    "upper case": upper,
    "undashed": lambda ids: [one.replace("-", "") for one in ids],
    "in braces": lambda ids: [f"{{{one}}}" for one in ids],
    "with blanks": lambda ids: [f" {one}\n" for one in ids],
    "UUID objects": lambda ids: [uuid.UUID(one) for one in ids],
    "a JSON list": json.dumps,
    "a JSON list with line breaks": lambda ids: "\n" + json.dumps(ids, indent=2) + "\n",
    "a Python list as Jinja prints it": repr,
    "separated by commas": ",".join,
    "separated by commas and blanks": lambda ids: f" {', '.join(ids)}, ",
    "separated by blanks": " ".join,
    "one a line": lambda ids: "\n".join(ids) + "\n",
    "one a line, from Windows": "\r\n".join,
    "in upper case and braces, as text": lambda ids: " ".join(f"{{{one.upper()}}}" for one in ids),
    "doubles": lambda ids: [*ids, *ids, ids[2]],
    "doubles in other spellings": lambda ids: [*ids, ids[1].upper(), ids[0].replace("-", ""), f"{{{ids[2]}}}"],
}


@pytest.mark.parametrize("spell", [pytest.param(spell, id=name) for name, spell in ACCEPTED.items()])
def test_spellings_that_are_accepted(dify: FakeDify, kb: Dataset, spell: Callable[[list[str]], object]) -> None:
    ids = [document.id for document in kb.add_documents(3)]
    assert canonical_ids(spell(ids)) == tuple(ids)
    report = archive(kb.id, spell(ids))
    assert report["changed"] == ids
    assert sum(report["counts"].values()) == 3
    assert all(document.archived for document in kb.documents)
    assert {one for named in patches(dify) for one in named} == set(ids)


def test_a_set_has_no_order_but_is_accepted(kb: Dataset) -> None:
    ids = {document.id for document in kb.add_documents(3)}
    assert set(archive(kb.id, ids)["changed"]) == ids


@pytest.mark.parametrize("spell", [str.upper, "{{{}}}".format, uuid.UUID, lambda one: f"\t{one} "])
def test_one_document_and_the_spelling_of_the_knowledge_base(kb: Dataset, spell: Callable[[str], Any]) -> None:
    page = kb.add_document("page")
    report = archive(spell(kb.id), spell(page.id))
    assert report["dataset_id"] == kb.id
    assert report["changed"] == [page.id]


@pytest.mark.parametrize("tolerate", ["missing", ["missing"], ("missing", "busy"), {"missing"}, iter(["missing"])])
def test_spellings_of_what_is_tolerated(change: Change, kb: Dataset, tolerate: object) -> None:
    run = change("archive", [ID, kb.add_document("page")], kb=kb, tolerate=tolerate)
    assert run.green
    assert run.not_empty == {"missing": [ID], "changed": ["page"]}


def archive(dataset_id: Any, document_ids: Any) -> dict[str, Any]:
    operator = DifyDocumentStatusOperator(
        task_id="change", dataset_id=dataset_id, document_ids=document_ids, action="archive"
    )
    return operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
