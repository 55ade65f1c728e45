"""Which documents of a knowledge base have become available since somebody looked last.

Available is what Dify calls so: indexed, enabled, and not archived. Dify has no list of changes and does not tell when
a document was switched on, so what is new comes from comparing: a :class:`Look` says what is available now, a
:class:`Watermark` remembers what needs no announcement any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import JSON, Flow
from airflow_provider_dify.knowledge.reading import Pager


def is_available(document: Document) -> bool:
    """Whether a document is what Dify calls available: indexed, enabled, and not archived."""
    return document.indexed and document.belongs_in_search


@dataclass(frozen=True)
class Look:
    """What was available in a knowledge base at some moment.

    :param available: The documents by id.
    :param complete: Whether each was seen in this look. Otherwise those that were not are taken over from the look
        before, because nothing spoke against it.
    """

    available: Mapping[str, Document] = field(default_factory=dict)
    complete: bool = False

    def also(self, document: Document) -> Look:
        """Return the look that would have seen a document, too."""
        return Look({document.id: document, **self.available}, self.complete)

    def without(self, document: Document) -> Look:
        """Return the look that would have missed a document."""
        return Look({i: other for i, other in self.available.items() if i != document.id})


def look(dataset_id: str, before: Look | None) -> Flow[Look]:
    """See which documents are available, and stop as soon as there can be no further news.

    Dify lists the newest documents first and says how many there are. When as many are unread as are unread of those
    that were there before, they are taken to be the same ones, and reading stops: one request, where nothing or only
    the newest changed. A document that was created long ago and is enabled again, or indexed late, makes the numbers
    differ, and reading goes on until it is found.

    The numbers agree, too, when one document left and another old one came between two looks. So a look without
    ``before`` is needed from time to time: it reads everything.

    https://docs.dify.ai/api-reference/documents/list-documents

    :param dataset_id: Canonical UUID of the knowledge base.
    :param before: The look before; ``None`` reads all pages.
    :raises DifyListChangedError: The list kept changing while it was read, and may lack documents.
    """
    pager: Pager[Document] = Pager()
    unread = set(before.available) if before else set()
    read: dict[str, Document] = {}
    while not pager.done:
        status = api.DocumentFilter.AVAILABLE.value
        page = yield from api.document_page(dataset_id, pager.page, status=status, limit=pager.limit)
        for document in pager.take(page):
            read[document.id] = document
            unread.discard(document.id)
        if before and pager.total - len(read) == len(unread):
            break
    complete = pager.done
    kept = {} if complete or not before else {document_id: before.available[document_id] for document_id in unread}
    # Before Dify 1.10.1 there is no filter, and the list holds everything.
    return Look({**kept, **{i: document for i, document in read.items() if is_available(document)}}, complete)


@dataclass(frozen=True)
class Watermark:
    """What needs no announcement any more: each document is announced once.

    A document that was there at the first look has not been announced. It is when it comes back after it was away,
    which is: not in two complete looks in a row, since a list that changes while it is read can lack one.

    :param base: Marks of documents that are there without having been announced; ``None``: there was no look yet.
    :param announced: Marks of documents that were announced.
    :param absent: Those of ``base`` that the last complete look did not see.
    """

    base: frozenset[str] | None = None
    announced: frozenset[str] = frozenset()
    absent: frozenset[str] = field(default=frozenset(), compare=False)

    def news(self, seen: Look) -> list[Document]:
        """Return what a look shows for the first time, the oldest first."""
        done = self.announced | (self.base or frozenset())
        new = [document for document in seen.available.values() if _mark(document.id) not in done]
        new.reverse()  # Dify lists the newest first, also among those of the same second
        return sorted(new, key=lambda document: document.created_at)

    def after(self, seen: Look, *, announce: bool = True) -> Watermark:
        """Return the watermark that a look leaves.

        :param announce: Whether its news are announced; otherwise they join the base line.
        """
        new = frozenset(_mark(document.id) for document in self.news(seen))
        base, absent = self.base or frozenset(), self.absent
        if seen.complete:
            missing = base - {_mark(document_id) for document_id in seen.available}
            base, absent = base - (missing & absent), missing - absent
        if announce:
            return Watermark(base, self.announced | new, absent)
        return Watermark(base | new, self.announced, absent)

    def joined(self, other: Watermark) -> Watermark:
        """Return the watermark that also knows what was announced under another one."""
        base = other.base if self.base is None else self.base
        return Watermark(base, self.announced | other.announced, self.absent)

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON: 17 bytes a document."""
        return {"base": " ".join(sorted(self.base or ())), "announced": " ".join(sorted(self.announced))}

    @classmethod
    def from_json(cls, value: JSON) -> Watermark:
        """Read what :meth:`to_json` wrote; anything else is a watermark of no look."""
        if not isinstance(value, dict) or not isinstance(value.get("base"), str):
            return cls()
        return cls(frozenset(value["base"].split()), frozenset(str(value.get("announced", "")).split()))


def _mark(document_id: str) -> str:
    """Return the half of a UUID that is random in all its versions in use: 62 bits tell documents apart."""
    return document_id.replace("-", "")[-16:]
