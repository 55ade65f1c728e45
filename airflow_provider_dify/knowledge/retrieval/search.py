"""Searches a knowledge base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, Plain, an_object_or_nothing
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.documents import Technique
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request
from airflow_provider_dify.knowledge.text.names import canonical

#: Dify rejects longer queries.
LONGEST_QUERY = 250
#: More segments for one query would be a way to list a knowledge base, not to search it.
MOST_HITS = 100
_EXCERPT = 200


class SearchMethod(str, Enum):
    """How Dify searches, as named in its API."""

    KEYWORD = "keyword_search"
    SEMANTIC = "semantic_search"
    FULL_TEXT = "full_text_search"
    HYBRID = "hybrid_search"


@dataclass(frozen=True, slots=True)
class Hit:
    """A segment that a search returned. Several can belong to one document.

    :param document_id: Its document.
    :param document_name: The document's name.
    :param score: Dify's score; 0 in an economy knowledge base, which has no scores.
    :param segment_id: Its id.
    :param content: The beginning of its text.
    :param metadata: The metadata of its document: values by name.
    """

    document_id: str
    document_name: str
    score: float
    segment_id: str
    content: str
    metadata: Mapping[str, Plain] = field(default_factory=dict, hash=False)

    @classmethod
    def read(cls, record: Fields) -> Hit:
        """Read one record of a response."""
        segment = record.object("segment")
        document = segment.maybe_object("document")
        text = " ".join(str(segment.get("content") or "").encode(errors="replace").decode().split())
        return cls(
            document_id=segment.id("document_id"),
            document_name=canonical(document.maybe_text("name") or ""),
            score=record.number("score"),
            segment_id=segment.text("id"),
            content=text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…",
            metadata=document.maybe_object("doc_metadata").plain(),
        )


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How a knowledge base is searched.

    :param economy: Whether it uses keywords instead of vectors.
    :param model: Its own settings, as Dify stores them.
    """

    economy: bool
    model: Mapping[str, JSON]

    @classmethod
    def read(cls, item: Fields) -> SearchSettings:
        """Read the settings from a response about a knowledge base."""
        own = item.read("retrieval_model_dict", an_object_or_nothing)
        # A knowledge base without documents has no technique yet (null), and finds nothing by any method.
        if "indexing_technique" not in item.values:
            raise ValueError("'indexing_technique' is missing")
        return cls(item.maybe_text("indexing_technique") != Technique.HIGH_QUALITY.value, own or {})

    def request(self, top_k: int, method: SearchMethod | None, score_threshold: float | None) -> dict[str, JSON]:
        """Return the settings for a search: its own, except those given here.

        :raises DifyInputError: The knowledge base cannot be searched in this way.
        """
        if self.economy and method not in (None, SearchMethod.KEYWORD):
            raise DifyInputError(
                f"search_method must be keyword_search or missing, not {method.value if method else None}: an economy "
                "knowledge base has no vectors."
            )
        if self.economy and score_threshold:
            raise DifyInputError(
                f"min_score {score_threshold:g} cannot be reached: in an economy knowledge base, Dify gives every hit "
                "the score 0."
            )
        settings: dict[str, JSON] = {"reranking_enable": False, "score_threshold_enabled": False}
        if self.economy:
            return {**settings, "search_method": SearchMethod.KEYWORD.value, "top_k": top_k}
        settings |= {"search_method": SearchMethod.SEMANTIC.value, **self.model, "top_k": top_k}
        if method:
            settings["search_method"] = method.value
        if score_threshold is not None:
            settings |= {"score_threshold_enabled": True, "score_threshold": score_threshold}
        return settings


def search_settings(dataset_id: str) -> Flow[SearchSettings]:
    """Read how a knowledge base is searched.

    https://docs.dify.ai/api-reference/knowledge-bases/get-knowledge-base
    """
    return read_answer((yield Request("GET", f"/datasets/{dataset_id}")), SearchSettings.read)


def search(dataset_id: str, query: str, settings: Mapping[str, JSON]) -> Flow[tuple[Hit, ...]]:
    """Return the segments that match a query, best first.

    https://docs.dify.ai/api-reference/knowledge-bases/retrieve-chunks-from-a-knowledge-base-test-retrieval
    """
    response = yield Request(
        "POST", f"/datasets/{dataset_id}/retrieve", json={"query": query, "retrieval_model": dict(settings)}
    )
    return read_answer(response, lambda payload: tuple(map(Hit.read, payload.items("records"))))


def retrieve(
    dataset_id: object,
    query: object,
    *,
    top_k: int = 5,
    search_method: object = None,
    score_threshold: float | None = None,
) -> Flow[tuple[Hit, ...]]:
    """Search a knowledge base with its own settings, except those given here.

    :param dataset_id: UUID of the knowledge base.
    :param query: What to search for, at most 250 characters.
    :param top_k: How many segments to return, at most 100.
    :param search_method: ``keyword_search``, ``semantic_search``, ``full_text_search`` or ``hybrid_search``; ``None``:
        as set in the knowledge base.
    :param score_threshold: Only segments with at least this score, from 0 to 1; ``None``: as set in the knowledge base.
    :return: The segments, best first.
    :raises DifyInputError: An argument is invalid.
    """
    checked_id = inputs.canonical_id(dataset_id, "dataset_id")
    text = check_query(query, "query")
    number = check_top_k(top_k, "top_k")
    method = check_method(search_method)
    threshold = None if score_threshold is None else check_score(score_threshold, "score_threshold")
    settings = yield from search_settings(checked_id)
    return (yield from search(checked_id, text, settings.request(number, method, threshold)))


def check_query(value: object, parameter: str) -> str:
    """Return a query. A template may have rendered it as a number or date.

    :raises DifyInputError: Dify would reject it.
    """
    text = inputs.text(value, parameter, "text to search for")
    if len(text) > LONGEST_QUERY:
        raise DifyInputError(
            f"{parameter} has {len(text)} characters, {inputs.show(text)}. Dify accepts at most {LONGEST_QUERY}."
        )
    return text


def check_top_k(value: object, parameter: str) -> int:
    """Return how many segments to ask for.

    :raises DifyInputError: The number is invalid.
    """
    number = inputs.whole_number(value, parameter)
    if number > MOST_HITS:
        raise DifyInputError(f"{parameter} must be at most {MOST_HITS}, not {number}.")
    return number


def check_score(value: object, parameter: str) -> float:
    """Return a score.

    :raises DifyInputError: It is invalid.
    """
    try:
        score = inputs.number_or_zero(value, parameter)
    except DifyInputError:
        score = -1.0
    if not 0 <= score <= 1:
        raise DifyInputError(f"{parameter} must be a number from 0 to 1, not {inputs.show(value)}.")
    return score


def check_method(value: object) -> SearchMethod | None:
    """Return how to search; ``None``: as set in the knowledge base.

    :raises DifyInputError: There is no such method.
    """
    return None if value is None else inputs.choice(value, SearchMethod, "search_method")
