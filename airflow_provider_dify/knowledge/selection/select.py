"""Selects documents by their properties instead of their ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import TypeVar

from airflow_provider_dify.exceptions import DifyInputError, DifyNotFoundError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.selection import conditions
from airflow_provider_dify.knowledge.selection.conditions import ALWAYS, MetadataValue, Span
from airflow_provider_dify.knowledge.text.counts import number_of, part_of
from airflow_provider_dify.knowledge.text.hints import did_you_mean
from airflow_provider_dify.knowledge.text.names import canonical, same_in_all_forms

V = TypeVar("V")

_KEYS = (
    "status", "name", "keyword", "created_after", "created_before", "updated_after", "updated_before", "metadata",
    "enabled", "archived", "max_hits", "never_retrieved",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """Conditions for documents, all of which have to hold. Without any condition, every document matches.

    :param statuses: Its status as Dify shows it is one of these.
    :param names: Its name matches one of these patterns: ``*`` is any text, ``?`` any character, ``[ab]`` one of them.
    :param keyword: Its name contains this: ``%`` is any text, ``_`` any character.
    :param created: When it was created.
    :param updated: When it was last changed in Dify, in any way: a status change counts, too.
    :param metadata: For each of these fields, it has one of the values; ``None`` stands for no value.
    :param enabled: Whether it is enabled.
    :param archived: Whether it is archived.
    :param max_hits: Search has returned it at most this often. Dify counts that, and does not show when it was.
    """

    statuses: tuple[api.DocumentFilter, ...] = ()
    names: tuple[str, ...] = ()
    keyword: str | None = None
    created: Span = ALWAYS
    updated: Span = ALWAYS
    metadata: Mapping[str, tuple[MetadataValue, ...]] = field(default_factory=dict)
    enabled: bool | None = None
    archived: bool | None = None
    max_hits: int | None = None

    @classmethod
    def parse(cls, filters: object, now: float, parameter: str = "filters") -> Selection:
        """Read filters: a mapping, or a text that contains one.

        :param filters: With any of the keys ``status``, ``name``, ``keyword``, ``created_after``, ``created_before``,
            ``updated_after``, ``updated_before``, ``metadata``, ``enabled``, ``archived``, ``max_hits`` and
            ``never_retrieved``.
        :param now: Reference time for ages, in seconds since the epoch.
        :param parameter: Their name in errors; empty if each key is a separate parameter.
        :raises DifyInputError: A key is unknown, or its value is invalid.
        """
        given = conditions.mapping(filters, parameter)
        prefix = f"{parameter}." if parameter else ""
        for key, value in given.items():
            if key not in _KEYS:
                hint = did_you_mean(key, _KEYS)
                raise DifyInputError(f"{prefix}{inputs.without_keys(key)[:50]} is unknown; {_known(parameter)}.{hint}")
            if value is None:
                raise DifyInputError(f"{prefix}{key} is null. Leave it out if it should not filter.")
        read = _Reader(given, now, prefix)
        return cls(
            statuses=read.statuses(),
            names=tuple(map(canonical, read.value("name", conditions.texts) or ())),
            keyword=read.keyword(),
            created=read.span("created"),
            updated=read.span("updated"),
            metadata=read.value("metadata", conditions.metadata) or {},
            enabled=read.value("enabled", inputs.flag),
            archived=read.value("archived", inputs.flag),
            max_hits=read.max_hits(),
        )

    @property
    def is_everything(self) -> bool:
        """Whether there are no conditions, so that every document matches."""
        return self == EVERYTHING

    @property
    def sent_status(self) -> str | None:
        """The status to filter by in Dify, which supports one or all."""
        return self.statuses[0].value if len(self.statuses) == 1 else None

    @property
    def sent_keyword(self) -> str | None:
        """The part of a name to filter by in Dify, which distinguishes the forms of a name."""
        return same_in_all_forms(self.keyword) if self.keyword else None

    @property
    def is_sent(self) -> bool:
        """Whether Dify's list is filtered, so that its count is not that of the knowledge base."""
        return self.sent_status is not None or self.sent_keyword is not None

    def may_match(self, document: Document) -> bool:
        """Whether a document matches, as far as a list shows. For :attr:`updated`, it has to be read by itself."""
        return (
            (not self.statuses or document.display_status in self.statuses)
            and (not self.names or any(fnmatchcase(document.name, pattern) for pattern in self.names))
            and (self.keyword is None or _is_like(self.keyword, document.name))
            and document.created_at in self.created
            and (self.updated.before is None or document.created_at < self.updated.before)
            and all(conditions.is_one_of(document.metadata.get(n), wanted) for n, wanted in self.metadata.items())
            and self.enabled in (None, document.enabled)
            and self.archived in (None, document.archived)
            and (self.max_hits is None or document.hit_count <= self.max_hits)
        )

    def matches(self, document: Document) -> bool:
        """Whether a document matches that was read by itself, or whose last change does not matter."""
        return document.updated_at in self.updated and self.may_match(document)

    def describe(self) -> str:
        """Describe the selection, for the log."""
        parts = [
            *self._described("status", [status.value for status in self.statuses]),
            *self._described("name", [f"'{name}'" for name in self.names]),
            *([f"keyword '{self.keyword}'"] if self.keyword is not None else []),
            *self.created.describe("created"),
            *self.updated.describe("updated"),
            *(
                part
                for name, wanted in self.metadata.items()
                for part in self._described(f"metadata {name}", [repr(value) for value in wanted])
            ),
            *([] if self.enabled is None else ["enabled" if self.enabled else "not enabled"]),
            *([] if self.archived is None else ["archived" if self.archived else "not archived"]),
            *([] if self.max_hits is None else [f"returned by search at most {self.max_hits} times"]),
        ]
        return inputs.without_keys(", ".join(parts)) or "everything"

    @staticmethod
    def _described(what: str, options: list[str]) -> list[str]:
        return [f"{what} {' or '.join(options)}"] if options else []


