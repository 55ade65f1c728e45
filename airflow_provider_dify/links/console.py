"""Links from a task to its knowledge base, document or app in Dify's console.

A task pushes its links to XCom when it starts, so that they work while it runs. Airflow's UI reads them from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_dify.transport.settings import Settings


class _ConsoleLink(BaseOperatorLink):
    """A link that its task has pushed to XCom."""

    @property
    def xcom_key(self) -> str:
        """XCom key of the URL. From Airflow 3 on, the UI reads it without this class."""
        return f"_link_{type(self).__name__}"

    def get_link(self, operator: object, *, ti_key: Any) -> str:  # noqa: ARG002 - as called
        """Return the URL; empty if the task has not pushed one."""
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(ti_key=ti_key, key=self.xcom_key) or ""


class DifyKnowledgeBaseLink(_ConsoleLink):
    """Links a task to the documents of its knowledge base."""

    name = "Knowledge base in Dify"


class DifyDocumentLink(_ConsoleLink):
    """Links a task with a single document to this document."""

    name = "Document in Dify"


class DifyAppLink(_ConsoleLink):
    """Links a task to the log of its app."""

    name = "Log of the app in Dify"


def app_link(settings: Settings, app_id: str) -> str:
    """Return the URL of an app's log in Dify's console; empty if it is unknown or contains a secret."""
    console = _console(settings)
    return f"{console}/app/{app_id}/logs" if console and app_id else ""


def console_links(settings: Settings, dataset_id: str, document_ids: Sequence[str]) -> dict[str, str]:
    """Return URLs in Dify's console, by their XCom keys.

    :param settings: How to reach Dify.
    :param dataset_id: UUID of the knowledge base.
    :param document_ids: The documents of the task; a document has a URL only if it is the only one.
    :return: The URLs; nothing if the console's URL is unknown or contains a secret.
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
    """Return the URL of Dify's console; empty if it is unknown or contains a secret."""
    if settings.console_url is None:
        return ""
    parts = urlsplit(settings.console_url)
    console = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return console if settings.masked(console) == console else ""
