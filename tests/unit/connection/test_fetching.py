"""A connection that Airflow cannot provide is an error of this package, in a hook and in every trigger."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat import connection as compat
from airflow.providers.common.compat.sdk import BaseHook
from airflow.triggers.base import BaseTrigger

from airflow_provider_dify.exceptions import DifyConnectionError, DifyError, DifyInputError
from airflow_provider_dify.hooks.asynchronous import async_settings
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.conversation import Movable
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.release.rollback import Rollback
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.triggers.conversation import DifyConversationTrigger
from tests.unit.conftest import KEY, UNKNOWN, Connect


def test_the_button_says_so() -> None:
    worked, text = DifyHook("no_such").test_connection()
    assert not worked
    assert "The Airflow connection 'no_such' is not defined" in text


def test_a_hook_raises_it() -> None:
    with pytest.raises(DifyConnectionError, match="'no_such' is not defined") as caught:
        _ = DifyHook("no_such").settings
    assert caught.value.retryable  # to Airflow, a secrets backend that does not respond looks the same
    assert caught.value.__cause__ is None


def test_what_a_backend_says_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("cannot reach postgresql://airflow:secret-of-the-database@db/airflow")

    async def afail(*_: object) -> None:
        fail()

    monkeypatch.setattr(BaseHook, "get_connection", fail)
    monkeypatch.setattr(compat, "get_async_connection", afail)
    with pytest.raises(DifyConnectionError, match=r"cannot be fetched \(RuntimeError\)") as blocking:
        _ = DifyHook("mine").settings
    with pytest.raises(DifyConnectionError) as asynchronous:
        asyncio.run(async_settings("mine"))
    assert str(asynchronous.value) == str(blocking.value)
    assert "secret-of" not in str(blocking.value)


def trigger(conversation: Movable[Any]) -> BaseTrigger:
    return DifyConversationTrigger(
        kind=conversation.kind, state=conversation.to_json(), dify_conn_id="no_such", started=0.0, timeout=60.0
    )


def status(kb: Dataset) -> BaseTrigger:
    return trigger(StatusChange(kb.id, [UNKNOWN], "archive"))


def indexing(kb: Dataset) -> BaseTrigger:
    return trigger(IndexingWait(kb.id, document_ids=[UNKNOWN]))


def rollback(kb: Dataset) -> BaseTrigger:
    manifest = {"dataset_id": kb.id, "release": "r", "previous": {UNKNOWN: {"enabled": True, "archived": False}}}
    return trigger(Rollback(manifest))


@pytest.mark.parametrize("make", [status, indexing, rollback])
def test_a_trigger_fails_its_task_with_the_same_class(kb: Dataset, make: Callable[[Dataset], BaseTrigger]) -> None:
    async def fired() -> list[Any]:
        return [json.loads(json.dumps(event.payload)) async for event in make(kb).run()]

    (payload,) = asyncio.run(fired())
    error = DifyError.from_json(payload["error"])
    assert type(error) is DifyConnectionError
    assert "'no_such' is not defined" in str(error)


@pytest.mark.parametrize("extra", ["timeout=5", "{timeout: 5}", '{"timeout": 5', "[" * 100_000, "{'timeout': 5}"])
def test_extras_that_are_not_json_are_an_error_and_not_nothing(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    """Airflow itself continues as if there were no extras."""
    # Not every Airflow accepts such extras from the environment; all do from their form.
    fields = {"conn_id": "mine", "host": "http://127.0.0.1:9", "port": None, "schema": None, "password": KEY}
    connection = SimpleNamespace(**fields, extra=extra, extra_dejson={})

    async def given(_: str) -> SimpleNamespace:
        return connection

    monkeypatch.setattr(BaseHook, "get_connection", lambda *_: connection)
    monkeypatch.setattr(compat, "get_async_connection", given)
    hook = DifyHook("mine")
    with pytest.raises(DifyInputError, match="The extras of connection 'mine' are not JSON"):
        _ = hook.settings
    worked, text = hook.test_connection()
    assert not worked
    assert "are not JSON" in text
    with pytest.raises(DifyInputError, match="are not JSON"):
        asyncio.run(async_settings("mine"))


def test_a_hook_leaves_its_key_behind_where_it_is_pickled(dify: FakeDify, reach: Connect) -> None:
    hook = reach()
    assert list(hook.list_datasets()) == []
    pickled = pickle.dumps(hook)
    assert dify.api_key.encode() not in pickled
    for other in (pickle.loads(pickled), copy.copy(hook), copy.deepcopy(hook)):
        assert list(other.list_datasets()) == []
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(hook.settings)