EVERYTHING = Selection()


class _Reader:
    """Reads the values of filters."""

    def __init__(self, given: Mapping[str, object], now: float, prefix: str) -> None:
        self._given = given
        self._now = now
        self._prefix = prefix

    def value(self, key: str, read: Callable[[object, str], V]) -> V | None:
        return read(self._given[key], self._prefix + key) if key in self._given else None

    def statuses(self) -> tuple[api.DocumentFilter, ...]:
        names = self.value("status", conditions.texts) or ()
        return tuple(dict.fromkeys(inputs.choice(name, api.DocumentFilter, f"{self._prefix}status") for name in names))

    def keyword(self) -> str | None:
        keywords = self.value("keyword", conditions.texts) or (None,)
        if len(keywords) > 1:
            raise DifyInputError(
                f"{self._prefix}keyword must be a single text, not {inputs.show(self._given['keyword'])}."
            )
        return keywords[0] and canonical(keywords[0])

    def span(self, name: str) -> Span:
        after, before = self._given.get(f"{name}_after"), self._given.get(f"{name}_before")
        return conditions.span(after, before, self._now, self._prefix + name)

    def max_hits(self) -> int | None:
        if (never := self.value("never_retrieved", inputs.flag)) is None:
            return self.value("max_hits", partial(inputs.whole_number, minimum=0))
        if not never or "max_hits" in self._given:
            raise DifyInputError(
                f"{self._prefix}never_retrieved can only be true, and cannot be combined with max_hits: it means "
                "max_hits 0."
            )
        return 0


@dataclass(frozen=True)
class Selected:
    """The documents that were selected.

    :param documents: The documents, newest first.
    :param total: How many documents the knowledge base has.
    """

    documents: tuple[Document, ...]
    total: int

    def describe(self, selection: Selection) -> str:
        """Describe how many were selected, and name a few."""
        number = len(self.documents)
        names = ", ".join(f"'{document.name}'" for document in self.documents[:3])
        more = f" and {number - 3:,} more" if number > 3 else ""
        named = f": {names}{more}" if names else ""
        if selection.is_everything:
            return f"Selected {'all ' * (number > 1)}{number_of(number)}{named}."
        return f"Selected {part_of(number, self.total)} by {selection.describe()}{named}."


def select(dataset_id: str, selection: Selection, progress: Progress) -> Flow[Selected]:
    """Select documents of a knowledge base, reliably even while others create and delete some.

    Dify filters as far as it can. Its results are checked again, because older versions do not filter.

    :param progress: Reports the progress.
    :raises DifyListChangedError: The list kept changing while it was read, so documents may be missing.
    """
    total = (yield from api.get_dataset(dataset_id)).document_count if selection.is_sent else 0
    pager: Pager[Document] = Pager()
    read, listed = 0, []
    while not pager.done:
        page = yield from page_of(dataset_id, pager, selection)
        new = pager.take(page)
        listed += [document for document in new if selection.may_match(document)]
        read += len(new)
        yield from progress.note("Listed", read, pager.total)
    documents = yield from passing(dataset_id, listed, selection, progress)
    # Documents that were added meanwhile came from another read of the list.
    documents.sort(key=lambda document: -document.created_at)
    return Selected(tuple(documents), max(total, pager.total, len(documents)))


def page_of(dataset_id: str, pager: Pager[Document], selection: Selection) -> Flow[api.Page[Document]]:
    """Read the next page of the documents that may match."""
    status, keyword = selection.sent_status, selection.sent_keyword
    return api.document_page(dataset_id, pager.page, status=status, keyword=keyword, limit=pager.limit)


def passing(
    dataset_id: str, listed: Iterable[Document], selection: Selection, progress: Progress | None = None
) -> Flow[list[Document]]:
    """Return those listed documents that match. If the time of the last change matters, each is read by itself."""
    candidates = [document for document in listed if selection.may_match(document)]
    if not selection.updated:
        return candidates
    found = []
    for number, document in enumerate(candidates, 1):
        try:
            single = yield from api.get_document(dataset_id, document.id)
        except DifyNotFoundError as error:
            if not api.document_is_missing(error):
                raise
            continue
        seen = replace(single, metadata=document.metadata)
        if selection.matches(seen):
            found.append(seen)
        if progress:
            yield from progress.note("Read the time of the last change of", number, len(candidates))
    return found


def _known(parameter: str) -> str:
    return f"the keys of {parameter} are {', '.join(_KEYS)}"


def _is_like(keyword: str, name: str) -> bool:
    """Whether a keyword matches as in Dify's database: ``%`` for any text, ``_`` for any character.

    This compares part by part: one regular expression with many ``%`` could take forever.
    """
    at = 0
    for part in keyword.split("%"):
        found = _part(part).search(name, at)
        if not found:
            return False
        at = found.end()
    return True


@lru_cache
def _part(part: str) -> re.Pattern[str]:
    return re.compile("".join("." if char == "_" else re.escape(char) for char in part), re.DOTALL)
