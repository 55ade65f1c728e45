"""The endpoints that read knowledge bases, documents, segments, and the state of indexing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from os.path import splitext
from typing import TypeVar
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile

from airflow_provider_dify.testing.api import shapes
from airflow_provider_dify.testing.api.call import UUID, Call, open_route, route, suggestion
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    Complaint,
    InternalError,
    Json,
    NotFoundError,
    Reply,
    invalid,
    missing,
    page_not_found,
)
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.model.rows import Row

T = TypeVar("T")

PAGE_SIZE = 20
LARGEST_PAGE = 100
#: Documents in one archive.
LARGEST_ARCHIVE = 100
#: More than PostgreSQL can count.
LARGEST_OFFSET = 2**63 - 1

_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_FILTERS = {"enabled": "available", "active": "available"}
_STATES = {"available", "disabled", "archived", "queuing", "indexing", "paused", "error"}


def paging(call: Call, model: str) -> tuple[int, int]:
    """``page`` and ``limit`` of a request.

    :raises InvalidParamError: if one is not an integer.
    """
    query = call.query()
    text = "Input should be a valid integer, unable to parse string as an integer"
    wrong = [name for name in ("page", "limit") if name in query and not _INTEGER.fullmatch(query[name])]
    if wrong:
        complaints = [Complaint(name, text, "int_parsing", query[name]) for name in wrong]
        raise invalid(call.world.version, model, *complaints)
    return int(query.get("page", 1)), int(query.get("limit", PAGE_SIZE))


def page_of(rows: Sequence[T], page: int, limit: int) -> tuple[list[T], Json]:
    """One page of ``rows``, and its description in the response.

    At most 100 whatever the limit; ``has_more`` compares with the requested limit, so it is wrong for limits over 100,
    and for a last page that is exactly full.
    """
    size = min(limit, LARGEST_PAGE) if limit >= 1 else PAGE_SIZE
    start = (max(page, 1) - 1) * size
    if start > LARGEST_OFFSET:
        raise InternalError
    shown = list(rows[start : start + size])
    return shown, {"has_more": len(shown) == limit, "limit": limit, "total": len(rows), "page": page}


def list_datasets(call: Call) -> Reply:
    """``GET /datasets``, newest first."""
    page, limit = paging(call, "DatasetListQuery")
    keyword = call.query().get("keyword", "").lower()
    datasets = [one for one in call.world.datasets.values() if keyword in one.name.lower()]
    shown, about = page_of(datasets[::-1], page, limit)
    return Reply(200, {"data": [shapes.dataset_json(one) for one in shown], **about}, cost="dataset", size=len(shown))


def get_dataset(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}``."""
    return Reply(200, shapes.dataset_json(call.dataset, single=True), cost="dataset")


