"""Turns error responses of Dify into errors with advice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAuthenticationError,
    DifyDocumentBusyError,
    DifyEndpointError,
    DifyKilledError,
    DifyKnowledgeBaseError,
    DifyKnowledgeBaseFailed,
    DifyNotFoundError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.knowledge.app_errors import is_about_app, kind_of_app_error
from airflow_provider_dify.knowledge.flow import JSON, Request, Response
from airflow_provider_dify.knowledge.text.names import canonical

_BUSY = re.compile(r"^Document: ?(?P<name>.*) is (?:being indexed|not completed)", re.DOTALL)
#: Only the text distinguishes a used-up plan from missing rights.
_PLAN_LIMIT = re.compile(r"request rate limit", re.IGNORECASE)
_PLAN_FULL = re.compile(r"capacity of the vector space|number of documents|limit of your subscription", re.IGNORECASE)
#: The same code as for a wrong parameter (the first from Dify's source).
_RETRIED = re.compile(r"^Document is being retried")
_METADATA_BUSY = re.compile(r"^Another (document|knowledge base) metadata operation is running", re.IGNORECASE)
_ANY = re.DOTALL | re.IGNORECASE
#: Dify's reasons to reject all documents of a knowledge base, and what to do about them. The form: 1.16.0, file 27. The
#: rule: 1.14.1, file 07. The others are from Dify's source (1.16.0).
_REFUSES_ALL = (
    (
        re.compile(r"^No Embedding Model available|^The dataset is unavailable|^No valid model provider credentials"),
        "Dify has no embedding model for the knowledge base. Check Settings > Model Provider in Dify.",
    ),
    (
        re.compile(r"^External datasets are not supported"),
        "It is an external knowledge base, which holds no documents. Use another dataset_id.",
    ),
    (
        re.compile(r"^(doc_form is different|Invalid doc_form)|^\d+ validation errors? .*\ndoc_form\b", _ANY),
        "Remove doc_form: the knowledge base has another one.",
    ),
    (
        re.compile(r"^(process[ _]rule|No process rule)|^\d+ validation errors? .*\nprocess_rule\b", _ANY),
        "Check process_rule: Dify accepts no document with it.",
    ),
    (
        re.compile(r"^indexing[_ ]technique|^\d+ validation errors? .*\nindexing_technique\b", _ANY),
        "Check indexing_technique: it must be 'economy' or 'high_quality'.",
    ),
)
_NOT_ACCEPTED = "Dify does not accept the request."
_SEE_ITS_TEXT = "Read its text above; the log of its API server has more."
#: A proxy or Dify was too slow, or not ready for the request. A later request may succeed.
_SLOW = frozenset({408, 425})
#: The content was rejected by Dify or by a proxy.
_REFUSED_FILES = {
    413: "Raise client_max_body_size there (nginx), and UPLOAD_FILE_SIZE_LIMIT in Dify (15 MB by default).",
    415: "Check the file type: Dify goes by the extension, a firewall by the content.",
    422: "Check the content and the options of the document.",
}
#: Responses of a gateway that blocks a method.
_BLOCKED = frozenset({403, 405, 406, 501})
#: The second kind of knowledge base of Dify 1.18 and newer (from its source: api/controllers/service_api/knowledge_fs).
FOR_AGENTS = (
    "It is a knowledge base for agents ('/knowledge-fs'), which has another API that this provider does not support. "
    "Use the id of a classic knowledge base."
)
_LONGEST_QUOTE = 300
_LONGEST_ID = 100
#: Maximum number of bytes of a body that are read to describe it.
_LONGEST_EXCERPT = 4096
#: Maximum ``Retry-After`` in seconds. A server may even send so many digits that the number is infinite.
_LONGEST_RETRY_AFTER = 86_400.0
_NO_JSON = object()
#: All other answers are objects.
_ANSWERED_WITH_LISTS = frozenset({"/datasets/tags"})


def error_in(request: Request, response: Response, *, reads_work: bool = False) -> DifyRequestError | None:
    """Return the error in a response; ``None`` if it is a good response of Dify.

    :param reads_work: Whether Dify has answered a GET of the same conversation. Then the host is right, and a page
        means that something in between blocks other methods.
    """
    if response.status == 204 or _is_204_as_body(request, response):
        return None
    if request.enough is not None and is_stream(response.status, response.headers):
        return None
    if request.into is not None and is_file(response.status, response.headers):
        return None
    if request.path in _ANSWERED_WITH_LISTS and response.status == 200 and isinstance(_json(response), list):
        return None
    payload = _json_object(response)
    if reads_work and _is_blocked(request, response, payload):
        return _blocked(request, response, payload)
    if payload is None or 300 <= response.status < 400:
        return _page_error(request, response)
    if response.status < 300:
        return None
    return _json_error(request, response, payload)


def _is_204_as_body(request: Request, response: Response) -> bool:
    """Whether a deletion or a change was answered as in Dify 1.12: with status 200 and ``204`` in the body."""
    return request.method != "GET" and response.status == 200 and response.body.strip() == b"204"


def is_file(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer is an archive of files.

    :param headers: Its headers, by names of any case.
    """
    return status == 200 and headers.get("content-type", "").startswith("application/zip")


