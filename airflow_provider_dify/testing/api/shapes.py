"""The JSON of knowledge bases, documents, segments and search results, field by field as recorded."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.model.fields import BUILT_IN
from airflow_provider_dify.testing.model.knowledge_base import DEFAULT_MODEL
from airflow_provider_dify.testing.model.rows import RUNNING, Child, Row, Segment, derived_id

#: Settings of a knowledge base whose documents are elsewhere; empty for others.
_EXTERNAL: Json = {
    "external_knowledge_info": dict.fromkeys(
        f"external_knowledge_{field}" for field in ("id", "api_id", "api_name", "api_endpoint")
    ),
    "external_retrieval_model": {"top_k": 2, "score_threshold": 0.0, "score_threshold_enabled": None},
}


def whole(at: float | None) -> int | None:
    """A time as Dify writes it: whole seconds since 1970."""
    return None if at is None else round(at)


def dataset_json(dataset: Dataset, *, created: bool = False, single: bool = False) -> Json:
    """A knowledge base, as in https://docs.dify.ai/api-reference.

    :param created: As in the response to its creation, in which some fields are still empty.
    :param single: As returned for a single one, with the ``search_method`` that economy knowledge bases really use.
    """
    world, number = dataset.world, len(dataset)
    provider, model = (dataset.embedding_model or DEFAULT_MODEL) if dataset.has_vectors else (None, None)
    body = {
        "id": dataset.id,
        "name": dataset.name,
        "description": dataset.description,
        "provider": dataset.provider,
        "permission": dataset.permission,
        "data_source_type": "upload_file" if number else None,
        "indexing_technique": dataset.indexing_technique,
        "app_count": dataset.app_count,
        "document_count": number,
        "word_count": sum(one.word_count or 0 for one in dataset.in_order()),
        **_origin(dataset),
        "embedding_model": model,
        "embedding_model_provider": provider,
        "embedding_available": None if created else dataset.embedding_available,
        "retrieval_model_dict": _retrieval_model(dataset, forced=single),
        "summary_index_setting": dict.fromkeys(("enable", "model_name", "model_provider_name", "summary_prompt")),
        "tags": [{"id": one, "name": world.tags[one], "type": "knowledge"} for one in dataset.tag_ids],
        "doc_form": dataset.doc_form,
        **_EXTERNAL,
        "doc_metadata": _dataset_fields(dataset),
        "built_in_field_enabled": dataset.fields.built_in,
        "pipeline_id": None,
        "runtime_mode": dataset.runtime_mode,
        "chunk_structure": None,
        "icon_info": dict.fromkeys(("icon_type", "icon", "icon_background", "icon_url")),
        "is_published": False,
        "total_documents": number,
        "total_available_documents": dataset.available(),
        "enable_api": dataset.api_enabled,
        "is_multimodal": False,
    }
    if single and dataset.permission == "partial_members":
        body["partial_member_list"] = []
    # New in 1.16.0 (file 20).
    return body | {"maintainer": world.user_id} if world.is_recent else body


def _origin(dataset: Dataset) -> Json:
    """Who created it, and when."""
    user, at = dataset.world.user_id, whole(dataset.created_at)
    return {"created_by": user, "author_name": "admin", "created_at": at, "updated_by": user, "updated_at": at}


def _dataset_fields(dataset: Dataset) -> list[Json]:
    own = BUILT_IN if dataset.fields.built_in else {}
    fields: list[Json] = [{"id": one.id, "name": one.name, "type": one.type} for one in dataset.fields.all()]
    return fields + [{"id": "built-in", "name": name, "type": kind} for name, kind in own.items()]


def _retrieval_model(dataset: Dataset, *, forced: bool) -> Json:
    """How apps search it; of a single one without vectors, Dify shows the only method that there is for it."""
    usual = {
        "search_method": "semantic_search",
        "reranking_enable": False,
        "reranking_mode": None,
        "reranking_model": {"reranking_provider_name": "", "reranking_model_name": ""},
        "weights": None,
        "top_k": 2,
        "score_threshold_enabled": False,
        "score_threshold": None,
    }
    method = {"search_method": "keyword_search"} if forced and not dataset.has_vectors else {}
    return (dataset.retrieval_model or usual) | method


def upload_id(document: Row) -> str:
    """The id of the file that Dify keeps of its present content."""
    return derived_id(document, f"file {document.uploads}")


def upload_name(document: Row) -> str:
    """The name of that file."""
    return document.name if document.file is None else document.file.name


def _upload_file(document: Row) -> Json:
    file = document.file
    return {
        "id": upload_id(document),
        "name": upload_name(document),
        # Of a text, Dify counts characters (1.14.1, file 07).
        "size": len(document.text) if file is None else len(document.content),
        "extension": "txt" if file is None else file.extension,
        "mime_type": "text/plain" if file is None else file.mime_type,
        "created_by": document.dataset.world.user_id,
        "created_at": document.uploaded_at,
    }


def _common(document: Row) -> Json:
    """The common fields of a document in a list and a single document."""
    world = document.dataset.world
    return {
        "id": document.id,
        "position": document.position,
        "data_source_type": document.source_type,
        "dataset_process_rule_id": document.cut_by.id,
        "name": document.name,
        "created_from": document.created_from,
        "created_by": world.user_id,
        "created_at": whole(document.created_at),
        "tokens": document.tokens,
        "indexing_status": document.indexing_status,
        "error": document.error,
        "enabled": document.enabled,
        "disabled_at": whole(document.disabled_at),
        "disabled_by": None if document.disabled_at is None else world.user_id,
        "archived": document.archived,
        "display_status": document.display_status,
        "hit_count": document.hit_count,
        "doc_form": document.dataset.doc_form,
        "summary_index_status": None,
        "need_summary": False,
    }


def listed_document(document: Row) -> Json:
    """A document as in a list, and in the response to a creation."""
    return _common(document) | {
        **_source(document),
        "word_count": document.word_count,
        "doc_metadata": _texts(document.dataset.fields.details(document)),
    }


def _source(document: Row) -> Json:
    if document.source_type != "upload_file":  # read in Dify's source (1.16.0), not recorded
        info = {"url": "https://www.example.com/", "provider": "firecrawl", "job_id": derived_id(document, "job")}
        return {"data_source_info": info, "data_source_detail_dict": info}
    file = _upload_file(document)
    detail = {} if document.file_state == "forgotten" else {"upload_file": file}
    return {"data_source_info": {"upload_file_id": file["id"]}, "data_source_detail_dict": detail}


def _texts(details: list[Json] | None) -> list[Json] | None:
    """Metadata as in a list: all values are text."""
    if details is None:
        return None
    return [{**one, "value": None if one["value"] is None else str(one["value"])} for one in details]


def single_document(document: Row, metadata: str) -> Json:
    """One document.

    :param metadata: ``all``, ``only`` or ``without``.
    """
    extra: Json = {"doc_type": None, "doc_metadata": document.dataset.fields.details(document)}
    if metadata == "only":
        return {"id": document.id, **extra}
    number, rule, latest = len(document.visible), document.cut_by, document.dataset.rule or document.cut_by
    body = _common(document) | {
        "data_source_info": {"upload_file": _upload_file(document)},
        "dataset_process_rule": {"mode": latest.mode, "rules": dict(latest.rules)},
        "document_process_rule": {
            "id": rule.id,
            "dataset_id": document.dataset.id,
            "mode": rule.mode,
            "rules": dict(rule.rules),
        },
        "completed_at": whole(document.completed_at),
        "updated_at": whole(document.updated_at),
        "indexing_latency": None if document.completed_at is None else 0.02,
        "segment_count": number,
        "average_segment_length": len(document.text) // number if number else 0,
        "doc_language": "English",
    }
    return body if metadata == "without" else body | extra


def indexing_state(document: Row) -> Json:
    """The progress of a document's indexing; completed segments are only counted at the end."""
    total, completed = len(document.visible), document.indexing_status == "completed"
    marks = document.marks
    started = marks.get(RUNNING[0], document.completed_at)
    return {
        "id": document.id,
        "indexing_status": "paused" if document.paused and not completed else document.indexing_status,
        "processing_started_at": whole(started),
        "parsing_completed_at": whole(marks.get("cleaning", document.completed_at)),
        "cleaning_completed_at": whole(marks.get("splitting", document.completed_at)),
        "splitting_completed_at": whole(marks.get("indexing", document.completed_at)),
        "completed_at": whole(document.completed_at),
        "paused_at": whole(document.updated_at) if document.paused else None,
        "error": document.error,
        "stopped_at": whole(document.updated_at) if document.indexing_status == "error" else None,
        "completed_segments": total if completed else 0,
        "total_segments": total,
    }


