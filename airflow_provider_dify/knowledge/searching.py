"""Seeing whether search follows the flags of documents, with few reads while it does not yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyNotFoundError
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.progress import Progress

#: The worker turns all segments of a document at once. A few are read, as somebody may have switched one by hand.
_SEGMENTS_READ = 5
#: After so many misses in a row, documents are skipped: the worker takes its jobs in order and is not so far yet.
_MISSES_BEFORE_SKIPPING = 4


@dataclass
class Look:
    """What one look at search showed.

    :param followed: Search shows these documents as their flags say.
    :param behind: It does not yet.
    :param gone: These were deleted meanwhile.
    """

    followed: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def look_at_search(
    dataset_id: str, ids: Sequence[str], documents: Mapping[str, Document], *, skip: bool, progress: Progress
) -> Flow[Look]:
    """Look at documents in the order in which they were sent.

    :param documents: Their states; the flags tell whether search should find them.
    :param skip: Whether to leave out ever more of those that come after misses: so it costs one read for each
        document once the worker is through with it, and next to nothing before.
    :param progress: Says how far it is.
    """
    look = Look()
    position, stride, misses = 0, 1, 0
    while position < len(ids):
        document_id = ids[position]
        try:
            enabled = yield from api.segments_enabled(dataset_id, document_id, _SEGMENTS_READ)
        except DifyNotFoundError as error:
            if not api.document_is_missing(error):
                raise
            look.gone.append(document_id)
        else:
            # A document without segments is in search as much as it ever will be.
            if not enabled or any(enabled) is documents[document_id].belongs_in_search:
                look.followed.append(document_id)
                misses, stride = 0, 1
            else:
                look.behind.append(document_id)
                misses += 1
                stride = stride * 2 if skip and misses > _MISSES_BEFORE_SKIPPING else 1
        yield from progress.note(lambda: f"Search has followed {len(look.followed)} of {len(ids)} documents.")
        position += stride
    return look