def is_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer is a stream of events.

    :param headers: Its headers, by names of any case.
    """
    return status < 300 and "text/event-stream" in headers.get("content-type", "")


def busy_name(error: DifyDocumentBusyError) -> str | None:
    """Return the name of the document that caused a refusal, as Dify says."""
    match = _BUSY.match(error.detail)
    return canonical(match["name"]) if match else None


def retry_after(response: Response) -> float | None:
    """Return the seconds of ``Retry-After``, in either of its forms; ``None`` if there is none."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return min(float(value), _LONGEST_RETRY_AFTER)
    until = response.date("retry-after")
    return None if until is None else min(max(0.0, until - response.created_at), _LONGEST_RETRY_AFTER)


def _json_object(response: Response) -> dict[str, JSON] | None:
    payload = _json(response)
    return payload if isinstance(payload, dict) else None


def _json(response: Response) -> object:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return _NO_JSON


def _json_error(request: Request, response: Response, payload: dict[str, JSON]) -> DifyRequestError:
    status = response.status
    code = _field(response, payload, "code", 100) or None
    # Refused chunks only have "error" (Dify 1.16.0, recording 31).
    detail = next(filter(None, (_field(response, payload, name, 10_000) for name in ("message", "error"))), "")
    of_app = kind_of_app_error(status, code, detail) if is_about_app(request) else None
    kind, advice = of_app or _kind(status, code, detail)
    if code and code.startswith("knowledge_fs_"):
        kind, advice = DifyRequestError, FOR_AGENTS
    quoted = f'"{_quote(detail)}"' if detail else "no message"
    return _build(kind, request, response, f"{status} {code or 'without a code'}, {quoted}", advice, code, detail)


def _field(response: Response, payload: dict[str, JSON], name: str, longest: int) -> str:
    """Return a field of a response as text, limited in length."""
    try:
        text = str(payload.get(name) or "")
    except RecursionError:
        return ""
    # Mask again, because JSON may have escaped a secret; and remove halves of characters.
    return response.masked(text).encode(errors="replace").decode()[:longest]


def _is_blocked(request: Request, response: Response, payload: dict[str, JSON] | None) -> bool:
    """Whether something in front of Dify blocks a method: the response has neither Dify's version nor an error code."""
    if request.method == "GET" or "x-version" in response.headers:
        return False
    if payload is not None:
        return response.status == 405 or (response.status in _BLOCKED and not payload.get("code"))
    is_page = bool(response.body.strip()) and not _is_cut_off(response)
    return response.status in _BLOCKED or (response.status < 300 and is_page)


def _blocked(request: Request, response: Response, payload: dict[str, JSON] | None) -> DifyRequestError:
    if payload is None:
        what = f"{response.status} and {_describe(response)}"
    else:
        detail = _field(response, payload, "message", _LONGEST_QUOTE)
        what = f'{response.status}, "{_quote(detail)}"' if detail else f"{response.status}"
    message = (
        f"Something in front of Dify blocks {request.method}, although GET works: a gateway, a proxy, or a firewall. "
        f"Make it let {request.method} through to Dify's API. {request.method} {request.path} was answered with "
        f"{what}."
    )
    return DifyEndpointError(message, status=response.status)


def _kind(status: int, code: str | None, detail: str) -> tuple[type[DifyRequestError], str]:
    """Return the class of an error in Dify's JSON, and what to do about it."""
    if status == 401:
        return DifyAuthenticationError, (
            "Put a Knowledge API key of this workspace (it starts with 'dataset-') into the password of the "
            "connection. An app key ('app-') does not work for knowledge bases."
        )
    if status == 403 and _PLAN_LIMIT.search(detail):
        return DifyPlanLimitError, (
            "The Dify workspace has reached the request limit of its plan. Wait, or upgrade the plan."
        )
    if status == 403 and _PLAN_FULL.search(detail):
        return DifyRequestError, (
            "The Dify workspace has reached the size limit of its plan. Delete documents, or upgrade the plan."
        )
    if status == 403:
        return DifyAccessError, (
            "Enable API access for the knowledge base in Dify, and check that the key is not limited to other "
            "knowledge bases."
        )
    if status == 404 and code is None:
        return DifyEndpointError, "This answer is not from Dify. Check the host of the connection (it ends in /v1)."
    if status == 404:
        return DifyNotFoundError, "Check the ids, and that the key belongs to the same workspace."
    if status == 400:
        return _kind_of_400(code, detail)
    if status == 429:
        return DifyRateLimitError, "Too many requests. Try again later, or run fewer tasks at a time."
    if status >= 500 or status in _SLOW:
        return DifyServerError, "Dify failed. See the log of its API server, by the trace id if there is one."
    return DifyRequestError, f"{_NOT_ACCEPTED} {_REFUSED_FILES.get(status, _SEE_ITS_TEXT)}"


