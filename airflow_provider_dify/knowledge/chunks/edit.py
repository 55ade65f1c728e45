"""Reading, adding, changing and deleting chunks by hand, and reading back that it worked.

Search follows at once for a chunk that is added or disabled; for the others, Dify's worker does it in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from airflow_provider_dify.exceptions import (
    DifyChunkError,
    DifyInputError,
    DifyListChangedError,
    DifyNotFoundError,
    DifyRequestError,
)
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.flow import JSON, Flow, Pause, Request
from airflow_provider_dify.knowledge.status.segments import Segment, segment_page

#: How often a chunk is tried that Dify is still working on, and the pause in seconds.
_TRIES, _PAUSE = 5, 2.0
#: How often a list is read that changes meanwhile.
_READINGS = 3
_PARTS = ("content", "answer", "keywords")


def list_chunks(dataset_id: str, document_id: str) -> Flow[tuple[Segment, ...]]:
    """Read all chunks of a document, in the order of its text.

    :raises DifyListChangedError: They kept changing meanwhile.
    """
    for _ in range(_READINGS):
        found: dict[str, Segment] = {}
        number, page = 0, None
        while page is None or (page.full and len(found) < page.total):
            number += 1
            page = yield from segment_page(dataset_id, document_id, number)
            found |= {one.id: one for one in page.items}
        if len(found) == page.total:
            return tuple(found.values())
    raise DifyListChangedError(
        f"The chunks of document {document_id} kept changing while they were read. Try again later."
    )


def new_chunks(value: object) -> list[dict[str, JSON]]:
    """Return what chunks should hold: texts, or mappings with ``content``, ``answer`` and ``keywords``.

    :raises DifyInputError: Something of this makes no sense.
    """
    items = [value] if isinstance(value, (str, Mapping)) else value
    if not isinstance(items, Iterable) or isinstance(items, bytes):
        raise DifyInputError(f"chunks must be a list of texts or mappings, not {inputs.show(value)}.")
    found = [_new_chunk(one, f"chunks[{number}]") for number, one in enumerate(items)]
    if not found:
        raise DifyInputError(f"chunks contains no chunk: {inputs.show(value)}.")
    return found


def _new_chunk(value: object, parameter: str) -> dict[str, JSON]:
    given = value if isinstance(value, Mapping) else {"content": value}
    if unknown := [name for name in given if name not in _PARTS]:
        raise DifyInputError(f"{parameter} has no part {inputs.show(unknown[0])}. It has {', '.join(_PARTS)}.")
    return checked_parts({"content": None, **given}, parameter)


def checked_parts(given: Mapping[str, object], parameter: str) -> dict[str, JSON]:
    """Return the parts of a chunk in the form that Dify accepts; parts that are ``None`` are left out.

    :raises DifyInputError: One of them makes no sense.
    """
    parts: dict[str, JSON] = {}
    for name, value in given.items():
        where = f"{parameter}['{name}']"
        if name == "keywords" and value is not None:
            if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
                raise DifyInputError(f"{where} must be a list of words, not {inputs.show(value)}.")
            parts[name] = [inputs.text(one, where) for one in value]
        elif value is not None or name == "content":
            parts[name] = inputs.text(value, where)
    return parts


def add_chunks(dataset_id: str, document_id: str, chunks: Sequence[Mapping[str, JSON]]) -> Flow[tuple[Segment, ...]]:
    """Add chunks to a document; it must be indexed and enabled.

    https://docs.dify.ai/api-reference/chunks/create-chunks
    """
    path = f"/datasets/{dataset_id}/documents/{document_id}/segments"
    response = yield Request("POST", path, json={"segments": list(chunks)}, repeatable=False)
    made = read_answer(response, lambda payload: tuple(map(Segment.read, payload.items("data"))))
    ids = [one.id for one in made]
    found = yield from _read_back(dataset_id, document_id, ids, lambda one: one.enabled)
    if [one.content for one in found] != [one["content"] for one in chunks]:
        raise _error(document_id, ids, "do not hold what was sent")
    return found


def change_chunk(dataset_id: str, document_id: str, chunk_id: str, parts: Mapping[str, JSON]) -> Flow[Segment]:
    """Change parts of a chunk, which must be enabled.

    https://docs.dify.ai/api-reference/chunks/update-chunk
    """
    (present,) = yield from _chosen(dataset_id, document_id, [chunk_id])
    yield from _send(dataset_id, document_id, chunk_id, {"content": present.content, **parts})
    wanted = parts.get("content", present.content)
    (found,) = yield from _read_back(dataset_id, document_id, [chunk_id], lambda one: one.content == wanted)
    return found


def switch_chunks(
    dataset_id: str, document_id: str, chunk_ids: Sequence[str], *, enabled: bool
) -> Flow[tuple[Segment, ...]]:
    """Enable or disable chunks of a document.

    https://docs.dify.ai/api-reference/chunks/update-chunk
    """
    for one in (yield from _chosen(dataset_id, document_id, chunk_ids)):
        if one.enabled != enabled:
            yield from _send(dataset_id, document_id, one.id, {"content": one.content, "enabled": enabled})
    return (yield from _read_back(dataset_id, document_id, chunk_ids, lambda one: one.enabled is enabled))


def delete_chunks(dataset_id: str, document_id: str, chunk_ids: Sequence[str]) -> Flow[None]:
    """Delete chunks of a document. Missing ones are no failure.

    https://docs.dify.ai/api-reference/chunks/delete-chunk
    """
    present = {one.id for one in (yield from list_chunks(dataset_id, document_id))}
    for chunk_id in chunk_ids:
        if chunk_id in present:
            with suppress(DifyNotFoundError):  # somebody else was faster, or it was us and the answer was lost
                yield Request("DELETE", f"/datasets/{dataset_id}/documents/{document_id}/segments/{chunk_id}")
    left = {one.id for one in (yield from list_chunks(dataset_id, document_id))}
    if still := [chunk_id for chunk_id in chunk_ids if chunk_id in left]:
        raise _error(document_id, still, "still exist, although Dify answered that they were deleted")


def _send(dataset_id: str, document_id: str, chunk_id: str, parts: Mapping[str, JSON]) -> Flow[None]:
    path = f"/datasets/{dataset_id}/documents/{document_id}/segments/{chunk_id}"
    for tries_left in reversed(range(_TRIES)):
        try:
            yield Request("POST", path, json={"segment": dict(parts)})
        except DifyRequestError as error:
            if "please try again" not in error.detail or not tries_left:
                raise
            yield Pause(_PAUSE, "Dify is still working on the chunk.")
        else:
            return


def _chosen(dataset_id: str, document_id: str, chunk_ids: Sequence[str]) -> Flow[tuple[Segment, ...]]:
    """Read chunks before they are changed, in the order in which they are named."""
    found = {one.id: one for one in (yield from list_chunks(dataset_id, document_id))}
    if missing := [chunk_id for chunk_id in chunk_ids if chunk_id not in found]:
        raise DifyInputError(
            f"{len(missing)} chunks are not in document {document_id}: {', '.join(missing[:3])}. Nothing was changed."
        )
    return tuple(found[chunk_id] for chunk_id in chunk_ids)


def _read_back(
    dataset_id: str, document_id: str, chunk_ids: Sequence[str], good: Callable[[Segment], bool]
) -> Flow[tuple[Segment, ...]]:
    found = {one.id: one for one in (yield from list_chunks(dataset_id, document_id))}
    if bad := [chunk_id for chunk_id in chunk_ids if chunk_id not in found or not good(found[chunk_id])]:
        raise _error(document_id, bad, "are not as requested, although Dify accepted the change")
    return tuple(found[chunk_id] for chunk_id in chunk_ids)


def _error(document_id: str, chunk_ids: Sequence[str], what: str) -> DifyChunkError:
    return DifyChunkError(
        f"{len(chunk_ids)} chunks of document {document_id} {what}: {', '.join(chunk_ids[:3])}. Check whether somebody "
        "else changes the document, and retry."
    )
