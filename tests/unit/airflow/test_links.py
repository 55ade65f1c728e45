"""Links from tasks to Dify's console."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, XCom

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.links.console import DifyDocumentLink, DifyKnowledgeBaseLink, console_links
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from airflow_provider_dify.transport.settings import Settings
from tests.unit.airflow.every_task import EVERY, Make, ingest, knowledge_base, listing, sensor, status
from tests.unit.conftest import TaskInstance

try:  # of the name that it has since Airflow 3.2
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    from airflow.serialization.serialized_objects import (  # type: ignore[assignment,attr-defined,unused-ignore]
        SerializedDAG as DagSerialization,
    )

KEYS = KNOWLEDGE_BASE, DOCUMENT = "_link_DifyKnowledgeBaseLink", "_link_DifyDocumentLink"


class Watching(TaskInstance):
    """Records how many requests Dify had received when something was first pushed."""

    def __init__(self, dify: FakeDify) -> None:
        super().__init__()
        self._dify = dify
        self.when: dict[str, int] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        super().xcom_push(key, value)
        self.when.setdefault(key, len(self._dify.requests))


@pytest.fixture
def page(kb: Dataset) -> Document:
    """A document that a search can find."""
    return kb.add_document("page")


def run(task: Any, instance: Any = None) -> dict[str, Any]:
    """Run it, and return what is in XCom then."""
    instance = instance or TaskInstance()
    task.execute({"ti": instance})
    xcom: dict[str, Any] = instance.xcom
    return xcom


def documents(dify: FakeDify, kb: Dataset) -> str:
    """The URL of the page with the documents of a knowledge base."""
    return f"{dify.base_url.removesuffix('/v1')}/datasets/{kb.id}/documents"


@pytest.mark.parametrize("make", EVERY)
def test_every_task_has_links_before_it_asks_dify(dify: FakeDify, page: Document, make: Make) -> None:
    instance = Watching(dify)
    xcom = run(make(page), instance)
    assert xcom[KNOWLEDGE_BASE] == documents(dify, page.dataset)
    assert instance.when[KNOWLEDGE_BASE] == 0
    if make not in (ingest, listing) and make.__name__ not in ("check", "sync"):
        assert xcom[DOCUMENT] == f"{documents(dify, page.dataset)}/{page.id}"
        assert instance.when[DOCUMENT] == 0


def test_a_knowledge_base_that_is_found_or_made_has_a_link(dify: FakeDify, page: Document) -> None:
    assert run(knowledge_base(page))[KNOWLEDGE_BASE] == documents(dify, page.dataset)


def test_a_document_that_is_made_has_a_link(dify: FakeDify, page: Document) -> None:
    xcom = run(ingest(page))
    assert xcom[DOCUMENT] == f"{documents(dify, page.dataset)}/{xcom['report']['document_ids'][0]}"


def test_several_documents_have_no_link_of_their_own(kb: Dataset) -> None:
    kb.add_documents(2)
    ids = [document.id for document in kb.documents]
    task = DifyDocumentStatusOperator(task_id="x", dataset_id=kb.id, document_ids=ids, action="archive")
    assert DOCUMENT not in run(task)
    assert [link.xcom_key for link in task.operator_extra_links] == [KNOWLEDGE_BASE]


def test_a_sensor_shows_them_once(dify: FakeDify, page: Document) -> None:
    page.set(indexing_status="indexing")
    instance, waiting = TaskInstance(), sensor(page, poke_interval=10)
    waiting.poke({"ti": instance})
    assert KNOWLEDGE_BASE in instance.xcom
    instance.xcom.clear()
    waiting.poke({"ti": instance})
    assert not instance.xcom


@pytest.mark.parametrize("by", ["document_ids", "batch"])
def test_a_sensor_has_them_after_its_wait_in_the_triggerer(dify: FakeDify, page: Document, by: str) -> None:
    waited: Any = sensor(page, deferrable=True)
    if by == "batch":
        waited.batch, waited.document_ids = "20261125093000123456", None
    instance = TaskInstance()
    report = {"dataset_id": page.dataset.id, "document_ids": [page.id], "segments": 1}
    waited.execute_complete({"ti": instance}, {"report": report, "names": {}, "error": None, "started": 0.0})
    assert instance.xcom[DOCUMENT] == f"{documents(dify, page.dataset)}/{page.id}"


class TestAddress:
    """The URL of the console."""

    @staticmethod
    def link(console_url: str | None, **kwargs: Any) -> str | None:
        settings = Settings("https://dify.example.com/v1", "dataset-secret-key", console_url=console_url, **kwargs)
        return console_links(settings, "kb", ()).get(KNOWLEDGE_BASE)

    def test_it_is_that_of_the_connection(self) -> None:
        assert (
            self.link("https://web.example.com:8443/dify") == "https://web.example.com:8443/dify/datasets/kb/documents"
        )

    def test_it_may_be_unknown(self) -> None:
        assert self.link(None) is None

    @pytest.mark.parametrize(
        ("console_url", "link"),
        [
            ("https://me:dataset-secret-key@web.example.com", "https://web.example.com/datasets/kb/documents"),
            ("https://web.example.com?token=dataset-secret-key", "https://web.example.com/datasets/kb/documents"),
            ("https://web.example.com/dataset-secret-key", None),
            ("https://web.example.com/gate-secret", None),
        ],
    )
    def test_it_never_holds_a_secret(self, console_url: str, link: str | None) -> None:
        assert self.link(console_url, headers={"X-Gate": "gate-secret"}) == link


class TestFailure:
    """A link must not fail a task."""

    def test_a_task_ends_well_although_xcom_takes_no_link(self, page: Document) -> None:
        class Refusing(TaskInstance):
            def xcom_push(self, key: str, value: Any) -> None:
                if key in KEYS:
                    raise RuntimeError("no room")
                super().xcom_push(key, value)

        assert run(status(page), Refusing())["report"]["changed"] == [page.id]

    @pytest.mark.parametrize("wrong", [{"timeout": -1}, {"action": "burn"}])
    def test_a_task_that_did_not_come_so_far_has_none(self, page: Document, wrong: dict[str, Any]) -> None:
        task = status(page)
        vars(task).update(wrong)
        assert len(task.operator_extra_links) == 2
        with pytest.raises(DifyInputError):
            run(task)
        assert not task.operator_extra_links  # Airflow asks for each of them then, and keeps the empty answer

    @pytest.mark.parametrize("make", EVERY)
    def test_none_is_empty(self, page: Document, make: Make) -> None:
        task = make(page)
        xcom = run(task)
        shown = {link.xcom_key for link in task.operator_extra_links}
        assert shown == {key for key in xcom if key.startswith("_link")}
        assert all(xcom[key] for key in shown)

    def test_a_wrong_connection_is_told_as_ever(self, page: Document, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps({"conn_type": "dify", "host": "h"}))
        with pytest.raises(DifyInputError, match="password of connection 'dify_default' is empty"):
            run(status(page))


class TestAirflow:
    """What Airflow does with them."""

    @pytest.mark.parametrize("link", [DifyKnowledgeBaseLink(), DifyDocumentLink()], ids=lambda link: link.xcom_key)
    @pytest.mark.parametrize("pushed", ["https://dify.example.com/datasets", None])
    def test_it_is_read_where_the_task_left_it(
        self, monkeypatch: pytest.MonkeyPatch, link: Any, pushed: str | None
    ) -> None:
        asked: dict[str, Any] = {}

        def get_value(**kwargs: Any) -> str | None:
            asked.update(kwargs)
            return pushed

        monkeypatch.setattr(XCom, "get_value", get_value)
        key = SimpleNamespace(dag_id="d")
        assert link.get_link(None, ti_key=key) == (pushed or "")
        assert asked == {"ti_key": key, "key": link.xcom_key}

    @pytest.mark.parametrize("mapped", [False, True])
    def test_a_dag_that_is_read_from_the_database_has_them(self, page: Document, mapped: bool) -> None:
        with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
            if mapped:
                DifyDocumentStatusOperator.partial(task_id="change", dataset_id="kb", action="archive").expand(
                    document_ids=[["a"], ["b"]]
                )
            else:
                status(page)
        read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        assert set(read.task_dict["change"].extra_links) == {DifyKnowledgeBaseLink().name, DifyDocumentLink().name}
