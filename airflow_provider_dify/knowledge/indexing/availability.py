"""Finds the documents of a knowledge base that have become available since the last check.

Available means the same as in Dify: indexed, enabled, and not archived. Dify has no list of changes and does not say
when a document was enabled, so news are found by comparing: a :class:`Availability` has what is available now, a
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
    """Whether a document is available, as Dify calls it: indexed, enabled, and not archived."""
    return document.indexed and document.belongs_in_search


@dataclass(frozen=True)
class Availability:
    """What was available in a knowledge base at some moment.

    :param available: The documents by id.
    :param complete: Whether all of them were read this time. Otherwise the others are taken over from the read before,
        because nothing contradicted it.
    """

    available: Mapping[str, Document] = field(default_factory=dict)
    complete: bool = False

    def also(self, document: Document) -> Availability:
        """Return the result with an additional document."""
        return Availability({document.id: document, **self.available}, self.complete)

    def without(self, document: Document) -> Availability:
        """Return the result without a document."""
        return Availability({i: other for i, other in self.available.items() if i != document.id})


def look(dataset_id: str, before: Availability | None) -> Flow[Availability]:
    """Find the available documents, and stop reading as soon as there can be no more news.

    Dify lists the newest documents first and says how many there are. If as many are unread now as of the documents
    before, they are assumed to be the same, and reading stops: one request if nothing or only the newest changed. If an
    old document is enabled again, or is indexed late, the numbers differ, and reading continues until it is found.

    The numbers also match if one document left and another old one came between two reads. So a read without ``before``
    is needed from time to time: it reads everything.

    https://docs.dify.ai/api-reference/documents/list-documents

    :param dataset_id: Canonical UUID of the knowledge base.
    :param before: The previous result; ``None`` reads all pages.
    :raises DifyListChangedError: The list kept changing while it was read, so documents may be missing.
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
    # Before Dify 1.10.1 there is no filter, and the list contains all documents.
    return Availability({**kept, **{i: document for i, document in read.items() if is_available(document)}}, complete)


@dataclass(frozen=True)
class Watermark:
    """What needs no announcement any more: each document is announced once.

    A document that existed at the first read was not announced. It is announced if it comes back after it was absent
    from two complete reads in a row: one is not enough, because a list that changes while it is read can lack a
    document.

    :param base: Marks of documents that exist without having been announced; ``None``: nothing was read yet.
    :param announced: Marks of documents that were announced.
    :param absent: Those of ``base`` that were absent from the last complete read.
    """

    base: frozenset[str] | None = None
    announced: frozenset[str] = frozenset()
    absent: frozenset[str] = field(default=frozenset(), compare=False)

    def news(self, seen: Availability) -> list[Document]:
        """Return the documents that are new in a result, oldest first."""
        done = self.announced | (self.base or frozenset())
        new = [document for document in seen.available.values() if _mark(document.id) not in done]
        new.reverse()  # Dify lists the newest first, also among those of the same second
        return sorted(new, key=lambda document: document.created_at)

    def after(self, seen: Availability, *, announce: bool = True) -> Watermark:
        """Return the watermark after a result.

        :param announce: Whether its news are announced; otherwise they join the base.
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
        """Return a watermark that also knows what was announced under another one."""
        base = other.base if self.base is None else self.base
        return Watermark(base, self.announced | other.announced, self.absent)

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON: 17 bytes a document."""
        return {"base": " ".join(sorted(self.base or ())), "announced": " ".join(sorted(self.announced))}

    @classmethod
    def from_json(cls, value: JSON) -> Watermark:
        """Read what :meth:`to_json` wrote; for anything else, return a watermark before the first read."""
        if not isinstance(value, dict) or not isinstance(value.get("base"), str):
            return cls()
        return cls(frozenset(value["base"].split()), frozenset(str(value.get("announced", "")).split()))


def _mark(document_id: str) -> str:
    """Return the random half of a UUID: 62 bits are enough to distinguish documents."""
    return document_id.replace("-", "")[-16:]
