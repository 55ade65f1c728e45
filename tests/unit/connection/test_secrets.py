"""Nothing that this provider says or leaves behind contains the key or another secret of a connection."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from airflow_provider_dify import exceptions
from airflow_provider_dify.exceptions import DifyError, DifyReleaseError, DifyReportError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.export.options import ExportOptions
from airflow_provider_dify.knowledge.ingest.options import FolderOptions, IngestOptions
from airflow_provider_dify.knowledge.release.options import ReleaseOptions
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.operators.apps import DifyAnswerCheckOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.sources import FileSource
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault, Input, Partial
from tests.unit.conftest import READS_ODD_EXTRAS, UNKNOWN, TaskInstance

#: The part of the key that must never be seen, even alone.
SECRET = "Qm7tZk2Xw9Lr4VbN8yHc1JdF"
KEY = f"dataset-{SECRET}"
TOKEN = "team-token-5f2c9a"
PROXY_PASSWORD = "proxy-password-81b3"
SECRETS = (SECRET, TOKEN, PROXY_PASSWORD)


@dataclass
class Stage:
    """Where the scenarios run: a Dify, what a scenario may do with it, and everything that is said on the way."""

    dify: FakeDify
    monkeypatch: pytest.MonkeyPatch
    kb: Dataset
    page: Document
    said: list[str] = field(default_factory=list)
    raised: set[type[BaseException]] = field(default_factory=set)
    scenarios: int = 0
    app_keys: list[str] = field(default_factory=list)

    def connect(self, **fields: Any) -> DifyHook:
        extra = {"headers": {"X-Token": TOKEN}, "proxies": {"https": f"http://me:{PROXY_PASSWORD}@proxy:3128"}}
        connection = {"conn_type": "dify", "host": self.dify.base_url, "password": KEY, "extra": extra, **fields}
        self.monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps(connection))
        return DifyHook()

    def say(self, *shown: object) -> None:
        for one in shown:
            self.said += [str(one), repr(one)]

    def play(self, act: Callable[[], object]) -> None:
        """Let something happen, and collect what it returns or raises."""
        self.scenarios += 1
        try:
            self.say(act())
        except DifyError as error:
            self.raised.add(type(error))
            self.say(error, error.args, vars(error), error.report)
            self.said += traceback.format_exception(type(error), error, error.__traceback__)
        self.dify.faults.clear()

    def operate(self, *, rendered: bool = True, **given: Any) -> object:
        """Run the operator, and collect what Airflow would store and show of it."""
        arguments = {"dataset_id": self.kb.id, "document_ids": [self.page.id], "action": "archive", **given}
        operator = DifyDocumentStatusOperator(task_id="change", **arguments)
        task = TaskInstance()
        try:
            operator.render_template_fields({})
            return operator.execute({"ti": task})  # type: ignore[typeddict-item]
        finally:
            self.say(operator, task.xcom, json.dumps(task.xcom))
            if rendered:
                self.say(*(getattr(operator, name) for name in operator.template_fields))

    def ask(self, **fields: Any) -> object:
        """Read with the hook, and collect what it shows of itself."""
        with self.connect(**fields) as hook:
            try:
                return hook.get_dataset(self.kb.id)
            finally:
                self.say(hook, hook.retries)

    def test(self, **fields: Any) -> object:
        return self.connect(**fields).test_connection()

    def fault(self, kind: Any, **settings: Any) -> None:
        self.dify.faults.add(Fault(kind, **{"times": None, **settings}))


def went_well(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    yield stage.operate
    yield lambda: stage.operate(action="un_archive")
    yield stage.ask
    yield stage.test
    yield lambda: DifyHook("no_such").settings
    yield lambda: [hook, hook.settings, hook.get_conn(), hook.server_version, hook.retries, hook.deadline(5)]
    yield lambda: list(hook.list_datasets()) + list(hook.list_documents(stage.kb.id))
    yield lambda: hook.change_document_status(stage.kb.id, [stage.page.id], "disable")
    yield lambda: hook.get_document(stage.kb.id, stage.page.id)
    hook.close()


def dify_fails(stage: Stage) -> Iterator[Callable[[], object]]:
    page = f"<title>Sent: Authorization: Bearer {KEY}, X-Token: {TOKEN}</title>"
    for status in (400, 401, 403, 404, 413, 415, 429, 500, 502):
        stage.fault("echo_key", status=status)
        yield stage.operate
        stage.fault("echo_key", status=status)
        yield stage.test
        stage.fault("status", status=status, body={"code": KEY, "message": f"{TOKEN} {PROXY_PASSWORD}"})
        yield stage.ask
    for status in (200, 302, 400, 404, 413, 429, 502):
        stage.fault("page", status=status, body=page, headers={"X-Trace-Id": TOKEN, "Retry-After": KEY})
        yield stage.ask
        stage.fault("page", status=status, body=page)
        yield stage.test
    stage.fault("redirect", body=f"https://other.example.com/?key={KEY}&token={TOKEN}")
    yield stage.ask
    for kind in ("plan_limit", "truncated", "reset_before", "reset_after", "redirect"):
        stage.fault(kind)
        yield stage.operate
    stage.fault("reset_after", method="PATCH")
    yield stage.operate
    stage.dify.version = KEY
    yield stage.test
    yield lambda: stage.connect().server_version
    stage.fault("truncated")
    yield stage.ask
    stage.dify.version = "1.14.1"
    stage.fault("echo_key", method="PATCH", status=500)
    yield stage.operate
    stage.fault("hang")
    yield lambda: stage.ask(extra={"timeout": 0.1, "max_retries": 0})


def documents_are_in_the_way(stage: Stage) -> Iterator[Callable[[], object]]:
    stage.connect()
    yield lambda: stage.operate(document_ids=[stage.page.id, UNKNOWN])
    yield lambda: stage.operate(dataset_id=UNKNOWN)
    stage.page.set(archived=True, in_search=False)
    yield lambda: stage.operate(action="enable")
    locked = stage.kb.add_document("locked")
    locked.lock(600)
    yield lambda: stage.operate(document_ids=[locked.id], timeout=30)
    yield lambda: stage.connect().run(api.change_status(stage.kb.id, Action.ARCHIVE, [locked.id]))
    stage.dify.enable_api(stage.kb, False)
    yield stage.operate
    stage.dify.enable_api(stage.kb, True)


def connection_is_wrong(stage: Stage) -> Iterator[Callable[[], object]]:
    dead = "http://127.0.0.1:9"
    wrong: list[dict[str, Any]] = [
        {"password": f"Bearer {KEY}"},
        {"password": f"{KEY}\n{SECRET}"},
        {"password": f"{KEY}•"},
        {"password": f"app-{SECRET}"},
        {"password": f"{SECRET}"},
        {"password": f"dataset-***{SECRET}"},
        {"password": "", "host": f"https://{KEY}@dify"},
        {"host": dead},
        {"host": f"https://me:{KEY}@dify"},
        {"host": f"https://dify:{KEY}/v1"},
        {"host": f"https://dify/v1?key={KEY}"},
        {"host": f"https://dify/v1#{KEY}"},
        {"host": f"{KEY}://dify"},
        {"host": f"https://[{KEY}"},
        {"host": f"https://dify {KEY}"},
        {"host": KEY},
        {"host": f"{dead}/{KEY}"},
        {"host": dead, "schema": KEY},
        {"host": "https://dify", "schema": f"v1?{KEY}"},
        {"password": "", "host": f"https://dify:{KEY}/v1"},
        {"password": SECRET, "host": f"https://dify:{SECRET}/v1"},
        {"password": SECRET, "extra": {"verify": SECRET}},
        {"extra": {"proxies": {"http": f"http://me:{PROXY_PASSWORD}@127.0.0.1:9"}}},
        {"extra": {"proxies": {"http": f"me:{PROXY_PASSWORD}@127.0.0.1:9"}}},
        {"extra": {"proxies": {"http": f"http://me:{PROXY_PASSWORD}@127.0.0.1:port"}}},
        {"extra": {"proxies": {"http": f"http://me:{PROXY_PASSWORD}@pro xy:3128"}}},
        {"extra": {"proxies": {"http": f"http://me:{PROXY_PASSWORD}@"}}},
        {"extra": {"proxies": {"http": f"gopher://me:{PROXY_PASSWORD}@127.0.0.1:9"}}},
        {"extra": {"proxies": f"http://me:{PROXY_PASSWORD}@proxy"}},
        {"extra": {"headers": {"X-Token": f"{TOKEN}\nX-More: {TOKEN}"}}},
        {"extra": {"headers": {"X Token": TOKEN}}},
        {"extra": {"headers": {"X-Token": [TOKEN]}}},
        {"extra": {"headers": f"X-Token: {TOKEN}"}},
        {"extra": {"headers": {"Authorization": f"Bearer {KEY}"}}},
        {"extra": {"timeout": KEY}},
        {"extra": {"verify": KEY}},
        {"extra": {"max_retries": [KEY]}},
        {"extra": {"console_url": KEY}},
        *([{"extra": [KEY, TOKEN]}] if READS_ODD_EXTRAS else []),
        {"extra": {"api_key": KEY, "token": TOKEN}},
        {"extra": {KEY: "key"}},
    ]
    for fields in wrong:
        yield lambda fields=fields: stage.ask(**fields)  # type: ignore[misc]
        yield lambda fields=fields: stage.test(**fields)  # type: ignore[misc]
        stage.connect(**fields)
        yield stage.operate


def values_and_searches(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    document_id = stage.page.id
    yield lambda: hook.set_document_metadata(stage.kb.id, document_id, {"stage": KEY})
    yield lambda: hook.set_document_metadata(stage.kb.id, UNKNOWN, {"stage": KEY})
    yield lambda: hook.set_document_metadata(stage.kb.id, document_id, {"stage": [KEY]})  # type: ignore[dict-item]
    yield lambda: hook.set_document_metadata(stage.kb.id, document_id, {"created_by": 1, "uploader": KEY})
    refused = {"code": "invalid_param", "message": "Another document metadata operation is running, please wait"}
    stage.fault("status", status=400, body=refused, path="documents/metadata$")
    yield lambda: hook.set_document_metadata(stage.kb.id, document_id, {"stage": TOKEN}, timeout=30)
    for queries in ([{"query": "fox", "expect": UNKNOWN}], [{"query": "fox", "expect": KEY}], [{"query": KEY}], KEY):
        check = DifyRetrievalCheckOperator(task_id="check", dataset_id=stage.kb.id, queries=queries)
        yield lambda check=check: check.execute({"ti": TaskInstance()})  # type: ignore[misc]


def documents_are_selected_and_deleted(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    for filters in (KEY, {KEY: 1}, {"status": KEY}, {"name": KEY}, {"created_before": KEY}, {"metadata": {KEY: True}},
                    {"metadata": {KEY: KEY}}, {"enabled": KEY}, {"max_hits": KEY}):  # fmt: skip
        yield lambda filters=filters: stage.operate(document_ids=None, filters=filters, rendered=False)  # type: ignore[misc]
    yield lambda: stage.operate(document_ids=None, filters={"name": "*"}, max_share=1e-9)
    yield lambda: stage.operate(document_ids=KEY, filters=KEY, rendered=False)
    locked = stage.kb.add_document("locked", archived=True)
    locked.lock()
    yield lambda: hook.delete_documents(stage.kb.id, [locked.id], timeout=10)
    stage.fault("echo_key", method="DELETE", status=400)
    yield lambda: hook.delete_documents(stage.kb.id, filters={"name": "page"}, timeout=10)
    yield lambda: hook.delete_documents(stage.kb.id, [KEY])
    yield lambda: hook.reindex_documents(stage.kb.id, [stage.page.id])
    body = {"data": [], "total": 500, "page": KEY}
    stage.fault("status", path="documents$", status=200, body=body, times=None)
    yield lambda: list(hook.list_documents(stage.kb.id))


def documents_are_indexed_again(stage: Stage) -> Iterator[Callable[[], object]]:
    with FakeDify(clock=stage.dify.clock, version="1.18.0") as newer:
        newer.add_key(key=KEY)
        kb = newer.add_dataset("handbook")
        page = kb.add_document("page", indexing_status="error")
        hook = stage.connect(host=newer.base_url)
        yield lambda: hook.reindex_documents(kb.id, filters={KEY: KEY})
        yield lambda: hook.reindex_documents(kb.id, [UNKNOWN])
        newer.worker.failing.add(page.id)
        yield lambda: hook.reindex_documents(kb.id, [page.id])
        newer.faults.add(Fault("echo_key", method="POST", status=400))
        yield lambda: hook.reindex_documents(kb.id, [page.id])
        newer.faults.add(Fault("echo_key", method="POST", status=400, times=None, after=1))
        yield lambda: hook.reindex_documents(kb.id, [page.id])


def documents_are_made(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    text = {"name": "page", "text": f"Text with {TOKEN}"}
    yield lambda: hook.ingest_documents(stage.kb.id, text)
    yield lambda: hook.ingest_documents(stage.kb.id, [text, {"name": "", "text": KEY}])
    yield lambda: hook.ingest_documents(stage.kb.id, [{"name": "blank", "text": " "}])
    yield lambda: hook.ingest_documents(stage.kb.id, text, IngestOptions(if_exists=KEY))
    yield lambda: hook.ingest_documents(stage.kb.id, f"/nowhere/{KEY[:8]}/*.md")
    yield lambda: hook.ingest_documents(stage.kb.id, {"name": "new", "text": "x"}, IngestOptions(timeout=0.01))
    yield lambda: FileSource(Path("/nowhere/at all.md")).digest()
    stage.fault("echo_key", path="create-by-text", status=400)
    yield lambda: hook.ingest_documents(stage.kb.id, {"name": "other", "text": "x"})
    stage.fault("echo_key", path="create-by-text", status=401)
    yield lambda: hook.ingest_documents(stage.kb.id, {"name": "another", "text": "x"})
    for code in ("provider_not_initialize", "dataset_not_initialized"):
        body = {"code": code, "message": f"{KEY} {TOKEN}"}
        stage.fault("status", path="create-by-text", status=400, body=body)
        yield lambda: hook.ingest_documents(stage.kb.id, {"name": "third", "text": "x"})
    yield lambda: hook.ingest_documents(stage.kb.id, text, IngestOptions(doc_form="qa_model"))
    hierarchical = stage.dify.add_dataset("parents")
    hierarchical.doc_form = "hierarchical_model"
    yield lambda: hook.ingest_documents(hierarchical.id, text, IngestOptions(process_rule={"mode": KEY}))


def versions_are_released(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    new, old = stage.kb.add_document("new", enabled=False), stage.kb.add_document("old")

    def release(**given: Any) -> object:
        how = {name: given.pop(name) for name in ("queries", "retire") if name in given}
        given = {"replaces": old.id, "channel": KEY, **given}
        return hook.release_documents(stage.kb.id, new.id, options=ReleaseOptions(**how), **given)

    yield lambda: release(queries=[{"query": "fox", "expect": {"name": "nothing"}}])
    for given in (
        {"replaces": UNKNOWN},
        {"replaces": KEY},
        {"retire": KEY},
        {"release": f"{KEY} " * 9},
        {"queries": KEY},
    ):
        yield lambda given=given: release(**given)  # type: ignore[misc]
    yield lambda: hook.roll_back(release().to_json())  # type: ignore[attr-defined]
    stage.fault("echo_key", method="DELETE", status=500)
    yield lambda: release(retire="delete")
    manifest = {"dataset_id": stage.kb.id, "release": KEY, "previous": {UNKNOWN: {"enabled": True, "archived": False}}}
    yield lambda: hook.roll_back(manifest)
    yield lambda: hook.roll_back({**manifest, "previous": KEY})
    old.lock()
    yield lambda: hook.roll_back(
        {**manifest, "previous": {old.id: {"enabled": True, "archived": False}}}, StatusOptions(timeout=10)
    )
    hook.get_conn().stop()
    yield lambda: hook.get_dataset(stage.kb.id)


def a_folder_is_synced(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    folder = Path(__file__).parents[3]
    for given in (
        {"reading": {"include": "README.md"}, "options": {"timeout": 0.01}},
        {"reading": {"include": ["README.md", "Makefile"]}},
        {"source": f"/nowhere/{KEY[:8]}"},
        {"source": KEY},
        {"sync_source": KEY},
        {"options": {"retire": KEY}},
        {"reading": {"include": {KEY: 1}}},
        {"options": {"adopt": KEY}},
    ):

        def sync(given: dict[str, Any] = given) -> object:
            options, reading = SyncOptions(**given.pop("options", {})), FolderOptions(**given.pop("reading", {}))
            return hook.sync_documents(stage.kb.id, **{"source": folder, **given}, options=options, reading=reading)

        yield sync


def apps_are_run(stage: Stage) -> Iterator[Callable[[], object]]:
    def refuse(_: object) -> dict[str, object]:
        raise ValueError("Out of paper.")

    workflow = stage.dify.add_workflow("echo", run=dict, inputs=[Input("text", required=True)])
    chat = stage.dify.add_chat_app("helpdesk", answer=lambda question: question.query)
    stage.app_keys = [workflow.api_key, chat.api_key]
    yield lambda: stage.connect().app_info()
    hook = stage.connect(password=workflow.api_key)
    quick = RunOptions(appear_timeout=1)
    yield hook.test_connection
    yield lambda: hook.run_workflow({"text": "x"}, user="one").to_json()
    yield lambda: hook.run_workflow({"text": 5, KEY: 1}, user="two")
    stage.fault("reset_before", path="/workflows/run$")
    yield lambda: hook.run_workflow({"text": "x"}, user="three", options=quick)
    for status in (400, 401, 502):
        stage.fault("echo_key", path="/workflows/run$", status=status)
        yield lambda user=f"status {status}": hook.run_workflow({"text": "x"}, user=user, options=quick)  # type: ignore[misc]
    yield lambda: hook.ask_app("x", user="four")
    workflow.function = refuse
    yield lambda: hook.run_workflow({"text": "x"}, user="five")
    workflow.function = lambda _: Partial({})
    yield lambda: hook.run_workflow({"text": "x"}, user="six")
    stage.connect(password=chat.api_key)
    questions = [{"query": "x", "contains": "y"}]
    check = DifyAnswerCheckOperator(task_id="check", questions=questions, dify_conn_id="dify_default")
    yield lambda: check.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]


def knowledge_bases_are_set_up(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    vectors = stage.dify.add_dataset("vectors", indexing_technique="high_quality")
    yield lambda: hook.ensure_dataset("manual", KnowledgeBaseOptions(description=f"About {TOKEN}"))
    yield lambda: hook.update_dataset(vectors.id, KnowledgeBaseOptions(indexing_technique="economy"))
    for given in ({"tags": [KEY]}, {"permission": KEY}, {"embedding_model": KEY}, {"metadata_fields": {KEY: KEY}}):
        yield lambda given=given: hook.ensure_dataset(KEY, KnowledgeBaseOptions(**given))  # type: ignore[misc]
    chunk = stage.page.chunks[0].id
    yield lambda: hook.update_chunk(stage.kb.id, stage.page.id, KEY, content="x")
    stage.fault("status", method="POST", path="/segments/", status=200, body={"data": {"id": UNKNOWN, "content": KEY}})
    yield lambda: hook.update_chunk(stage.kb.id, stage.page.id, chunk, content="x")
    stage.fault("echo_key", method="POST", path="/segments", status=400)
    yield lambda: hook.add_chunks(stage.kb.id, stage.page.id, [{"content": TOKEN}])
    yield lambda: hook.list_child_chunks(stage.kb.id, stage.page.id, KEY)
    yield lambda: hook.add_child_chunks(stage.kb.id, stage.page.id, chunk, TOKEN)
    stage.kb.doc_form = "hierarchical_model"
    stage.fault("echo_key", method="POST", path="/child_chunks", status=400)
    yield lambda: hook.add_child_chunks(stage.kb.id, stage.page.id, chunk, TOKEN)
    yield lambda: hook.update_child_chunk(stage.kb.id, stage.page.id, chunk, UNKNOWN, content=TOKEN)
    yield lambda: hook.delete_dataset(stage.kb.id)
    stage.fault("status", method="DELETE", status=200, body={"result": KEY})
    yield lambda: hook.delete_dataset(vectors.id)


def a_knowledge_base_is_exported(stage: Stage) -> Iterator[Callable[[], object]]:
    hook = stage.connect()
    kb = stage.dify.add_dataset("notes")
    with TemporaryDirectory() as folder:
        yield lambda: hook.export_dataset(kb.id, KEY, ExportOptions(tolerate=(KEY,)))
        kb.add_document("page.md", text=f"About {TOKEN}.", file_name="page.md").lose_file(unreadable=True)
        yield lambda: hook.export_dataset(kb.id, folder)
        stage.fault("echo_key", path="download-zip", status=400)
        yield lambda: hook.export_dataset(kb.id, folder)
        kb = stage.dify.add_dataset("empty")
        kb.add_document("nothing", text="", source_type="notion_import")
        yield lambda: hook.export_dataset(kb.id, f"{folder}/empty")
        blocked = Path(folder) / "blocked"
        blocked.mkdir()
        (blocked / "files").write_text("A file where a folder has to be.")
        kb.add_document("page.md", text="Page.")
        yield lambda: hook.export_dataset(kb.id, blocked)


def key_is_in_the_wrong_place(stage: Stage) -> Iterator[Callable[[], object]]:
    """Keys begin with "dataset-" and so are easily mistaken for the id of a knowledge base."""
    stage.connect()
    for given in (
        {"dataset_id": KEY},
        {"document_ids": KEY},
        {"document_ids": [stage.page.id, KEY]},
        {"document_ids": f"['{KEY}'"},
        {"document_ids": {KEY: 1}},
        {"action": KEY},
        {"batch_size": KEY},
        {"timeout": KEY},
        {"tolerate": [KEY]},
    ):
        # Airflow shows what the user wrote into the DAG; it must not show what is made of it.
        yield lambda given=given: stage.operate(rendered=False, **given)  # type: ignore[misc]
    yield lambda: stage.connect().get_dataset(KEY)
    yield lambda: stage.connect().get_document(stage.kb.id, f"x{KEY}")
    yield lambda: list(stage.connect().list_documents(stage.kb.id, status=KEY))


def test_no_secret_is_ever_seen(
    dify: FakeDify,
    kb: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    dify.add_key(key=KEY)
    stage = Stage(dify, monkeypatch, kb, kb.add_document("page"))
    for scenarios in (
        went_well,
        documents_are_in_the_way,
        dify_fails,
        connection_is_wrong,
        key_is_in_the_wrong_place,
        values_and_searches,
        documents_are_selected_and_deleted,
        documents_are_indexed_again,
        documents_are_made,
        versions_are_released,
        a_folder_is_synced,
        apps_are_run,
        knowledge_bases_are_set_up,
        a_knowledge_base_is_exported,
    ):
        for act in scenarios(stage):
            stage.play(act)
    for record in caplog.records:
        stage.said += [record.getMessage(), str(record.args), record.exc_text or ""]
    stage.said += capfd.readouterr()

    assert_none_seen(stage.said)
    assert [text for text in stage.said if any(key in text for key in stage.app_keys)] == []
    # Check that the search would have found something.
    everything = "\n".join(stage.said)
    for told in (
        "Of 1 document: 1 to archive",
        "was answered with 502",
        "Result of archive",
        "has unknown extras",
    ):
        assert told in everything
    assert stage.scenarios > 150
    # Scenarios do not include waiting for indexing; two classes are only bases.
    expected = {kind for kind in leaves(DifyError) if not kind.__name__.startswith("DifyIndexing")}
    assert stage.raised >= expected - {DifyReleaseError, DifyReportError}


def leaves(kind: type[Any]) -> set[type[Any]]:
    """The leaf classes below one, and those in between that are raised themselves."""
    children = [child for child in kind.__subclasses__() if child.__module__ == exceptions.__name__]
    below = {leaf for child in children for leaf in leaves(child)}
    return below if kind is DifyError else {kind, *below}


def assert_none_seen(said: list[str]) -> None:
    seen = [text for text in said if any(secret.lower() in text.lower() for secret in SECRETS)]
    assert seen == [], f"{len(seen)} texts hold a secret"


@pytest.mark.parametrize("secret", SECRETS)
def test_the_search_finds_what_it_looks_for(secret: str) -> None:
    with pytest.raises(AssertionError, match="1 texts hold a secret"):
        assert_none_seen(["nothing", f"one {secret} here"])


def test_logs_of_hook_and_operator_are_among_what_is_searched(
    dify: FakeDify, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Airflow sometimes masks the passwords of connections by itself; here it must not hide a leak."""
    caplog.set_level(logging.DEBUG)
    operator = DifyDocumentStatusOperator(task_id="x", dataset_id="x", document_ids="x", action="x")
    with DifyHook() as hook:
        assert hook.settings.api_key == dify.api_key
        hook.log.info("hook %s", dify.api_key)
    operator.log.warning("operator %s", dify.api_key)
    logging.getLogger("airflow_provider_dify.hooks.connection").warning("module %s", dify.api_key)
    caught = caplog.text + "".join(capfd.readouterr())
    for who in ("hook", "operator", "module"):
        assert f"{who} {dify.api_key}" in caught