def segment_json(document: Row, segment: Segment, *, found: bool = False) -> Json:
    """One segment. Its ``enabled`` does not prove that search finds it; before indexing ends it means nothing.

    :param found: As in a search result.
    """
    indexed, text = document.indexed, segment.content
    segments = document.visible
    enabled = segment.enabled if indexed else True
    at = whole(document.completed_at or document.created_at)
    user = document.dataset.world.user_id
    return {
        "id": derived_id(document, f"segment {segment.key}"),
        "position": segments.index(segment) + 1 if segment in segments else 1,
        "document_id": document.id,
        "content": text,
        "sign_content": text,
        "answer": None,
        "word_count": len(text),
        "tokens": 0,
        "keywords": _keywords(document, segment, found=found),
        "index_node_id": derived_id(document, f"node {segment.key}"),
        "index_node_hash": hashlib.sha256(text.encode()).hexdigest(),
        "hit_count": 0,
        "enabled": enabled,
        "disabled_at": None if enabled else whole(document.updated_at),
        "disabled_by": user if segment.by_hand else None,
        "status": "completed" if indexed else "indexing",
        "created_by": user,
        "created_at": at,
        "updated_at": at,
        "updated_by": None,
        "indexing_at": at,
        "completed_at": at if indexed else None,
        "error": None,
        "stopped_at": None,
        "child_chunks": _children(document, segment),
        "attachments": [],
        "summary": None,
    }


