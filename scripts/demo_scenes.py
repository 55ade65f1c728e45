"""What the demo plays with: documents in interesting states, in the built-in Dify or in a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import requests  # noqa: TID253 - a script, not a DAG

from scripts.demo_words import SWITCH, SWITCH_IN_A_REAL_DIFY

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
#: What names a real Dify, and the knowledge base in it.
SETTINGS = ("DIFY_BASE_URL", "DIFY_API_KEY", "DIFY_DATASET_ID")


@dataclass(frozen=True)
class Scene:
    """A knowledge base to play with.

    :param about: Which Dify it is in.
    :param story: What is about to happen, and what to look at.
    :param dataset_id: Its id.
    :param new: Ids of the documents to enable.
    :param old: Ids of the documents to archive.
    :param names: Names of documents by id.
    :param connection: The Airflow connection, in its JSON form.
    :param columns: Headings of what ``look`` returns.
    :param look: Returns a row for each document, as Dify itself sees it now.
    :param epilogue: Returns what there is to tell at the end.
    :param real: Whether it is in a Dify that was given.
    """

    about: str
    story: str
    dataset_id: str
    new: Sequence[str]
    old: Sequence[str]
    names: Mapping[str, str]
    connection: str
    columns: Sequence[str]
    look: Callable[[], list[list[str]]]
    epilogue: Callable[[], str]
    real: bool = False


def missing_settings(environment: Mapping[str, str]) -> list[str]:
    """Return the settings that are missing where others are given: nobody can tell which Dify is meant."""
    missing = [name for name in SETTINGS if not environment.get(name)]
    return missing if len(missing) < len(SETTINGS) else []


def scene_of(environment: Mapping[str, str]) -> AbstractContextManager[Scene]:
    """Return a scene in the Dify that the environment names, or in the built-in one."""
    given = [environment[name] for name in SETTINGS if environment.get(name)]
    return real(*given) if given else built_in()


@contextmanager
def built_in() -> Iterator[Scene]:
    """Play in the built-in Dify, whose clock is pushed wherever the provider waits."""
    from airflow_provider_dify.testing import FakeDify, VirtualClock
    from airflow_provider_dify.transport import clock

    with FakeDify(clock=VirtualClock()) as dify:
        clock.clock = dify.clock
        kb = dify.add_dataset("Handbook")
        new = [
            kb.add_document("v2 travel", text="travel rules of version two", enabled=False),
            kb.add_document("v2 sick leave", text="sick leave in version two", indexing_status="indexing"),
        ]
        new[1].finish_indexing(after=40)
        old = [
            kb.add_document("v1 travel", text="travel rules of version one"),
            kb.add_document("v1 sick leave", text="sick leave in version one"),
            kb.add_document("v1 parking", text="parking in version one", enabled=False),
            kb.add_document("v1 canteen", text="canteen in version one", archived=True),
        ]
        old[1].lock(600)
        documents = [*new, *old]

        def look() -> list[list[str]]:
            found = set(dify.search(kb, "version"))
            return [
                [
                    d.name,
                    d.indexing_status,
                    _yes(d.enabled),
                    _yes(d.archived),
                    _lock(d.lock_seconds),
                    _yes(d.name in found),
                ]
                for d in documents
            ]

        def epilogue() -> str:
            changes = [request for request in dify.requests if request.method == "PATCH"]
            refused = sum(request.status == 400 for request in changes)
            return (
                f"The tasks waited {sum(dify.clock.slept):.0f} s on Dify's clock. It saw {len(dify.requests)} requests "
                f"over {dify.connections} connections;\n{len(changes)} of them asked for a change, of which it refused "
                f"{refused} because of a lock. A search for 'version' finds: {', '.join(dify.search(kb, 'version'))}."
            )

        yield Scene(
            about=f"the built-in one, as version {dify.version}; waiting takes no time there",
            story=SWITCH,
            dataset_id=kb.id,
            new=[document.id for document in new],
            old=[*(document.id for document in old), UNKNOWN_ID],
            names={**{document.id: document.name for document in documents}, UNKNOWN_ID: f"{UNKNOWN_ID} (unknown)"},
            connection=dify.airflow_connection(),
            columns=["document", "indexing", "enabled", "archived", "lock", "found by search"],
            look=look,
            epilogue=epilogue,
        )


@contextmanager
def real(base_url: str, key: str, dataset_id: str) -> Iterator[Scene]:
    """Play in a real Dify, with documents made for it and deleted at the end."""
    api = _Api(base_url, key, dataset_id)
    try:
        new = [api.create(f"airflow demo v2 page {n}", f"page {n} of version two") for n in (1, 2)]
        old = [api.create(f"airflow demo v1 page {n}", f"demo page {n} of version one") for n in (1, 2)]
        api.wait_until_indexed()
        api.change("disable", new[:1])
        yield Scene(
            about=f"{base_url}, dataset {dataset_id}; the demo touches only the four documents that it has made there",
            story=SWITCH_IN_A_REAL_DIFY,
            dataset_id=dataset_id,
            new=new,
            old=[*old, UNKNOWN_ID],
            names={**api.names, UNKNOWN_ID: f"{UNKNOWN_ID} (unknown)"},
            connection=json.dumps({"conn_type": "dify", "host": base_url, "password": key}),
            columns=["document", "indexing", "enabled", "archived", "segments in search"],
            look=api.look,
            epilogue=lambda: "Now the demo deletes the documents that it has made.",
            real=True,
        )
    finally:
        api.delete_all()


class _Api:
    """As much of Dify's API as the demo needs around the provider."""

    def __init__(self, base_url: str, key: str, dataset_id: str) -> None:
        base_url = base_url.rstrip("/")
        self._url = f"{base_url if base_url.endswith('/v1') else base_url + '/v1'}/datasets/{dataset_id}"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"
        # Dify drops a connection that is idle for two seconds, and here is a DAG run between two calls.
        self._session.headers["Connection"] = "close"
        self.names: dict[str, str] = {}

    def create(self, name: str, text: str) -> str:
        name = f"{name} {time.time_ns()}"  # of its own: Dify replaces an enabled document of the same name
        body = {"name": name, "text": text, "indexing_technique": "economy", "process_rule": {"mode": "automatic"}}
        technique = self._call("GET", "").get("indexing_technique")
        document = self._call(
            "POST", "/document/create-by-text", body | ({"indexing_technique": technique} if technique else {})
        )
        document_id = str(document["document"]["id"])
        self.names[document_id] = name
        return document_id

    def wait_until_indexed(self, seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while any(self._document(i)["indexing_status"] != "completed" for i in self.names):
            if time.monotonic() > end:
                raise TimeoutError(f"The demo's documents were not indexed within {seconds:.0f} s.")
            time.sleep(1)

    def change(self, action: str, ids: list[str]) -> None:
        self._call("PATCH", f"/documents/status/{action}", {"document_ids": [*ids, ids[0]]})
        time.sleep(2)  # for the worker

    def look(self) -> list[list[str]]:
        return [self._row(document_id) for document_id in self.names]

    def delete_all(self) -> None:
        """Delete what the demo has made; an archived document has to be un-archived first."""
        if not self.names:
            return
        self._session.patch(
            f"{self._url}/documents/status/un_archive", json={"document_ids": list(self.names)}, timeout=60
        )
        for document_id in self.names:
            answer = self._session.delete(f"{self._url}/documents/{document_id}", timeout=60)
            if answer.status_code not in (200, 204):
                print(f"Document {document_id} of the demo could not be deleted: {answer.text}")

    def _row(self, document_id: str) -> list[str]:
        document = self._document(document_id)
        segments = self._call("GET", f"/documents/{document_id}/segments")["data"]
        in_search = sum(bool(segment["enabled"]) for segment in segments)
        flags = [_yes(document["enabled"]), _yes(document["archived"])]
        return [document["name"], document["indexing_status"], *flags, f"{in_search} of {len(segments)}"]

    def _document(self, document_id: str) -> dict[str, Any]:
        return self._call("GET", f"/documents/{document_id}?metadata=without")

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._session.request(method, self._url + path, json=body, timeout=60)
        answer.raise_for_status()
        payload = answer.json()
        return payload if isinstance(payload, dict) else {}


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _lock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds else "-"
