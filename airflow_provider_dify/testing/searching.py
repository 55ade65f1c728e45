"""Search, as far as economy knowledge bases have it: by words."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from airflow_provider_dify.testing import shapes
from airflow_provider_dify.testing.api import Call
from airflow_provider_dify.testing.replies import Complaint, InvalidParamError, Json, Reply, invalid, missing
from airflow_provider_dify.testing.rows import Row
from airflow_provider_dify.testing.world import Dataset

LONGEST_QUERY = 250

#: Comparisons of a value with that of a condition. Only ``is`` was recorded, the others are Dify's documentation.
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


def retrieve(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/retrieve``."""
    dataset, body, version = call.dataset, call.json_object(), call.world.version
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
        if absent:
            raise invalid(version, "HitTestingPayload", *absent)
    if not query:
        raise InvalidParamError("Query or attachment_ids is required")
    method = model["search_method"] if isinstance(model, dict) else "semantic_search"
    if method != "keyword_search" and dataset.indexing_technique != "high_quality":
        # An economy knowledge base has no vectors; which text comes depends on the server's settings.
        raise InvalidParamError("Default model not found for text-embedding")
    top_k = int(model["top_k"]) if isinstance(model, dict) else 2
    conditions = model.get("metadata_filtering_conditions") if isinstance(model, dict) else None
    hits = search(dataset, query, lambda document: fits(document, conditions or {}))
    records = [shapes.record_json(*hit) for hit in hits[: max(top_k, 0)]]
    echo: Any = {"content": query} if version.startswith("1.12.") else query
    return Reply(200, {"query": echo, "records": records}, cost="retrieve")


def search(
    dataset: Dataset, query: str, keep: Callable[[Row], bool] = lambda _: True
) -> list[tuple[Row, int, str, float]]:
    """Segments with a word of the query in them: document, index, text, score; the best first.

    What is found depends on the segments alone, never on the flags of their documents. Nobody counts the hits: the
    ``hit_count`` of a document grows where an app searches, not here.

    :param keep: Whether a document may be found.
    """
    words = set(re.findall(r"\w+", query.lower()))
    hits = []
    for document in dataset.in_order():
        if not (document.searchable or document.added) or not keep(document):
            continue
        for index, text in enumerate(shapes.segment_texts(document)):
            common = words & set(re.findall(r"\w+", text.lower()))
            if common and document.finds(index):
                hits.append((document, index, text, len(common)))
    hits.sort(key=lambda hit: -hit[3])
    return [(document, index, text, 0.0) for document, index, text, _ in hits]


def fits(document: Row, conditions: Json) -> bool:
    """Whether the metadata of a document meet the conditions; without any it does."""
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
        # A text is neither more nor less than a number.
        return False
