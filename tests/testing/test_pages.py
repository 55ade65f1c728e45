"""The pages of the built-in Dify show its data, escaped."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.links.console import console_links
from airflow_provider_dify.testing import Dataset, FakeDify, Input
from airflow_provider_dify.testing.pages.html import join, tag
from tests.testing.apps.asking import AppClient

NASTY = "<script>alert('1')</script> & \"quoted\""


class Reader(HTMLParser):
    """Elements and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(dify: FakeDify, path: str) -> Reader:
    answer = requests.get(f"{dify.console_url}{path}", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return Reader(answer.text)


@pytest.mark.parametrize("technique", ["economy", "high_quality"])
def test_everything_is_escaped(sim: FakeDify, technique: str) -> None:
    kb = sim.add_dataset(NASTY, indexing_technique=technique)
    document = kb.add_document(NASTY, text=f"word {NASTY}", metadata={NASTY: NASTY})
    kb.add_document("failed", indexing_status="error", error=NASTY)
    here = f"/datasets/{kb.id}/documents"
    for path in ("/", here, f"{here}?query=word+%3Cscript%3E%22", f"{here}/{document.id}"):
        page = read(sim, path)
        assert "script" not in page.elements
        assert any(NASTY in text for text in page.texts)


@given(st.lists(st.text()), st.text())
def test_texts_stay_texts(texts: list[str], value: str) -> None:
    page = Reader(tag("div", *texts, title=value))
    assert page.elements == ["div"]
    assert Reader(join(*texts)).elements == []


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({}, ["completed", "yes", "no", "yes"]),
        ({"enabled": False}, ["completed", "no", "no", "no"]),
        ({"archived": True}, ["completed", "yes", "yes", "no"]),
        ({"archived": True, "in_search": True}, ["completed", "yes", "yes", "yes"]),
        ({"in_search": False}, ["completed", "yes", "no", "no", "not yet, or its keywords are lost"]),
        ({"text": ""}, ["completed", "yes", "no", "no", "there is no text in it"]),
        ({"indexing_status": "indexing", "paused": True}, ["indexing, paused", "yes", "no", "no"]),
        ({"indexing_status": "error"}, ["error", "yes", "no", "no"]),
    ],
)
def test_states(sim: FakeDify, kb: Dataset, state: dict[str, object], shown: list[str]) -> None:
    kb.add_document("page", **state)  # type: ignore[arg-type]
    page = read(sim, f"/datasets/{kb.id}/documents")
    at = page.texts.index("page") + 2  # behind its id
    assert page.texts[at : at + len(shown)] == shown


def test_apps_show_what_they_did(sim: FakeDify) -> None:
    workflow = sim.add_workflow(NASTY, inputs=[Input(NASTY)])
    chat = sim.add_chat_app("helpdesk", answer=lambda question: question.query + "!")
    body = {"inputs": {NASTY: NASTY}, "user": NASTY}
    AppClient(sim, workflow).call("POST", "/workflows/run", json=body)
    AppClient(sim, chat).ask(NASTY)
    [run] = workflow.runs
    sim.worker.stop()
    sim.holds_clock = True
    AppClient(sim, workflow).run("streaming").close()
    for path in ("/", f"/app/{workflow.id}/logs", f"/app/{workflow.id}/runs/{run.id}", f"/app/{chat.id}/logs"):
        page = read(sim, path)
        assert "script" not in page.elements
        assert any(NASTY in text for text in page.texts)
    listed = read(sim, f"/app/{workflow.id}/workflow").texts
    assert ["waits for the worker" in listed, run.id in listed, "succeeded" in listed] == [True] * 3
    assert f"{NASTY}!" in read(sim, f"/app/{chat.id}/overview").texts
    for path in (f"/app/{run.id}/logs", f"/app/{workflow.id}/runs/{workflow.id}"):
        assert requests.get(f"{sim.console_url}{path}", timeout=5).status_code == 404


def test_the_links_in_airflow_lead_to_them(dify: FakeDify) -> None:
    document = dify.add_dataset("kb").add_document("page")
    with DifyHook() as hook:
        links = console_links(hook.settings, document.dataset.id, [document.id])
    titles = [Reader(requests.get(url, timeout=5).text).texts for url in links.values()]
    assert ["kb - built-in Dify" in titles[0], "page - built-in Dify" in titles[1]] == [True, True]


def test_many_documents_come_page_by_page(sim: FakeDify, kb: Dataset) -> None:
    kb.add_documents(250)
    here = f"/datasets/{kb.id}/documents"
    names = []
    for number in (1, 2, 3):
        page = read(sim, f"{here}?page={number}")
        assert f"Page {number} of 3" in page.texts
        names += [text for text in page.texts if text.startswith("document-")]
    assert names == [f"document-{number}" for number in range(249, -1, -1)]
    assert "Page 3 of 3" in read(sim, f"{here}?page=99").texts
    assert "Page 1 of 3" in read(sim, f"{here}?page=x&top_k=0").texts


def test_a_look_is_no_request_for_the_api(sim: FakeDify, kb: Dataset, start: Callable[..., FakeDify]) -> None:
    read(sim, f"/datasets/{kb.id}/documents?query=fox")
    assert sim.requests == []
    other = requests.get(f"{sim.console_url}/datasets", timeout=5)
    assert (other.status_code, other.headers["X-Version"]) == (404, "1.16.0")  # as Dify answers
