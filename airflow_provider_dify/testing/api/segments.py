"""The endpoints of segments (chunks): read, add, change and delete them by hand."""

from __future__ import annotations

from airflow_provider_dify.testing.api import shapes
from airflow_provider_dify.testing.api.call import Call
from airflow_provider_dify.testing.api.reading import page_of, paging
from airflow_provider_dify.testing.api.replies import (
    InvalidParamError,
    Json,
    NotFoundError,
    Reply,
    invalid,
    missing,
)
from airflow_provider_dify.testing.model.rows import Row, Segment, derived_id


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
    # The refusals were read in Dify's source, not recorded.
    if document.indexing_status != "completed":
        raise NotFoundError("Document is not completed.")
    if not document.enabled:
        raise NotFoundError("Document is disabled.")
    if not body.get("segments"):
        raise InvalidParamError("Segments is required")
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


def get_segment(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents/{document_id}/segments/{segment_id}``."""
    document = _document(call)
    return _one(call, document, _segment(call, document))


def update_segment(call: Call) -> Reply:
    """``POST …/segments/{segment_id}``: change the text or the keywords, or disable it alone.

    Dify removes a disabled one from the index in a job; here that happens at once. Only disabling was recorded (1.16.0,
    file 28); the rest was read in Dify's source.
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
