"""Runs the tasks and tests of a block as Airflow would, against the built-in Dify."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import FakeDify, Input

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:
    from airflow.utils.context import OutletEventAccessors  # type: ignore[assignment,unused-ignore]

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))


class TaskInstance:
    """Stands for the instances of all tasks: keeps what they push, and what others are supposed to
    have pushed before.
    """

    dag_id, run_id, map_index, try_number = "page", "manual", -1, 1

    def __init__(self, pushed: Mapping[tuple[str, str], Any]) -> None:
        self.pushed = dict(pushed)
        self.task_id = ""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[self.task_id, key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        return self.pushed[task_ids, key]


def connections_of_apps(dify: FakeDify) -> dict[str, str]:
    """Make a workflow and a chat app, and return the variables of their connections."""
    summary = dify.add_workflow(
        "summary", run=lambda inputs: {"text": inputs["text"][:10]}, inputs=[Input("text", required=True)]
    )
    helpdesk = dify.add_chat_app("helpdesk", answer=lambda question: f"Visitors park on deck 2. ({question.query})")
    apps = {"DIFY_APP": summary, "HELPDESK": helpdesk}
    return {f"AIRFLOW_CONN_{name}": dify.airflow_connection(app=app) for name, app in apps.items()}


class Store(dict[str, Any]):
    """What a task keeps for its later tries."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class Page:
    """What the blocks of one page share: a knowledge base, names for its contents, and what tasks have pushed."""

    def __init__(self, dify: FakeDify, folder: Path) -> None:
        self.dify = dify
        (folder / "parking.md").write_text("Visitors park on deck 2.")
        handbook = dify.add_dataset("handbook")
        for name in ("guide v1", "guide v2", "draft 7"):
            handbook.add_document(name, text=f"The text of {name}.", created_at=dify.clock.time() - 100 * 86_400)
        old = handbook.documents[0]
        with DifyHook() as hook:
            text = "How to reset a password, on a holiday too: ask the service desk."
            made = hook.ingest_documents(handbook.id, {"name": "password reset", "text": text})
        (entry,) = made.documents
        ingested = {"document_ids": [entry.document_id], "batch": entry.batch}
        archived = {"changed": [old.id]}
        os.environ |= connections_of_apps(dify)
        self.ti = TaskInstance({("ingest", "return_value"): ingested, ("archive_old", "report"): archived})
        self.params = {"dataset_id": handbook.id, "old_document_ids": [old.id]}
        self.var = {"value": {"handbook": handbook.id, "handbook_folder": str(folder)}}
        self.names: dict[str, Any] = {"HANDBOOK": handbook.id, "document_ids": [old.id], "ti": self.ti}
        self.names |= {"FOLDER": str(folder), "__name__": "block"}
        #: What the tasks say in the events of their outlets, by outlet.
        self.events: Any = OutletEventAccessors()
        #: What was run: ids of tasks, names of tests.
        self.ran: list[str] = []

    def run(self, code: str, label: str) -> None:
        """Run a block, and then the tasks and the tests that it has defined."""
        before = set(self.names)
        dag: Any = DAG("page", schedule=None, params=dict(self.params))
        with dag:
            exec(compile(code, label, "exec"), self.names)
        for name in sorted(set(self.names) - before):
            if name.startswith("test_"):
                self.names[name](self.dify)
                self.ran.append(name)
        if AIRFLOW >= (3, 0):  # Airflow 2 resolves the output of a task by its database alone
            for task in dag.topological_sort():
                self._run(task)

    def _expanded(self, over: Any) -> list[dict[str, Any]]:
        """What an operator is expanded over: the output of a task for one of its parameters, or a list of mappings."""
        if not isinstance(over, Mapping):
            return list(over)
        ((name, output),) = over.items()
        return [{name: batch} for batch in self.ti.xcom_pull(output.operator.task_id)]

    def _run(self, task: Any) -> None:
        if task.is_mapped:
            for arguments in self._expanded(task.expand_input.value):
                self._run(task.unmap(arguments))
            return
        self.ti.task_id = task.task_id
        context: Any = {"ti": self.ti, "task": task, "dag": task.dag, "run_id": self.ti.run_id, "params": self.params}
        context |= {"var": self.var, "outlet_events": self.events, "task_state_store": Store()}
        task.render_template_fields(context)
        try:
            returned = task.execute(context)
        except TaskDeferred as deferred:
            event = asyncio.run(anext(deferred.trigger.run())).payload
            returned = getattr(task, deferred.method_name)(context, event=event, **deferred.kwargs or {})
        self.ti.xcom_push("return_value", returned)
        self.ran.append(task.task_id)
