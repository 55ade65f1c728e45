"""Runs DifyReindexOperator against a built-in Dify that can index documents again."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.reindex.report import ReindexOutcome, ReindexReport
from airflow_provider_dify.operators.documents import DifyReindexOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.unit.conftest import TaskInstance

#: A version that can do it; releases up to 1.17.1 cannot.
VERSION = "1.18.0"


@dataclass
class Run:
    """One run of a task: what it reported and raised, and whether the triggerer took part."""

    report: dict[str, Any]
    error: DifyError | None
    names: dict[str, str]
    deferred: bool = False

    @property
    def not_empty(self) -> dict[str, list[str]]:
        """The names of the documents by outcome."""
        outcomes = [one.value for one in ReindexOutcome]
        return {o: [self.names.get(i, i) for i in self.report[o]] for o in outcomes if self.report.get(o)}


def run_reindex(kb: Dataset, documents: Iterable[Document | str] | None = None, **kwargs: Any) -> Run:
    """Run the operator, in the triggerer where it leaves to; errors of the provider are in the result."""
    names = {document.id: document.name for document in kb.documents}
    if documents is not None:
        kwargs["document_ids"] = [one if isinstance(one, str) else one.id for one in documents]
    arguments = {"task_id": "reindex", "dataset_id": kb.id, **kwargs}
    task, error, returned, deferred = TaskInstance(), None, None, False
    context: Any = {"ti": task}
    try:
        returned = DifyReindexOperator(**arguments).execute(context)
    except TaskDeferred as left:
        deferred = True
        try:
            returned = DifyReindexOperator(**arguments).execute_complete(context, _event_of(left))
        except DifyError as raised:
            error = raised
    except DifyError as raised:
        error = raised
    assert returned is None or returned == task.xcom["report"]
    report = task.xcom.get("report", {})
    if report:
        assert ReindexReport.from_json(json.loads(json.dumps(report))).to_json() == report
    return Run(report, error, names, deferred)


def _event_of(left: TaskDeferred) -> dict[str, Any]:
    """What the trigger fires, made as a triggerer makes it: from what is in the database."""
    path, kwargs = left.trigger.serialize()
    module, name = path.rsplit(".", 1)
    trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))

    async def first_event() -> dict[str, Any]:
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        found: dict[str, Any] = json.loads(json.dumps(events[0].payload))
        return found

    return asyncio.run(first_event())


def failed(kb: Dataset, *names: str, **kwargs: Any) -> list[Document]:
    """Add documents whose indexing has failed."""
    state = {"indexing_status": "error", "error": "No embedding model.", "in_search": False, **kwargs}
    return [kb.add_document(name, text=f"Visitors like {name}.", **state) for name in names]


def sent(dify: FakeDify) -> list[int]:
    """How many documents each request to index again had. One without any only asks whether Dify can do it."""
    sizes = [len(one.json["document_ids"]) for one in dify.requests if one.path.endswith("/documents/retry")]
    return [size for size in sizes if size]


def changes(dify: FakeDify) -> list[str]:
    """The requests that could have changed something."""
    sent = [one for one in dify.requests if one.method != "GET"]
    return [f"{one.method} {one.path}" for one in sent if one.json != {"document_ids": []}]