def _keywords(document: Row, segment: Segment, *, found: bool) -> list[str] | None:
    """Vectors need no keywords, but given ones are shown."""
    if document.dataset.has_vectors and segment.given is None:
        return [] if found else None
    return list(segment.keywords)


def _children(document: Row, segment: Segment) -> list[Json]:
    if document.dataset.doc_form != "hierarchical_model":
        return []
    return [child_json(document, segment, one) for one in document.children(segment)]


def child_json(document: Row, segment: Segment, child: Child) -> Json:
    """One child chunk of a segment."""
    return {
        "id": child_id(document, child),
        "segment_id": derived_id(document, f"segment {segment.key}"),
        "content": child.content,
        "position": child.position,
        "word_count": len(child.content),
        "type": "customized" if child.by_hand else "automatic",
        "created_at": whole(child.created_at),
        "updated_at": whole(child.updated_at),
    }


def child_id(document: Row, child: Child) -> str:
    """The id of a child chunk."""
    return derived_id(document, f"child {child.key}")


def record_json(document: Row, one: Segment, score: float, found: tuple[tuple[int, float], ...]) -> Json:
    """One search result.

    :param found: Numbers and scores of the child chunks.
    """
    left_out = {"updated_at", "updated_by", "child_chunks", "attachments", "summary"}
    shown = segment_json(document, one, found=True)
    parts = [(shown["child_chunks"][index], value) for index, value in found]
    nodes = [{key: child[key] for key in ("id", "content", "position")} | {"score": value} for child, value in parts]
    segment = {key: value for key, value in shown.items() if key not in left_out}
    segment["document"] = {
        "id": document.id,
        "data_source_type": "upload_file",
        "name": document.name,
        "doc_type": None,
        "doc_metadata": document.metadata,
    }
    legacy = document.dataset.world.version.startswith("1.12.")
    none: Any = None if legacy else []
    return {
        "segment": segment,
        "child_chunks": nodes or none,
        "score": score,
        "tsne_position": None,
        "files": none,
        "summary": None,
    }