def list_documents(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents``."""
    page, limit = paging(call, "DocumentListQuery")
    query = call.query()
    found = _matching(call.dataset, query.get("status", ""), query.get("keyword", ""))
    shown, about = page_of(found, page, limit)
    data = [shapes.listed_document(one) for one in shown]
    return Reply(200, {"data": data, **about}, cost="page", size=len(shown))


def _matching(dataset: Dataset, status: str, keyword: str) -> list[Row]:
    """Documents by state and name. Dify ignores an unknown state and returns everything."""
    wanted = _FILTERS.get(status.lower(), status.lower())
    state = wanted if wanted in _STATES else None
    if state is None and not keyword:
        return dataset.in_order()
    # Searching in the name is faster than a pattern, and most keywords have no wildcards.
    pattern = like(keyword) if re.search(r"[%_\\]", keyword) else None

    def keep(document: Row) -> bool:
        named = keyword in document.name if pattern is None else pattern.search(document.name) is not None
        return named and (state is None or document.display_status == state)

    return dataset.filtered((state, keyword), keep)


def like(keyword: str) -> re.Pattern[str]:
    r"""SQL's LIKE for a part of a name: ``%`` stands for any text, ``_`` for any character; case-sensitive.

    A character after ``\`` stands for itself. That is PostgreSQL's rule, and was not recorded.
    """
    wildcards = {"%": ".*", "_": "."}
    # Dify appends the %, which may then become a character that stands for itself.
    parts = re.findall(r"\\.|.", f"{keyword}%", re.DOTALL)
    return re.compile("".join(wildcards.get(part) or re.escape(part[-1]) for part in parts) + r"\Z", re.DOTALL)


def _document(call: Call) -> Row:
    document = call.dataset.get(call.parts["document"].lower())
    if document is None:
        raise NotFoundError("Document not found.")
    return document


def get_document(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents/{document_id}``."""
    document = _document(call)
    metadata = call.query().get("metadata", "all")
    if metadata not in ("all", "only", "without"):
        raise ApiError(400, "invalid_metadata", f"Invalid metadata value: {metadata}", cost="document")
    return Reply(200, shapes.single_document(document, metadata), cost="document")


def indexing_status(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents/{batch}/indexing-status``."""
    batch = call.parts["batch"]
    documents = [one for one in call.dataset.in_order() if one.batch == batch]
    if not documents:
        raise NotFoundError("Documents not found.")
    data = [shapes.indexing_state(one) for one in documents]
    return Reply(200, {"data": data}, cost="indexing", size=len(data))


def download(call: Call) -> Reply:
    """``GET /datasets/{dataset_id}/documents/{document_id}/download``: a URL, which needs no key for a while.

    Recorded: 1.16.0, file 34, as is the next one. What happens without a file follows Dify's source
    (1.16.0: controllers/service_api/dataset/document.py).
    """
    if not call.world.has_downloads:
        return page_not_found()
    document = _document(call)
    if document.source_type != "upload_file":
        raise NotFoundError("Document does not have an uploaded file to download.")
    if document.file_state == "forgotten":
        raise NotFoundError("Uploaded file not found.")
    signed = f"timestamp={int(call.world.clock.time())}&nonce=0&sign={document.id[:8]}&as_attachment=true"
    return Reply(200, {"url": f"{call.base}/files/{shapes.upload_id(document)}/file-preview?{signed}"})


def download_zip(call: Call) -> Reply:
    """``POST /datasets/{dataset_id}/documents/download-zip``: all of the files, or none."""
    if not call.world.has_downloads:
        return page_not_found()
    body = call.json_object()
    if complaints := list(_archive_complaints(body)):
        raise invalid(call.world.version, "DocumentBatchDownloadZipPayload", *complaints)
    documents = [call.dataset.get(str(one).lower()) for one in body["document_ids"]]
    found = [one for one in documents if one is not None]
    if len(found) < len(documents):
        raise NotFoundError("Document not found." + suggestion(call))
    if any(one.source_type != "upload_file" or one.file_state == "forgotten" for one in found):
        raise NotFoundError("Only uploaded-file documents can be downloaded as ZIP.")
    if any(one.file_state == "unreadable" for one in found):
        raise InternalError
    return Reply(200, _archive(found), content_type="application/zip", size=len(found))


def _archive_complaints(body: Json) -> Iterator[Complaint]:
    if "document_ids" not in body:
        yield missing("document_ids", body)
        return
    ids = body["document_ids"]
    if not ids:
        yield Complaint("document_ids", "List should have at least 1 item after validation, not 0", "too_short", ids)
    elif len(ids) > LARGEST_ARCHIVE:
        text = f"List should have at most {LARGEST_ARCHIVE} items after validation, not {len(ids)}"
        yield Complaint("document_ids", text, "too_long", ids)
    for number, one in enumerate(ids):
        if not re.fullmatch(UUID, str(one)):
            yield _no_uuid(f"document_ids.{number}", str(one))


def _no_uuid(where: str, value: str) -> Complaint:
    """How pydantic complains about a text that begins with something else; other texts were not recorded."""
    known = "an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-]"
    text = f"Input should be a valid UUID, invalid character: expected {known}, found `{value[:1]}` at 1"
    return Complaint(where, text, "uuid_parsing", value)


def _archive(documents: Sequence[Row]) -> bytes:
    whole = io.BytesIO()
    names: set[str] = set()
    with ZipFile(whole, "w", ZIP_DEFLATED) as archive:
        for document in documents:
            name = given = shapes.upload_name(document).rpartition("/")[2].strip().replace("\\", "_") or "file"
            number = 0
            while name in names:
                number += 1
                stem, kind = splitext(given)  # noqa: PTH122 - as Dify does
                name = f"{stem} ({number}){kind}"
            names.add(name)
            archive.writestr(name, document.content)
    return whole.getvalue()


def file_preview(call: Call) -> Reply:
    """``GET /files/{file_id}/file-preview``: the content of a file, for whoever has the signed URL."""
    for dataset in call.world.datasets.values():
        for document in dataset.in_order():
            if shapes.upload_id(document) == call.parts["file"]:
                name = quote(shapes.upload_name(document))
                headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
                return Reply(200, document.content, content_type="application/octet-stream", headers=headers)
    raise NotFoundError("File not found")


ROUTES = [
    route("/datasets", get=list_datasets),
    route("/datasets/{dataset}", get=get_dataset),
    route("/datasets/{dataset}/documents", get=list_documents),
    route("/datasets/{dataset}/documents/download-zip", post=download_zip),
    route("/datasets/{dataset}/documents/{document}", get=get_document),
    route("/datasets/{dataset}/documents/{document}/download", get=download),
    route("/datasets/{dataset}/documents/{batch}/indexing-status", get=indexing_status),
    open_route("/files/{file}/file-preview", get=file_preview),
]
