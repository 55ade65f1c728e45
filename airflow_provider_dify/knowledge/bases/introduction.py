"""The first line of a task's log: which Dify, and which knowledge base or app."""

from __future__ import annotations

from typing import TypeVar

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.flow import Flow, Note, Request, Response, Step, Together, answered, mapped

T = TypeVar("T")


def introduced(flow: Flow[T], where: str, dataset_id: str, plan: str = "", name: str = "") -> Flow[T]:
    """Run a flow after a line that says where it works.

    One request reads the name, and Dify's version with it. If it fails, the line leaves these out: the flow will report
    the error. A flow that begins with the same request gets its response.

    :param where: The host of the Dify, and how it was found.
    :param dataset_id: The knowledge base; empty for an app.
    :param plan: What the flow does, for the second line.
    :param name: The name of a knowledge base that may not exist yet. Then there is no such request.
    """
    if name:
        yield Note(f"Dify at {where}, knowledge base {inputs.show(name)}.")
        return (yield from flow)
    first = Request("GET", f"/datasets/{dataset_id}" if dataset_id else "/info", repeatable=False)
    answer: Response | None = None
    version = None
    try:
        answer = answered((yield first))
        version = answer.headers.get("x-version")
        name = api.read_answer(answer, lambda payload: inputs.show(payload.text("name")))
    except DifyError as error:
        version = version or error.server_version
    yield Note(f"Dify{f' {version}' if version else ''} at {where}, {_what(dataset_id, name)}.")
    if plan:
        yield Note(plan)

    def handle(step: Step) -> Flow[Response | None]:
        nonlocal answer
        if isinstance(step, (Request, Together)):
            known, answer = answer, None
            if known and isinstance(step, Request) and (step.method, step.path) == (first.method, first.path):
                return known
        return (yield step)

    return (yield from mapped(flow, handle))


def _what(dataset_id: str, name: str) -> str:
    if not dataset_id:
        return f"app {name}".rstrip()
    return f"knowledge base {name} ({dataset_id})" if name else f"knowledge base {dataset_id}"
