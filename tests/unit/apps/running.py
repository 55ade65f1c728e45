"""Running operators on apps against the built-in Dify, as Airflow does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.triggers.conversation import DifyConversationTrigger
from tests.unit.conftest import TaskInstance


class Store(dict[str, Any]):
    """What a task keeps for its later tries."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


@dataclass
class Ran:
    """How a try of a task ended."""

    returned: Any = None
    error: DifyError | None = None
    xcom: dict[str, Any] = field(default_factory=dict)
    deferred: bool = False

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = self.xcom["report"]
        return report


def context_of(number: int, store: Store | None, **more: Any) -> dict[str, Any]:
    """The context of a try."""
    instance = TaskInstance()
    instance.try_number = number
    return {"ti": instance, **({} if store is None else {"task_state_store": store}), **more}


def run_try(task: Any, number: int = 1, store: Store | None = None, **more: Any) -> Ran:
    """Run a try of a task, and its trigger if it defers."""
    context = context_of(number, Store() if store is None else store, **more)
    ran = Ran(xcom=context["ti"].xcom)
    try:
        try:
            ran.returned = task.execute(context)
        except TaskDeferred as deferred:
            ran.deferred = True
            ran.returned = task.execute_complete(context, asyncio.run(event_of(deferred.trigger)))
    except DifyError as error:
        ran.error = error
    return ran


async def event_of(trigger: Any) -> Mapping[str, Any]:
    """What a trigger fires, which went through Airflow's database twice."""
    path, state = trigger.serialize()
    assert path.endswith("DifyConversationTrigger")
    again = DifyConversationTrigger(**json.loads(json.dumps(state)))
    async for event in again.run():
        payload: dict[str, Any] = json.loads(json.dumps(event.payload))
        return payload
    raise AssertionError("It did not fire.")
