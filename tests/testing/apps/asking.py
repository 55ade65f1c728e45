"""The calls that these tests make with the key of an app."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider_dify.testing import App, FakeDify

Event = dict[str, Any]


class AppClient:
    """Asks one app."""

    def __init__(self, dify: FakeDify, app: App, user: str = "ann") -> None:
        self.dify = dify
        self.app = app
        self.user = user

    def call(self, method: str, path: str, *, timeout: float = 60, **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.app.api_key}"}
        return requests.request(method, self.dify.base_url + path, headers=headers, timeout=timeout, **kwargs)

    def run(self, mode: str = "blocking", *, timeout: float = 60, **inputs: Any) -> requests.Response:
        body = {"inputs": inputs, "user": self.user, "response_mode": mode}
        return self.call("POST", "/workflows/run", json=body, stream=mode == "streaming", timeout=timeout)

    def ask(self, query: str, mode: str = "blocking", conversation: str = "", **inputs: Any) -> requests.Response:
        body = {"inputs": inputs, "query": query, "user": self.user, "response_mode": mode}
        body |= {"conversation_id": conversation} if conversation else {}
        return self.call("POST", "/chat-messages", json=body, stream=mode == "streaming")

    def get(self, path: str) -> Any:
        return self.call("GET", path).json()

    def status(self, run_id: str) -> str:
        return str(self.get(f"/workflows/run/{run_id}")["status"])

    def logs(self, **query: Any) -> list[Any]:
        found: list[Any] = self.call("GET", "/workflows/logs", params=query).json()["data"]
        return found

    def stop(self, task_id: str) -> requests.Response:
        return self.call("POST", f"/workflows/tasks/{task_id}/stop", json={"user": self.user})


def events(answer: requests.Response) -> list[Event]:
    """The events of a stream until its end; pings are not among them."""
    lines = [line for line in answer.iter_lines() if line.startswith(b"data: ")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def first_event(answer: requests.Response) -> Event:
    """The first event of a stream; then the client goes."""
    with answer:
        for line in answer.iter_lines():
            if line.startswith(b"data: "):
                found: Event = json.loads(line.removeprefix(b"data: "))
                return found
    raise AssertionError("the stream has ended")
