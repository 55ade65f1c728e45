"""Turns error responses of apps into errors with advice.

Recordings: 1.16.0, files 42 to 44.
"""

from __future__ import annotations

import re

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAppError,
    DifyAppKeyError,
    DifyNotFoundError,
    DifyRateLimitError,
    DifyRequestError,
)
from airflow_provider_dify.knowledge.flow import Request

#: The beginnings of paths that need an app key.
_OF_APPS = (
    "/chat-messages", "/completion-messages", "/conversations", "/files", "/info", "/messages", "/parameters",
    "/workflow",
)  # fmt: skip
#: The same status and code as for a wrong parameter.
_TOO_MANY = re.compile(r"^Too many requests", re.IGNORECASE)
_UNPUBLISHED = re.compile(r"not published", re.IGNORECASE)
_ANOTHER_MODE = (
    "The key is for an app with another mode. Use DifyWorkflowRunOperator for workflows, and DifyChatMessageOperator "
    "for chat apps, agents and chatflows."
)
_PUBLISH = "Publish the app in Dify, and check that it has the right mode."
_ADVICE = {
    "not_workflow_app": _ANOTHER_MODE,
    "not_chat_app": _ANOTHER_MODE,
    "app_unavailable": _PUBLISH,
}


def is_about_app(request: Request) -> bool:
    """Whether a request needs an app key."""
    return request.path.startswith(_OF_APPS)


def kind_of_app_error(status: int, code: str | None, detail: str) -> tuple[type[DifyRequestError], str] | None:
    """Return the class and advice for an error; ``None`` if it is not specific to apps."""
    if status == 401:
        return DifyAppKeyError, (
            "Put the API key of the app (it starts with 'app-') into the password of the connection. A Knowledge API "
            "key ('dataset-') does not work for apps."
        )
    if status == 403:
        return DifyAccessError, "Enable API access of the app in Dify."
    if status == 404 and code:
        return DifyNotFoundError, "Check the id, and check that the key of the connection is for the same app."
    if status == 400:
        return _kind_of_400(code, detail)
    return None


def _kind_of_400(code: str | None, detail: str) -> tuple[type[DifyRequestError], str]:
    if _TOO_MANY.match(detail):
        return DifyRateLimitError, (
            "The app has too many requests at a time: run fewer tasks at a time, or raise the limit in Dify. With a "
            "limit of 1, an app cannot be run in streaming mode at all."
        )
    if _UNPUBLISHED.search(detail):
        return DifyAppError, _PUBLISH
    return DifyAppError, _ADVICE.get(code or "", "Check the inputs and files of the request.")
