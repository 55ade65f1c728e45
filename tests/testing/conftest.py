from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_dify.testing import Dataset, Document, FakeDify, VirtualClock


class Client:
    """The few calls that these tests make, over one keep-alive connection unless told otherwise."""

    def __init__(self, dify: FakeDify) -> None:
        self.dify = dify
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {dify.api_key}"

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return self.session.request(method, self.dify.base_url + path, timeout=60, allow_redirects=False, **kwargs)

    def get(self, path: str) -> requests.Response:
        return self.call("GET", path)

    def change(self, action: str, *documents: Document) -> requests.Response:
        kb = documents[0].dataset
        body = {"document_ids": [document.id for document in documents]}
        return self.call("PATCH", f"/datasets/{kb.id}/documents/status/{action}", json=body)

    def change_on_new_connection(self, action: str, *documents: Document) -> requests.Response:
        self.session.close()
        return self.change(action, *documents)


@pytest.fixture
def start() -> Iterator[Callable[..., FakeDify]]:
    running: list[FakeDify] = []

    def make(**kwargs: Any) -> FakeDify:
        running.append(FakeDify(**{"clock": VirtualClock(), **kwargs}))
        running[-1].start()
        return running[-1]

    yield make
    for one in running:
        one.stop()


@pytest.fixture
def sim(start: Callable[..., FakeDify]) -> FakeDify:
    """A Dify without chance: its worker never wins the race for the lock."""
    return start(lock_race="never")


@pytest.fixture
def kb(sim: FakeDify) -> Dataset:
    return sim.add_dataset("knowledge")


@pytest.fixture
def client(sim: FakeDify) -> Iterator[Client]:
    made = Client(sim)
    yield made
    made.session.close()
