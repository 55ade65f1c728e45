"""What a try of a task stores for later tries: it must outlive the worker, and XCom is cleared before each try."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_dify.exceptions import DifyError, DifyStorageError
from airflow_provider_dify.knowledge.inputs import without_keys
from airflow_provider_dify.knowledge.text.schemas import short

if TYPE_CHECKING:
    from airflow_provider_dify.knowledge.flow import JSON

_KEY = "dify_run"
#: Prefix of Variables that exist while a start is in progress, if Airflow has no task state.
VARIABLE_PREFIX = "dify_run_"
_TASK = ("dag_id", "task_id", "run_id", "map_index")


class Memory(Protocol):
    """What a try stores for later tries."""

    def recall(self) -> dict[str, JSON]:
        """Return what an earlier try has stored; empty if nothing."""

    def keep(self, note: Mapping[str, JSON]) -> None:
        """Replace what was stored. When this returns, it is stored.

        :raises DifyError: It cannot be stored.
        """


def memory_of(context: Mapping[str, Any]) -> Memory:
    """Return the memory of a task: its state store from Airflow 3.3 on, otherwise a Variable."""
    store = context.get("task_state_store")
    return _Variable(context) if store is None else _Store(store)


def forget(context: Mapping[str, Any]) -> None:
    """Remove what only tells later tries that a run is unknown, once it is known. An error does not fail the task."""
    if context.get("task_state_store") is not None:  # Airflow removes it
        return
    with suppress(DifyError):
        memory = memory_of(context)
        if memory.recall():
            memory.keep({})


class _Store:
    """The state store of a task, which all of its tries share."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def recall(self) -> dict[str, JSON]:
        try:
            return _read(self._store.get(_KEY))
        except Exception as error:  # noqa: BLE001 - from Airflow's API server or any backend
            raise _failed("read", error) from None

    def keep(self, note: Mapping[str, JSON]) -> None:
        try:
            self._store.set(_KEY, dict(note))
        except Exception as error:  # noqa: BLE001 - from Airflow's API server or any backend
            raise _failed("written", error) from None


class _Variable:
    """An Airflow Variable. It only exists while nobody knows whether a start has led to a run."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        task = [getattr(context["ti"], name, None) for name in _TASK]
        self._name = VARIABLE_PREFIX + hashlib.sha256(json.dumps(task).encode()).hexdigest()[:32]
        self._is_there = False

    def recall(self) -> dict[str, JSON]:
        from airflow.providers.common.compat.sdk import Variable

        try:
            value = Variable.get(self._name)
        except KeyError:  # Airflow 2
            return {}
        except Exception as error:  # noqa: BLE001 - from Airflow's API server or its database
            if "not found" in str(error).lower() or "VARIABLE_NOT_FOUND" in str(error):
                return {}
            raise _failed("read", error) from None
        self._is_there = True
        return _read(json.loads(value))

    def keep(self, note: Mapping[str, JSON]) -> None:
        from airflow.providers.common.compat.sdk import Variable

        try:
            if note.get("sent"):
                Variable.set(self._name, json.dumps(dict(note)))
                self._is_there = True
            elif self._is_there:  # the log of the app has the rest
                Variable.delete(self._name)
                self._is_there = False
        except Exception as error:  # noqa: BLE001 - from Airflow's API server or its database
            raise _failed("written", error) from None


def _read(value: Any) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _failed(verb: str, error: Exception) -> DifyStorageError:
    cause = without_keys(f"{type(error).__name__}: {short(error).rstrip('.')}")
    return DifyStorageError(
        f"What this task has recorded about its runs cannot be {verb} ({cause}), so nothing was sent: without it, a "
        "retry could start a second run. Check that Airflow's API server or database answers, and retry; in a test, "
        "use dag.test()."
    )
