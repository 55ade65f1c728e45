"""What a search should return, and what it must not return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.retrieval.search import MOST_HITS, Hit, check_query, check_score, check_top_k
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.hints import did_you_mean, why
from airflow_provider_dify.knowledge.text.names import canonical

_QUERY_KEYS = ("query", "expect", "expect_not", "top_k", "min_score")
_EXPECTATION_KEYS = ("id", "name", "metadata", "first")


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document in the results of a search.

    :param rank: Its rank among the documents, from 1, by its best segment.
    :param hit: That segment.
    """

    rank: int
    hit: Hit

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        hit = self.hit
        return {
            "document_id": hit.document_id,
            "document_name": hit.document_name,
            "rank": self.rank,
            "score": hit.score,
            "segment_id": hit.segment_id,
        }


def ranked(hits: Iterable[Hit]) -> tuple[FoundDocument, ...]:
    """Return the documents of segments, each once, in the order of their best segment."""
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(hit.document_id, hit)
    return tuple(FoundDocument(rank, hit) for rank, hit in enumerate(first.values(), start=1))


@dataclass(frozen=True, slots=True)
class Expectation:
    """A document that a search should or should not return. All conditions have to match.

    :param id: Its id.
    :param name: A pattern for its name: ``*`` is any text, ``?`` any character, ``[ab]`` one of them.
    :param metadata: Values of its metadata by name.
    :param first: It has to be among this many first documents.
    """

    id: str | None = None
    name: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict, hash=False)
    first: int | None = None

    @classmethod
    def parse(cls, value: object, parameter: str) -> Expectation:
        """Read what a user wrote: an id, or a mapping.

        :raises DifyInputError: It describes no document.
        """
        if not isinstance(value, Mapping):
            return cls(id=_id(value, parameter))
        _refuse_unknown(value, _EXPECTATION_KEYS, parameter)
        if not value.keys() - {"first"}:
            raise DifyInputError(f"{parameter} names no document. Give it an id, a name, or metadata.")
        return cls(
            id=_id(value["id"], f"{parameter}['id']") if "id" in value else None,
            name=_pattern(value["name"], f"{parameter}['name']") if "name" in value else None,
            metadata=_metadata(value["metadata"], f"{parameter}['metadata']") if "metadata" in value else {},
            first=check_top_k(value["first"], f"{parameter}['first']") if "first" in value else None,
        )

    def fits(self, found: FoundDocument) -> bool:
        """Whether a document matches."""
        hit = found.hit
        return (
            self.id in (None, hit.document_id)
            and (self.name is None or fnmatchcase(hit.document_name, self.name))
            and all(_equal(wanted, hit.metadata.get(name)) for name, wanted in self.metadata.items())
        )

    def in_place(self, found: FoundDocument) -> bool:
        """Whether a document is ranked high enough."""
        return self.first is None or found.rank <= self.first

    def describe(self) -> str:
        """Describe the document."""
        parts = [
            *([self.id] if self.id else []),
            *([f"name like '{self.name}'"] if self.name else []),
            *(f"{name}={value}" for name, value in self.metadata.items()),
            *([f"in the first {self.first}"] if self.first else []),
        ]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and what it should return.

    :param query: What to search for.
    :param expect: All of these have to be found.
    :param expect_not: None of these may be found.
    :param top_k: How many segments to return.
    :param min_score: Results with a lower score do not count; ``None``: all of them count.
    """

    query: str
    expect: tuple[Expectation, ...] = ()
    expect_not: tuple[Expectation, ...] = ()
    top_k: int = 5
    min_score: float | None = None


def questions(
    value: object, *, expect: object = None, top_k: object = 5, min_score: object = None
) -> tuple[Question, ...]:
    """Read queries: each a text or a mapping, a list of them, or a text that contains such a list.

    :param expect: What queries without their own expectation should return.
    :param top_k: How many segments to return, unless a query says it itself.
    :param min_score: The minimum score, unless a query says it itself.
    :raises DifyInputError: There are no queries, or one is invalid.
    """
    found = inputs.literal(value)
    if isinstance(found, str) and found.strip().startswith(("[", "{")):
        raise DifyInputError(f"queries looks like a list or a mapping, but is not: {inputs.show(value)}.")
    found = inputs.as_text(found)
    items = [found] if isinstance(found, (str, Mapping)) else found
    if not isinstance(items, Iterable) or isinstance(items, (bytes, bytearray)):
        raise DifyInputError(f"queries must be a list of texts or mappings, not {inputs.show(value)}.{why(value)}")
    defaults = {"expect": expect, "top_k": top_k, "min_score": min_score}
    if expect is not None:
        _expectations(expect, "expect")
    check_top_k(top_k, "top_k")
    if min_score is not None:
        check_score(min_score, "min_score")
    asked = tuple(_question(item, f"queries[{number}]", defaults) for number, item in enumerate(items))
    if not asked:
        raise DifyInputError("queries contains no query, so nothing would be checked.")
    return asked


def _question(value: object, parameter: str, defaults: Mapping[str, object]) -> Question:
    given = value if isinstance(value, Mapping) else {"query": value}
    _refuse_unknown(given, _QUERY_KEYS, parameter)
    if "query" not in given:
        raise DifyInputError(f"{parameter} has no query: {inputs.show(value)}.")
    query = check_query(given["query"], f"{parameter}['query']" if given is value else parameter)
    own = {key for key in ("expect", "expect_not") if given.get(key) is not None}
    wanted = {**defaults, **given}
    min_score = wanted["min_score"]
    question = Question(
        query,
        _expectations(wanted["expect"], f"{parameter}['expect']") if wanted["expect"] is not None else (),
        _expectations(given["expect_not"], f"{parameter}['expect_not']") if "expect_not" in own else (),
        check_top_k(wanted["top_k"], f"{parameter}['top_k']"),
        None if min_score is None else check_score(min_score, f"{parameter}['min_score']"),
    )
    if (named := len({one.id for one in question.expect} - {None})) > question.top_k:
        raise DifyInputError(
            f"{parameter} expects {named} documents by id, but asks for only {number_of(question.top_k, 'segment')}. "
            f"Raise top_k, or use more queries: {inputs.show(query)}."
        )
    if not question.expect and not question.expect_not:
        raise DifyInputError(f"{parameter} has neither expect nor expect_not: {inputs.show(query)}.{why(query)}")
    return question


def _expectations(given: object, parameter: str) -> tuple[Expectation, ...]:
    value = inputs.literal(given)
    items = [value] if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable) else list(value)
    if not items:
        raise DifyInputError(f"{parameter} is empty. Leave it out if you expect nothing of it.")
    if len(items) > MOST_HITS:
        raise DifyInputError(f"{parameter} names {len(items)} documents, but a search returns at most {MOST_HITS}.")
    one = isinstance(value, (str, Mapping))
    return tuple(
        Expectation.parse(item, parameter if one else f"{parameter}[{number}]") for number, item in enumerate(items)
    )


def _id(value: object, parameter: str) -> str:
    try:
        return inputs.canonical_id(value, parameter)
    except DifyInputError:
        raise DifyInputError(
            f"{parameter} is not a UUID: {inputs.show(value)}.{why(value)} To expect a document by name or metadata, "
            "use {'name': 'guide*'} or {'metadata': {'source_id': 'crm'}}."
        ) from None


def _pattern(value: object, parameter: str) -> str:
    text = inputs.as_text(value)
    if not isinstance(text, str) or not text.strip():
        raise DifyInputError(f"{parameter} must be a pattern for names, not {inputs.show(value)}.{why(value)}")
    return canonical(inputs.pattern(text, parameter))


def _metadata(value: object, parameter: str) -> dict[str, JSON]:
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise DifyInputError(f"{parameter} must map names of metadata fields to values, not {inputs.show(value)}.")
    found: dict[str, JSON] = {}
    for name, one in value.items():
        wanted = one if isinstance(one, (int, float)) else inputs.as_text(one)
        if isinstance(wanted, bool) or not isinstance(wanted, (str, int, float)):
            raise DifyInputError(
                f"{parameter}[{inputs.show(name)}] must be text or a number, not {inputs.show(wanted)}."
            )
        found[name] = wanted
    return found


def _refuse_unknown(value: Mapping[object, object], known: tuple[str, ...], parameter: str) -> None:
    for key in value:
        if key not in known:
            raise DifyInputError(
                f"{parameter} has the key {inputs.show(key)}; it may have {', '.join(known)}.{did_you_mean(key, known)}"
            )


def _equal(wanted: JSON, present: JSON) -> bool:
    # Somebody may have stored a number as text: Dify's own filters do not distinguish 7 and "7".
    return present is not None and (present == wanted or str(present) == str(wanted))
