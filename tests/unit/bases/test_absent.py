"""A knowledge base is deleted, if it holds no more than it may, and it is proven."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyGuardError, DifyInputError, DifyServerError, DifySetupError
from airflow_provider_dify.testing import FakeDify, Fault
from tests.unit.bases.setting_up import Run, run, sent


def delete(**kwargs: Any) -> Run:
    return run(state="absent", **kwargs)


def test_an_empty_one(dify: FakeDify) -> None:
    kb, other = dify.add_dataset("handbook"), dify.add_dataset("handbook 2")
    result = delete()
    assert result.error is None
    assert result.returned == kb.id
    assert (result.outcome, result.report["dataset_id"], result.report["deleted_documents"]) == ("deleted", kb.id, 0)
    assert list(dify.world.datasets) == [other.id]
    assert dify.requests[-1].method == "GET"  # the proof


def test_none(dify: FakeDify) -> None:
    result = delete()
    assert result.error is None
    assert (result.returned, result.outcome) == (None, "absent")
    assert sent(dify) == []


@pytest.mark.parametrize(("most", "goes"), [(0, False), (1, False), (2, True), ("2", True), (None, True)])
def test_the_guard(dify: FakeDify, most: Any, goes: bool) -> None:
    kb = dify.add_dataset("handbook")
    kb.add_documents(2)
    result = delete(max_documents=most)
    assert bool(dify.world.datasets) is not goes
    if goes:
        assert result.report["deleted_documents"] == 2
        return
    assert isinstance(result.error, DifyGuardError)
    assert f"Knowledge base 'handbook' has 2 documents, and max_documents allows {most}. Nothing was changed." in str(
        result.error
    )
    assert sent(dify) == []


def test_the_guard_is_closed_unless_said_otherwise(dify: FakeDify) -> None:
    dify.add_dataset("handbook").add_document("page")
    assert isinstance(delete().error, DifyGuardError)
    assert sent(dify) == []


def test_one_that_apps_use(dify: FakeDify) -> None:
    dify.add_dataset("handbook").app_count = 2
    error = delete().error
    assert isinstance(error, DifyGuardError)
    assert "2 apps use knowledge base 'handbook', and Dify would delete it all the same." in str(error)
    assert sent(dify) == []


def test_several_have_the_name(dify: FakeDify) -> None:
    for _ in range(2):
        dify.add_dataset("handbook")
    error = delete().error
    assert isinstance(error, DifyInputError)
    assert "Delete the right one by its id, with delete_dataset:" in str(error)
    assert sent(dify) == []


def test_a_lost_answer(dify: FakeDify) -> None:
    kb = dify.add_dataset("handbook")
    dify.faults.add(Fault("reset_after", method="DELETE"))
    assert delete().returned == kb.id
    assert dify.world.datasets == {}


def test_a_server_that_does_not_delete(dify: FakeDify) -> None:
    dify.add_dataset("handbook")
    dify.faults.add(Fault("status", method="DELETE", status=200, body={"result": "success"}))
    result = delete()
    assert isinstance(result.error, DifySetupError)
    assert not result.error.final
    assert "was deleted, but it still exists" in str(result.error)
    assert result.outcome == "unknown"


def test_a_server_that_fails(dify: FakeDify) -> None:
    kb = dify.add_dataset("handbook")
    dify.faults.add(Fault("status", method="DELETE", times=None))
    result = delete()
    assert isinstance(result.error, DifyServerError)
    assert result.report["dataset_id"] == kb.id
