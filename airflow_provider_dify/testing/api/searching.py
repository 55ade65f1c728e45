"""Search: by keywords in an economy knowledge base, by vectors in a high-quality one."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from airflow_provider_dify.testing.api import shapes
from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import Complaint, InvalidParamError, Json, Reply, invalid, missing
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.model.index import Entry, vector_of
from airflow_provider_dify.testing.model.rows import Row, Segment
from airflow_provider_dify.testing.text.keywords import keywords

LONGEST_QUERY = 250
#: From this ``top_k`` on, pgvector examines everything: 100 returned 40 segments, 1,000 returned all 400. Values in
#: between were not measured and are assumed to behave like 100.
EVERYTHING_FROM = 1000
#: A search method that uses the words of a text in a high-quality knowledge base.
_FULL_TEXT = "full_text_search"
#: Parts of a retrieval model that must not be null: their type in pydantic's words, and their code.
_NOT_NULL = {
    "reranking_enable": ("boolean", "bool_type"),
    "top_k": ("integer", "int_type"),
    "score_threshold_enabled": ("boolean", "bool_type"),
    "vector_weight": ("number", "float_type"),
    "embedding_provider_name": ("string", "string_type"),
    "embedding_model_name": ("string", "string_type"),
    "keyword_weight": ("number", "float_type"),
}

#: Compares a value with that of a condition. Only ``is`` was recorded; the others follow Dify's documentation.
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "is": lambda value, wanted: value == wanted,
    "is not": lambda value, wanted: value != wanted,
    "contains": lambda value, wanted: str(wanted) in str(value),
    "not contains": lambda value, wanted: str(wanted) not in str(value),
    "start with": lambda value, wanted: str(value).startswith(str(wanted)),
    "end with": lambda value, wanted: str(value).endswith(str(wanted)),
    "=": operator.eq,
    "≠": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "≥": operator.ge,
    "≤": operator.le,
    "before": operator.lt,
    "after": operator.gt,
}


class Hit(NamedTuple):
    """One segment that was found.

    :param children: In a parent-child knowledge base: numbers and scores of the child chunks that were found.
    """

    document: Row
    segment: Segment
    score: float
    children: tuple[tuple[int, float], ...] = ()


def retrieve(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/retrieve``."""
    dataset, body, version = call.dataset, call.json_object(), call.world.version
    query = _checked_query(version, body)
    given = body.get("retrieval_model")
    model: Json = given if isinstance(given, dict) else {"search_method": "semantic_search", "top_k": 2}
    method, top_k = model["search_method"], max(int(model["top_k"]), 0)
    conditions = model.get("metadata_filtering_conditions") or {}
    if not dataset.has_vectors and method != "keyword_search":
        # An economy knowledge base has no vectors; the text depends on the server's settings.
        raise InvalidParamError("Default model not found for text-embedding")
    if dataset.has_vectors and not any(one.indexed and one.visible for one in dataset.in_order()):
        # The table of its vectors is created with the first segment.
        name = f"embedding_vector_index_{dataset.id.replace('-', '_')}_node"[:63]
        raise InvalidParamError(f'relation "{name}" does not exist')
    hits = search(dataset, query, lambda document: fits(document, conditions), method=method, top_k=top_k)
    records = [shapes.record_json(hit.document, hit.segment, hit.score, hit.children) for hit in hits]
    # 1.14.1 returned the bare text; the versions before and after it do not.
    echo: Any = query if version.startswith(("1.13.", "1.14.")) else {"content": query}
    return Reply(200, {"query": echo, "records": records}, cost="retrieve", size=len(records))


def _checked_query(version: str, body: Json) -> str:
    """The query of a request, checked in Dify's order."""
    if "query" not in body:
        raise invalid(version, "HitTestingPayload", missing("query", body))
    query = str(body["query"])
    if len(query) > LONGEST_QUERY:
        text = f"String should have at most {LONGEST_QUERY} characters"
        raise invalid(version, "HitTestingPayload", Complaint("query", text, "string_too_long", query))
    model = body.get("retrieval_model")
    if isinstance(model, dict):
        fields = ("search_method", "reranking_enable", "top_k", "score_threshold_enabled")
        absent = [missing(f"retrieval_model.{name}", model) for name in fields if name not in model]
        absent += _null_complaints(model)
        if absent:
            raise invalid(version, "HitTestingPayload", *absent)
    if not query:
        raise InvalidParamError("Query or attachment_ids is required")
    return query


