"""The endpoints that create a document or replace its content.

Each function is a flow of one request. None of them may simply be retried: if the response was lost, the flow has to
find out first whether the request was carried out. Reference: https://docs.dify.ai/api-reference
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.flow import JSON, Content, Flow, Request, Upload
from airflow_provider_dify.knowledge.ingest.options import DocumentOptions

#: Dify truncates longer names, and the document would not be found by its name again.
LONGEST_NAME = 200


def printable(name: str) -> str:
    """Return a name that can be shown, stored and sent: without halves of characters and NUL.

    In Python, a name with bytes that are not text contains such halves. Neither Dify nor Airflow's database stores
    them.
    """
    return name.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


class Source(Content, Protocol):
    """Something that should become a document."""

    @property
    def name(self) -> str:
        """Name of the document."""

    @property
    def place(self) -> str:
        """Where it comes from, for people."""

    @property
    def text(self) -> str | None:
        """Its text, if it is a text and not a file."""

    @property
    def problem(self) -> str | None:
        """Why it cannot become a document, as far as known without Dify."""

    @property
    def readable(self) -> bool:
        """Whether it could be accessed. If not, its problem may be temporary."""

    def digest(self) -> str:
        """Return the SHA-256 of its content, as sent if it was sent.

        :raises DifySourceError: It cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Accepted:
    """Dify's response to a content: it has the document, and will index it.

    :param document_id: Id of the document; the existing one if its content was replaced.
    :param batch: The batch to follow its indexing with.
    """

    document_id: str
    batch: str

    @classmethod
    def read(cls, payload: Fields) -> Accepted:
        """Read a response."""
        return cls(payload.object("document").id(), payload.id("batch") if payload.get("batch") else "")


def create(dataset_id: str, name: str, source: Source, options: DocumentOptions) -> Flow[Accepted]:
    """Create a document, or replace the content of an enabled one of the same name, archived or not.

    https://docs.dify.ai/api-reference/documents/create-document-by-text
    https://docs.dify.ai/api-reference/documents/create-document-by-file
    """
    path = f"/datasets/{dataset_id}/document/create-by-"
    return (yield from _send(path, name, source, options.to_json()))


def update(dataset_id: str, document_id: str, name: str, source: Source, options: DocumentOptions) -> Flow[Accepted]:
    """Replace the content of a document that is indexed, enabled and not archived. Dify refuses any other.

    https://docs.dify.ai/api-reference/documents/update-document-by-text
    https://docs.dify.ai/api-reference/documents/update-document-by-file
    """
    path = f"/datasets/{dataset_id}/documents/{document_id}/update-by-"
    data = {key: value for key, value in options.to_json().items() if key != "indexing_technique"}
    return (yield from _send(path, name, source, {**data, "name": name}))


def _send(path: str, name: str, source: Source, data: dict[str, JSON]) -> Flow[Accepted]:
    if (text := source.text) is not None:
        body = {**data, "name": name, "text": text}
        response = yield Request("POST", f"{path}text", json=body, repeatable=False)
    else:
        response = yield Request("POST", f"{path}file", upload=Upload(name, source, data), repeatable=False)
    return read_answer(response, Accepted.read)
