"""The Knowledge API: routing, authorization, and responses.

Endpoints: https://docs.dify.ai/api-reference
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_dify.testing.api.replies import (
    ApiError,
    InternalError,
    Json,
    NotFoundError,
    Outcome,
    Reply,
    bad_request,
    page_not_found,
    redirect,
)
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.text.uploads import Form
from airflow_provider_dify.testing.work.world import World

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass
class Call:
    """One request, as far as it has been parsed.

    :param form: The contents of a form; its body is empty then.
    :param new_connection: Whether it is the first one on its TCP connection, as Dify's own server sees it.
    """

    world: World
    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    base: str
    new_connection: bool
    form: Form = field(default_factory=Form)
    #: The parts of the path.
    parts: dict[str, str] = field(default_factory=dict)
    found: Dataset | None = None
    #: Its API key, once it was read.
    key: str = ""

    @property
    def dataset(self) -> Dataset:
        """The knowledge base in the path. It exists and may be used."""
        if self.found is None:
            raise NotFoundError("Dataset not found.")
        return self.found

    def query(self) -> dict[str, str]:
        """The query; if a parameter is repeated, Dify takes the first."""
        pairs = parse_qsl(self.query_string, keep_blank_values=True)
        return dict(reversed(pairs))

    def json(self) -> Any:
        """The JSON of the body, whatever it is."""
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            text = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
            raise ApiError(415, "unsupported_media_type", text)
        try:
            return json.loads(self.body)
        except ValueError:
            raise bad_request() from None

    def json_object(self) -> Json:
        """The JSON of the body if Dify assumes that it is an object."""
        body = self.json()
        if not isinstance(body, dict):
            raise InternalError
        return body


Handler = Callable[[Call], Outcome]
#: Checks the key of a request, and what it may be used for.
Authorise = Callable[[Call, str], None]


@dataclass(frozen=True)
class Route:
    """A path and its handler for each method."""

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]
    #: ``None``: it needs no key.
    authorise: Authorise | None


def authorise_knowledge(call: Call, key: str) -> None:
    """Check the key, then the knowledge base of the path, in Dify's order."""
    if key not in call.world.keys:
        raise ApiError(401, "unauthorized", "Access token is invalid")
    bound_to = call.world.keys[key]
    name = call.parts.get("dataset")
    if name is None:
        if bound_to is not None:
            # Read in Dify's source, not recorded, like the text.
            raise ApiError(403, "forbidden", "The API key is bound to one knowledge base.")
        return
    dataset = call.world.datasets.get(name.lower())
    if dataset is None:
        raise NotFoundError("Dataset not found." + suggestion(call))
    if bound_to not in (None, dataset):
        raise ApiError(403, "forbidden", "The API key is bound to another knowledge base.")
    if not dataset.api_enabled:
        raise ApiError(403, "forbidden", "Dataset api access is not enabled.")
    call.found = dataset


#: Routes that Dify's framework finds similar to a path with this ending.
_DATASET = "/v1/datasets/<uuid:dataset_id>"
_SIMILAR = {
    "/document/create-by-text": [
        f"{_DATASET}/document/{name}" for name in ("create-by-text", "create_by_text", "create-by-file")
    ],
    "/documents/download-zip": [f"{_DATASET}/documents/download-zip"],
    "/datasets/tags": [
        "/v1/datasets/tags",
        f"{_DATASET}/tags",
        f"{_DATASET}/documents/<uuid:document_id>/segments/<uuid:segment_id>/child_chunks/<uuid:child_chunk_id>",
    ],
    "/datasets/tags/binding": [f"/v1/datasets/tags{name}" for name in ("/binding", "/unbinding", "")],
    "/datasets/tags/unbinding": [f"/v1/datasets/tags{name}" for name in ("/unbinding", "/binding", "")],
}


def suggestion(call: Call) -> str:
    """What Dify's framework appends to a 404 if the path is similar to other routes."""
    likely = next((routes for ending, routes in _SIMILAR.items() if call.path.endswith(ending)), None)
    return f" You have requested this URI [{call.path}] but did you mean {' or '.join(likely)} ?" if likely else ""


def route(path: str, authorise: Authorise = authorise_knowledge, **handlers: Handler) -> Route:
    """A route: ``{dataset}``, ``{document}``, ``{field}``, ``{segment}`` and ``{child}`` are UUIDs, other parts in
    braces any name.

    :param authorise: Checks the key.
    """
    return Route(_pattern("/v1" + path), _by_method(handlers), authorise)


def merged(routes: Iterable[Route]) -> list[Route]:
    """Return one route for each path, with the handlers of all routes that have it."""
    found: dict[str, Route] = {}
    for one in routes:
        known = found.get(one.pattern.pattern)
        found[one.pattern.pattern] = replace(known, handlers={**known.handlers, **one.handlers}) if known else one
    return list(found.values())


def open_route(path: str, **handlers: Handler) -> Route:
    """A route beside the API, which needs no key."""
    return Route(_pattern(path), _by_method(handlers), None)


def _pattern(path: str) -> re.Pattern[str]:
    names = dict.fromkeys(("dataset", "document", "field", "segment", "child", "file"), UUID)
    return re.compile(re.sub(r"\{(\w+)\}", lambda name: f"(?P<{name[1]}>{names.get(name[1], '[^/]+')})", path))


def _by_method(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    return {method.upper(): handler for method, handler in handlers.items()}


def answer(call: Call, routes: list[Route]) -> Outcome:
    """Answer a request like Dify, including errors."""
    call.world.tick()
    try:
        return _dispatch(call, routes)
    except ApiError as error:
        return error.reply()


def _dispatch(call: Call, routes: list[Route]) -> Outcome:
    for one in routes:
        match = one.pattern.fullmatch(call.path)
        if match is None:
            continue
        call.parts = match.groupdict()
        if call.method == "OPTIONS":
            allowed = ", ".join([*one.handlers, "OPTIONS"])
            return Reply(200, content_type="text/html; charset=utf-8", headers={"Allow": allowed})
        handler = one.handlers.get(call.method)
        if handler is None:
            raise ApiError(405, "method_not_allowed", "The method is not allowed for the requested URL.")
        if one.authorise is not None:
            call.key = _key(call)
            one.authorise(call, call.key)
        return handler(call)
    merged = re.sub("/{2,}", "/", call.path)
    if merged != call.path and any(one.pattern.fullmatch(merged) for one in routes):
        return redirect(call.base + merged)
    return page_not_found()


def _key(call: Call) -> str:
    """The API key of a request, sent as ``Authorization: Bearer …``."""
    header = call.headers.get("authorization", "").strip()
    scheme, space, key = header.partition(" ")
    if not space:
        text = "Authorization header must be provided and start with 'Bearer'"
        raise ApiError(401, "unauthorized", text)
    if scheme.lower() != "bearer":
        raise ApiError(401, "unauthorized", "Authorization scheme must be 'Bearer'")
    return key.strip()
