"""The first scene in a real Dify, with documents that are created for it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import requests  # noqa: TID253 - a script, not a DAG

from scripts.demo.show import Show, outcomes
from scripts.demo.switch import DAG, UNKNOWN_ID

#: What names a real Dify, and the knowledge base in it.
SETTINGS = ("DIFY_BASE_URL", "DIFY_API_KEY", "DIFY_DATASET_ID")


class DifyRefused(Exception):  # noqa: N818 - the end of the demo, not a mistake in it
    """Dify did not answer, or refused a request of the demo."""


def missing_settings(environment: Mapping[str, str]) -> list[str]:
    """Return the settings that are missing if others are given: nobody can tell which Dify is meant."""
    missing = [name for name in SETTINGS if not environment.get(name)]
    return missing if len(missing) < len(SETTINGS) else []


def switch_in(base_url: str, key: str, dataset_id: str, show: Show) -> bool:
    """Show the scene in a real Dify, and delete its documents at the end; return whether it ended as it should."""
    show.scene(
        "Replace version 1 of two pages with version 2",
        DAG,
        f"In knowledge base {dataset_id}. The demo touches only the four documents that it creates there.",
        "One of the new pages is enabled already, and one of the given ids is wrong.",
    )
    api = _Api(base_url, key, dataset_id)
    try:
        with show.working("Dify is indexing the documents of the demo"):
            new = [api.create(f"airflow demo v2 page {n}", f"page {n} of version two") for n in (1, 2)]
            old = [api.create(f"airflow demo v1 page {n}", f"demo page {n} of version one") for n in (1, 2)]
            api.wait_until_indexed()
            api.change("disable", new[:1])
        before = api.states()
        conf = {"dataset_id": dataset_id, "new_document_ids": new, "old_document_ids": [*old, UNKNOWN_ID]}
        connection = json.dumps({"conn_type": "dify", "host": base_url, "password": key})
        run = show.run(DAG, connection, conf)
        after = api.states()
        rows = zip(
            [*api.names.values(), "(the wrong id)"],
            [*before, "-"],
            [*after, "-"],
            outcomes(run.reports, [*api.names, UNKNOWN_ID]),
            strict=True,
        )
        show.table(["document", "before", "after", "report of the task"], list(rows))
        return show.verdict(
            "Search has version 2 and nothing of version 1.",
            run,
            good=run.state == "success" and after == ["in search", "in search", "archived", "archived"],
        )
    finally:
        if api.names:
            show.say("  Deleting the documents of the demo.")
            api.delete_all()


class _Api:
    """As much of Dify's API as the demo needs around the provider."""

    def __init__(self, base_url: str, key: str, dataset_id: str) -> None:
        base_url = base_url.rstrip("/")
        self._url = f"{base_url if base_url.endswith('/v1') else base_url + '/v1'}/datasets/{dataset_id}"
        self._headers = {"Authorization": f"Bearer {key}"}
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

    def states(self) -> list[str]:
        return [self._state(document_id) for document_id in self.names]

    def delete_all(self) -> None:
        """Delete what the demo has made; an archived document has to be un-archived first."""
        try:
            self._call("PATCH", "/documents/status/un_archive", {"document_ids": list(self.names)})
        except DifyRefused as error:
            print(error)
        for document_id, name in self.names.items():
            try:
                self._call("DELETE", f"/documents/{document_id}")
            except DifyRefused as error:
                print(f"{error} Delete '{name}' in Dify.")

    def _state(self, document_id: str) -> str:
        """Return whether search has all segments of a document, or why it has none."""
        document = self._document(document_id)
        segments = self._call("GET", f"/documents/{document_id}/segments")["data"]
        in_search = sum(bool(segment["enabled"]) for segment in segments)
        if in_search:
            return "in search" if in_search == len(segments) else f"{in_search} of {len(segments)} segments"
        return "archived" if document["archived"] else "-" if document["enabled"] else "disabled"

    def _document(self, document_id: str) -> dict[str, Any]:
        return self._call("GET", f"/documents/{document_id}?metadata=without")

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            # Over a connection of its own: Dify drops one that is idle for two seconds, and here is a DAG run between
            # two calls.
            answer = requests.request(method, self._url + path, json=body, headers=self._headers, timeout=60)
            answer.raise_for_status()
            payload = answer.json() if answer.content else {}
        except requests.RequestException as error:
            raise DifyRefused(f"{method} {self._url}{path} did not work: {error}.") from error
        return payload if isinstance(payload, dict) else {}
