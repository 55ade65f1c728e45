"""The endpoints of segments (chunks) and their child chunks: read, add, change and delete them by hand.

Recorded: 1.16.0, files 28 and 31 to 33.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_dify.testing.api import shapes
from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.reading import LARGEST_PAGE, page_of, paging
from airflow_provider_dify.testing.api.replies import (
    Complaint,
    InvalidParamError,
    Json,
    NotFoundError,
    Reply,
    invalid,
    missing,
)
from airflow_provider_dify.testing.model.rows import Child, Row, Segment, derived_id


def list_segments(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents/{document_id}/segments``."""
    document = _document(call)
    page, limit = paging(call, "SegmentListQuery")
    shown, about = page_of(document.visible, page, limit)
    data = [shapes.segment_json(document, one) for one in shown]
    return Reply(200, {"data": data, "doc_form": call.dataset.doc_form, **about}, cost="segments", size=len(shown))


def add_segments(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/{document_id}/segments``: search returns them at once."""
    body, document = call.json_object(), _document(call)
    if document.indexing_status != "completed":
        raise NotFoundError("Document is not completed.")
    if not document.enabled:
        raise NotFoundError("Document is disabled.")
    if complaints := list(_complaints(body)):
        # Unlike elsewhere, the message is all there is.
        return Reply(400, {"error": invalid(call.world.version, "SegmentCreatePayload", *complaints).message})
    made = []
    for one in body["segments"]:
        document.number_added += 1
        key = f"{document.uploads}+{document.number_added}"
        made.append(Segment(str(one["content"]), key, one.get("keywords") or None, enabled=True, in_index=True))
    document.added += made
    document.touch(call.world.clock.time())
    call.dataset.text_changed()
    data = [shapes.segment_json(document, one) for one in made]
    return Reply(200, {"data": data, "doc_form": call.dataset.doc_form}, cost="segments", size=len(data))


def _complaints(body: Json) -> Iterator[Complaint]:
    if "segments" not in body:
        yield missing("segments", body)
        return
    if not body["segments"]:
        yield Complaint("segments", "List should have at least 1 item after validation, not 0", "too_short", [])
    for number, one in enumerate(body["segments"]):
        where = f"segments.{number}.content"
        if "content" not in one:
            yield missing(where, one)
        elif not one["content"]:
            yield Complaint(where, "String should have at least 1 character", "string_too_short", one["content"])
        elif not str(one["content"]).strip():
            yield Complaint(where, "Value error, Content is empty", "value_error", one["content"])


def get_segment(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}``."""
    document = _document(call)
    return _one(call, document, _segment(call, document))


def update_segment(call: Call) -> Reply:
    """``POST …/segments/{segment_id}``: change the text or the keywords, or disable it alone.

    Dify removes a disabled one from the index in a job; here that happens at once.
    """
    document = _document(call)
    segment, body = _segment(call, document), call.json_object()
    given = body.get("segment")
    if not isinstance(given, dict):
        raise invalid(call.world.version, "SegmentUpdatePayload", missing("segment", body))
    enabled = given.get("enabled")
    if enabled is False and segment.enabled:
        segment.switch(False)
    elif not segment.enabled and enabled is not True:
        raise InvalidParamError("Can't update disabled segment")
    else:
        if call.dataset.doc_form == "hierarchical_model":
            segment.children = document.children(segment)  # they stay, unless the request asks for new ones
        segment.content = str(given.get("content") or segment.content)
        segment.given = list(given.get("keywords") or []) or segment.given
        segment.switch(True)
    document.touch(call.world.clock.time())
    call.dataset.text_changed()
    return _one(call, document, segment)


def delete_segment(call: Call) -> Reply:
    """``DELETE …/segments/{segment_id}``."""
    document = _document(call)
    segment = _segment(call, document)
    document.own = [one for one in document.own if one is not segment]
    document.added = [one for one in document.added if one is not segment]
    document.touch(call.world.clock.time())
    call.dataset.text_changed()
    return Reply(204, cost="segments")


def list_children(call: Call) -> Reply:
    """``GET …/segments/{segment_id}/child_chunks``, by position."""
    document = _document(call)
    segment = _segment(call, document)
    page, limit = paging(call, "ChildChunkListQuery")
    limit = min(limit, LARGEST_PAGE)
    shown, about = page_of(document.children(segment), page, limit)
    data = [shapes.child_json(document, segment, one) for one in shown]
    body = {"data": data, "total": about["total"], "total_pages": -(-about["total"] // limit)}
    return Reply(200, body | {"page": page, "limit": limit}, cost="segments", size=len(shown))


def add_child(call: Call) -> Reply:
    """``POST …/segments/{segment_id}/child_chunks``: search returns its segment by it at once.

    Dify accepts it in every knowledge base, although search only uses it in a parent-child one.
    """
    document = _document(call)
    segment = _segment(call, document)
    content, at = _child_content(call, "ChildChunkCreatePayload"), call.world.clock.time()
    document.number_added += 1
    children = document.children(segment)
    position = max((one.position for one in children), default=0) + 1
    made = Child(content, f"{segment.key}+{document.number_added}", position, at, at, by_hand=True)
    segment.children = [*children, made]
    return _changed_child(call, document, segment, made)


def update_child(call: Call) -> Reply:
    """``PATCH …/child_chunks/{child_chunk_id}``: search follows at once."""
    document = _document(call)
    segment = _segment(call, document)
    child = _child(call, document, segment)
    child.content = _child_content(call, "ChildChunkUpdatePayload")
    child.updated_at, child.by_hand = call.world.clock.time(), True
    return _changed_child(call, document, segment, child)


def delete_child(call: Call) -> Reply:
    """``DELETE …/child_chunks/{child_chunk_id}``: search follows at once."""
    document = _document(call)
    segment = _segment(call, document)
    child = _child(call, document, segment)
    segment.children = [one for one in document.children(segment) if one is not child]
    call.dataset.text_changed()
    return Reply(204, cost="segments")


def _changed_child(call: Call, document: Row, segment: Segment, child: Child) -> Reply:
    call.dataset.text_changed()
    return Reply(200, {"data": shapes.child_json(document, segment, child)}, cost="segments", size=1)


def _child_content(call: Call, model: str) -> str:
    body = call.json_object()
    if "content" not in body:
        raise invalid(call.world.version, model, missing("content", body))
    return str(body["content"])


def _child(call: Call, document: Row, segment: Segment) -> Child:
    segment.children = document.children(segment)
    for one in segment.children:
        if shapes.child_id(document, one) == call.parts["child"].lower():
            return one
    raise NotFoundError("Child chunk not found.")


def _one(call: Call, document: Row, segment: Segment) -> Reply:
    body: Json = {"data": shapes.segment_json(document, segment), "doc_form": call.dataset.doc_form}
    return Reply(200, body, cost="segments", size=1)


def _document(call: Call) -> Row:
    document = call.dataset.get(call.parts["document"].lower())
    if document is None:
        raise NotFoundError("Document not found.")
    return document


def _segment(call: Call, document: Row) -> Segment:
    wanted = call.parts["segment"].lower()
    for one in document.visible:
        if derived_id(document, f"segment {one.key}") == wanted:
            return one
    raise NotFoundError("Segment not found.")


ROUTES = [
    route("/datasets/{dataset}/documents/{document}/segments", get=list_segments, post=add_segments),
    route(
        "/datasets/{dataset}/documents/{document}/segments/{segment}",
        get=get_segment,
        post=update_segment,
        delete=delete_segment,
    ),
    route(
        "/datasets/{dataset}/documents/{document}/segments/{segment}/child_chunks",
        get=list_children,
        post=add_child,
    ),
    route(
        "/datasets/{dataset}/documents/{document}/segments/{segment}/child_chunks/{child}",
        patch=update_child,
        delete=delete_child,
    ),
]