def _kind_of_400(code: str | None, detail: str) -> tuple[type[DifyRequestError], str]:
    if advice := _advice_if_busy(code, detail):
        return DifyDocumentBusyError, advice
    if code == "dataset_not_initialized":
        return DifyKnowledgeBaseError, "Dify is still setting up the knowledge base. Try again in a moment."
    if advice := _advice_if_all_refused(code, detail):
        return DifyKnowledgeBaseFailed, advice
    return DifyRequestError, f"{_NOT_ACCEPTED} {_SEE_ITS_TEXT}"


def _advice_if_busy(code: str | None, detail: str) -> str | None:
    if (code == "invalid_action" and _BUSY.match(detail)) or _RETRIED.search(detail):
        return "Dify is working on the document, or left its lock behind (for at most 600 s)."
    if _METADATA_BUSY.match(detail):
        return "Somebody else is changing metadata there. Try again in a moment."
    return None


def _advice_if_all_refused(code: str | None, detail: str) -> str | None:
    if code == "provider_not_initialize":  # the text may come from the model provider
        return _REFUSES_ALL[0][1]
    return next((advice for words, advice in _REFUSES_ALL if words.search(detail)), None)


def _page_error(request: Request, response: Response) -> DifyRequestError:
    """Return the error for a page, a redirect or broken JSON: the response is not from Dify's API."""
    status = response.status
    what = f"{status} and {_describe(response)} instead of Dify's JSON"
    if 300 <= status < 400:
        target = response.headers.get("location", "")
        advice = f"Redirects are not followed. Set the host of the connection to the target: {_quote(target)}."
        return _build(DifyEndpointError, request, response, f"{status}, a redirect", advice)
    if status == 429:
        return _build(DifyRateLimitError, request, response, what, "Too many requests. Try again later.")
    if status >= 500 or status in _SLOW:
        return _build(DifyServerError, request, response, what, "Dify or a proxy in front of it is not available.")
    if status == 413 or (status in _REFUSED_FILES and request.upload is not None):
        who = "A proxy refused it because of its size." if status == 413 else "A proxy or firewall refused it."
        advice = f"{who} {_REFUSED_FILES[status]}"
        return _build(DifyRequestError, request, response, what, advice)
    if _is_cut_off(response):
        broken = f"{status} and JSON that is cut off or broken, {_describe(response)}"
        return _build(
            DifyServerError, request, response, broken, "Dify or a proxy in front of it broke off the answer."
        )
    advice = (
        "Check the host of the connection: the base URL of Dify's API usually ends in /v1. Changing the status of "
        "documents needs Dify 1.5.0 or later."
    )
    return _build(DifyEndpointError, request, response, what, advice)


def _is_cut_off(response: Response) -> bool:
    """Whether a response begins like Dify's but is invalid. A retry may help."""
    return response.body.lstrip().startswith(b"{") and _json(response) is _NO_JSON


def _describe(response: Response) -> str:
    if not response.body:
        return "an empty body"
    title = re.search(rb"<title[^>]*>(.*?)</title>", response.body, re.DOTALL | re.IGNORECASE)
    if title:
        return f"the page '{_quote(response.masked(title[1].decode(errors='replace')).strip())}'"
    # Mask first, then cut: half a secret would not be found.
    return f"'{_quote(response.masked(response.body[:_LONGEST_EXCERPT].decode(errors='replace'))[:200])}'"


def _build(
    kind: type[DifyRequestError],
    request: Request,
    response: Response,
    what: str,
    advice: str,
    code: str | None = None,
    detail: str = "",
) -> DifyRequestError:
    version = response.headers.get("x-version", "")[:_LONGEST_ID] or None
    trace_id = response.headers.get("x-trace-id", "")[:_LONGEST_ID] or None
    seen = [f"Dify {version}" if version else "", f"trace id {trace_id}" if trace_id else ""]
    origin = ", ".join(part for part in seen if part)
    message = f"{request.method} {request.path} was answered with {what}. {advice}"
    return kind(
        f"{message} ({origin})" if origin else message,
        status=response.status,
        code=code,
        server_version=version,
        trace_id=trace_id,
        retry_after=retry_after(response),
        detail=detail,
    )


def _quote(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def may_be_carried_out(error: BaseException) -> bool:
    """Whether a failed request may have been carried out."""
    if isinstance(error, DifyKilledError):  # raised before a request, never during one
        return False
    if isinstance(error, DifyTransportError):
        return error.reached
    if isinstance(error, DifyRequestError):
        return error.status == 408 or not 300 <= (error.status or 0) < 500
    return True  # cancelled while waiting for the response
