"""A chat app that the tests ask."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.testing import Answer, Dataset, FakeDify, Input


@pytest.fixture(params=["advanced-chat", "chat", "agent-chat"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chat(dify: FakeDify, kb: Dataset, mode: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A chat app that cites a document, and the connection ``dify_app`` with its key."""
    page = kb.add_document("leave.md")
    made = dify.add_chat_app(
        "helpdesk",
        answer=lambda question: Answer(f"You said: {question.query}", sources=[page], tokens=(7, 5)),
        mode=mode,  # type: ignore[arg-type]
        inputs=[Input("name", max_length=48)],
        seconds=3,
    )
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 1}, app=made))
    return made
