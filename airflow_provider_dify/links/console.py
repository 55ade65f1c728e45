"""Links from a task to what it works on, in Dify's console.

A task pushes its links to XCom when it begins, so that they are there while it runs. What shows them reads them there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_dify.transport.settings import Settings


class _ConsoleLink(BaseOperatorLink):
    """A link that its task leaves in XCom."""

    @property
    def xcom_key(self) -> str:
        """Key under which the task leaves the address; from Airflow 3 on, the page reads it without this class."""
        return f"_link_{type(self).__name__}"

    def get_link(self, operator: object, *, ti_key: Any) -> str:  # noqa: ARG002 - as called
        """Return the address; an empty text where the task left none."""
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(ti_key=ti_key, key=self.xcom_key) or ""


class DifyKnowledgeBaseLink(_ConsoleLink):
    """From a task to the documents of its knowledge base."""

    name = "Knowledge base in Dify"


class DifyDocumentLink(_ConsoleLink):
    """From a task on a single document to this document."""

    name = "Document in Dify"


class DifyAppLink(_ConsoleLink):
    """From a task to the log of the app that it runs."""

    name = "Log of the app in Dify"


def app_link(settings: Settings, app_id: str) -> str:
    """Return the address of an app's log in Dify's console; empty if it is not known, or holds a secret."""
    console = _console(settings)
    return f"{console}/app/{app_id}/logs" if console and app_id else ""


def console_links(settings: Settings, dataset_id: str, document_ids: Sequence[str]) -> dict[str, str]:
    """Return the addresses in Dify's console, by the XCom key under which a task leaves them.

    :param settings: How Dify is reached.
    :param dataset_id: UUID of the knowledge base.
    :param document_ids: The documents of the task; a document has an address only if it is the only one.
    :return: None of them if it is not known where the console lives, or if its address holds a secret.
    """
    console = _console(settings)
    if not console:
        return {}
    documents = f"{console}/datasets/{dataset_id}/documents"
    links = {DifyKnowledgeBaseLink().xcom_key: documents}
    if len(document_ids) == 1:
        links[DifyDocumentLink().xcom_key] = f"{documents}/{document_ids[0]}"
    return links


def _console(settings: Settings) -> str:
    """Return the address of Dify's console; empty if it is not known, or holds a secret."""
    if settings.console_url is None:
        return ""
    parts = urlsplit(settings.console_url)
    console = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return console if settings.masked(console) == console else ""
