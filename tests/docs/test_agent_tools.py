"""The tools that an agent gets from the hook: Airflow makes them from its types and docstrings."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_dify.testing import FakeDify

pytest.importorskip("airflow.providers.common.ai", reason="apache-airflow-providers-common-ai is not installed")


def test_an_agent_searches_with_the_tools_of_the_documentation(dify: FakeDify) -> None:
    from tests.docs.examples.agent_tools import knowledge

    handbook = dify.add_dataset("handbook")
    handbook.add_document("parking.md", text="Visitors park on deck 2.")
    context: Any = SimpleNamespace(max_retries=1)
    tools = asyncio.run(knowledge.get_tools(context))
    assert set(tools) == {"dify_retrieve", "dify_get_document"}
    retrieve = tools["dify_retrieve"]
    schema = retrieve.tool_def.parameters_json_schema
    assert schema["required"] == ["dataset_id", "query"]
    assert schema["properties"]["query"]["description"] == "What to search for, at most 250 characters."
    arguments = {"dataset_id": handbook.id, "query": "Visitors"}
    found = str(asyncio.run(knowledge.call_tool("dify_retrieve", arguments, context, retrieve)))
    assert "Visitors park on deck 2." in found
    assert "parking.md" in found
