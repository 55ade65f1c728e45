"""The segments of a document: Dify's own record of which of them search may return.

Dify's worker changes all segments of a document at once, at the end of a job. For a document that leaves search, they
are proof: Dify never returns a disabled segment. For one that enters search they are not: Dify 1.16.0 shows ``enabled:
true`` for documents whose keywords it has lost (recording 1.16.0/21).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyRequestError
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.api import LONGEST_PAGE, Page, read_answer
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Pause, Request

#: How often a segment is sent that Dify is still working on, and the pause in seconds.
_TRIES, _PAUSE = 5, 2.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a document (a chunk on Dify's pages).

    :param id: Its id.
    :param content: Its text; in a question-and-answer document, the question.
    :param keywords: The words that find it in an economy knowledge base; ``None`` if Dify does not show them, as in a
        high-quality one.
    :param enabled: Whether search may return it.
    :param children: The texts of its child chunks, by which search finds it in a parent-child knowledge base.
    """

    id: str
    content: str
    keywords: tuple[str, ...] | None
    enabled: bool
    children: tuple[str, ...] = ()

    @classmethod
    def read(cls, item: Fields) -> Segment:
        """Read one segment of a response."""
        words = None if item.get("keywords") is None else item.texts("keywords")
        return cls(
            id=item.id(),
            content=item.maybe_text("content") or "",
            keywords=None if words is None else tuple(word for word in words if word.strip()),
            enabled=item.flag("enabled"),
            children=tuple(child.maybe_text("content") or "" for child in item.maybe_items("child_chunks")),
        )

    @property
    def entries(self) -> tuple[str, ...]:
        """The texts by which search finds it."""
        return self.children or (self.content,)


def segment_page(dataset_id: str, document_id: str, page: int = 1) -> Flow[Page[Segment]]:
    """Read one page of the segments of a document, in the order of its text.

    :raises DifyNotFoundError: The document is not in the knowledge base, or the knowledge base does not exist.

    https://docs.dify.ai/api-reference/chunks/list-chunks
    """
    response = yield Request(
        "GET",
        f"/datasets/{dataset_id}/documents/{document_id}/segments",
        query=(("page", page), ("limit", LONGEST_PAGE)),
    )

    def read(payload: Fields) -> Page[Segment]:
        items = tuple(map(Segment.read, payload.items("data")))
        return Page(items, total=payload.count("total") or len(items), full=len(items) >= LONGEST_PAGE)

    return read_answer(response, read)


def until_enabled(
    dataset_id: str, document_id: str, wanted: Callable[[Segment], bool] = lambda _: True
) -> Flow[tuple[Sequence[Segment], int]]:
    """Read the segments of a document up to the first page with an enabled one.

    :param wanted: What else such a segment must have.
    :return: The segments of the last page that was read, or of the first with an enabled one, and how many segments the
        document has.
    """
    number, enabled = 1, None
    while True:
        page = yield from segment_page(dataset_id, document_id, number)
        if enabled is None and any(segment.enabled for segment in page.items):
            enabled = page
        if any(segment.enabled and wanted(segment) for segment in page.items):
            return page.items, max(page.total, len(page.items))
        if not page.full or number * LONGEST_PAGE >= page.total:
            return (enabled or page).items, max(page.total, len(page.items))
        number += 1


def all_disabled(dataset_id: str, document_id: str) -> Flow[bool]:
    """Whether search can return no segment of a document. Reads all of them, or up to the first enabled one."""
    segments, _ = yield from until_enabled(dataset_id, document_id)
    return not any(segment.enabled for segment in segments)


def update_segment(
    dataset_id: str, document_id: str, segment_id: str, parts: Mapping[str, JSON], deadline: Deadline | None = None
) -> Flow[None]:
    """Change a segment. If Dify is still working on it ("Segment is indexing"), try again a few times.

    https://docs.dify.ai/api-reference/chunks/update-chunk

    :param parts: Its new parts; Dify requires ``content``. Search stops returning a disabled one at once.
    :param deadline: How long to wait at most.
    :raises DifyRequestError: Dify refused it.
    """
    path = f"/datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}"
    for tries_left in reversed(range(_TRIES)):
        try:
            yield Request("POST", path, json={"segment": dict(parts)})
        except DifyRequestError as error:
            if "please try again" not in error.detail or not tries_left:
                raise
            yield Pause(min(_PAUSE, deadline.remaining) if deadline else _PAUSE, "Dify is still working on the chunk.")
        else:
            return