def _null_complaints(model: Json) -> list[Complaint]:
    """Errors about null values in a request, even if the knowledge base's own retrieval model may have them (read in
    Dify's source).

    ``weights`` as a whole may be null (1.16.0, file 25).
    """
    given = model.get("weights")
    weights: Json = given if isinstance(given, dict) else {}
    parts = [("retrieval_model", model)]
    settings = [(name, weights.get(name)) for name in ("vector_setting", "keyword_setting")]
    parts += [(f"retrieval_model.weights.{name}", part) for name, part in settings if isinstance(part, dict)]
    return [
        Complaint(f"{where}.{name}", f"Input should be a valid {kind}", code, None)
        for where, part in parts
        for name, (kind, code) in _NOT_NULL.items()
        if name in part and part[name] is None
    ]


def search(
    dataset: Dataset,
    query: str,
    keep: Callable[[Row], bool] = lambda _: True,
    *,
    method: str | None = None,
    top_k: int | None = None,
    any_case: bool = False,
) -> list[Hit]:
    """Return the segments that a query finds, best first.

    The result depends on the segments alone, never on the flags of their documents. Hits are not counted: the
    ``hit_count`` of a document grows when an app searches, not here.

    :param keep: Whether a document may be found. It is checked last, as in Dify's source, so a document that it
        excludes uses up a place.
    :param method: ``None``: the default of the knowledge base.
    :param top_k: Maximum number; ``None``: all.
    :param any_case: Whether keywords match case-insensitively, unlike in Dify.
    """
    if not dataset.has_vectors:
        ranked = _by_keywords(dataset, query, top_k, any_case=any_case)
    elif method == "keyword_search":
        # There is no keyword table (1.16.0, file 25).
        return []
    else:
        examined = dataset.candidates if top_k is not None and top_k < EVERYTHING_FROM else top_k
        ranked = _by_similarity(dataset, query, examined, with_others=method != _FULL_TEXT and not any_case)
    found = _parents(ranked if top_k is None else ranked[:top_k])
    return [hit for hit in found if hit.document.indexed and hit.segment.enabled and keep(hit.document)]


def _by_keywords(dataset: Dataset, query: str, number: int | None, *, any_case: bool) -> list[Hit]:
    """Everything in the keyword table that shares a keyword, including disabled segments, most matches first.

    In Dify, equal segments come in the order of a set, so in no particular order; here they are ordered by id.

    :param number: Maximum number; ``None``: all.
    """
    ranked = dataset.index.ranked(keywords(query), any_case=any_case)
    return [Hit(entry.document, entry.segment, 0.0) for entry in islice(ranked, number)]


def _by_similarity(dataset: Dataset, query: str, number: int | None, *, with_others: bool) -> list[Hit]:
    """Entries of the vector store, most similar first.

    In a parent-child knowledge base it contains the child chunks: each is a separate hit here, and counts for
    ``top_k``.

    :param number: Maximum number; ``None``: all.
    :param with_others: Whether to include entries that have nothing in common with the query, as Dify does.
    """
    wanted, index = vector_of(query), dataset.index
    length = math.sqrt(sum(count * count for count in wanted.values()))
    hits, similar = [], set()
    for entry in index.having(wanted):
        if entry.held:
            product = sum(count * entry.vector[word] for word, count in wanted.items())
            hits.append(_hit(entry, product / (length * entry.length)))
            similar.add(id(entry))
    hits.sort(key=lambda hit: -hit.score)
    if with_others:
        others = (_hit(entry, 0.0) for entry in index.entries if entry.held and id(entry) not in similar)
        hits += islice(others, None if number is None else max(0, number - len(hits)))
    return hits[:number]


def _hit(entry: Entry, score: float) -> Hit:
    children = () if entry.child is None else ((entry.child, score),)
    return Hit(entry.document, entry.segment, score, children)


def _parents(hits: list[Hit]) -> list[Hit]:
    """Each segment once, at its first position, with all its child chunks that were found."""
    found: dict[int, Hit] = {}
    for hit in hits:
        first = found.setdefault(id(hit.segment), hit)
        if first is not hit:
            found[id(hit.segment)] = first._replace(children=first.children + hit.children)
    return list(found.values())


def fits(document: Row, conditions: Json) -> bool:
    """Whether the metadata of a document meets the conditions; without conditions it does."""
    met = [_meets(document.metadata or {}, one) for one in conditions.get("conditions") or []]
    return any(met) if met and conditions.get("logical_operator") == "or" else all(met)


def _meets(metadata: Json, condition: Json) -> bool:
    value, kind = metadata.get(condition["name"]), str(condition["comparison_operator"])
    if kind in ("empty", "not empty"):
        return (value in (None, "")) == (kind == "empty")
    if kind not in _COMPARISONS:
        raise InvalidParamError(f"Unknown comparison_operator: {kind}")
    try:
        return value is not None and bool(_COMPARISONS[kind](value, condition.get("value")))
    except TypeError:
        # A text is neither greater nor less than a number.
        return False


ROUTES = [
    route("/datasets/{dataset}/retrieve", post=retrieve),
    route("/datasets/{dataset}/hit-testing", post=retrieve),
]
