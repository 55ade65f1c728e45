"""What an export reads from a knowledge base, except the list of documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from airflow_provider_dify.exceptions import DifyInputError, DifyNotFoundError
from airflow_provider_dify.knowledge import api, versions
from airflow_provider_dify.knowledge.answers import Fields, Plain, a_list_or_nothing, a_text
from airflow_provider_dify.knowledge.export.listing import ListedDocument
from airflow_provider_dify.knowledge.export.manifest import ExportManifest
from airflow_provider_dify.knowledge.flow import JSON, Download, Flow, Request, answered
from airflow_provider_dify.knowledge.metadata.fields import BUILT_IN, MetadataField, list_fields, native
from airflow_provider_dify.knowledge.progress import Progress

#: Fields of a knowledge base that are settings. Others are counts, dates, and who created it.
_SETTINGS = (
    "id", "name", "description", "provider", "permission", "indexing_technique", "embedding_model",
    "embedding_model_provider", "retrieval_model_dict", "summary_index_setting", "doc_form", "runtime_mode",
    "chunk_structure", "built_in_field_enabled", "enable_api",
)  # fmt: skip
_DIGITS = 16
_BETWEEN_CHUNKS = "\n\n"
#: How many bytes an archive may be larger than the files in it: names, headers, and content that does not compress.
_OVERHEAD, _OVERHEAD_EACH = 1024 * 1024, 4096


def read_settings(dataset_id: str) -> Flow[dict[str, JSON]]:
    """Read the settings of a knowledge base.

    https://docs.dify.ai/api-reference/knowledge-bases/get-knowledge-base

    :raises DifyInputError: It is an external one, or Dify is too old to return contents.
    """
    response = answered((yield Request("GET", f"/datasets/{dataset_id}")))
    settings = api.read_answer(response, api.about(dataset_id, _settings))
    version = response.headers.get("x-version")
    if settings.get("provider") == "external":
        raise DifyInputError(f"Knowledge base {dataset_id} is an external one: Dify keeps no documents to export.")
    if versions.DOWNLOAD.holds(version) is False:
        raise DifyInputError(
            f"Dify {version} cannot return the contents of documents. Nothing was exported. Upgrade Dify to "
            f"{versions.show(versions.DOWNLOAD.first)} or newer."
        )
    return settings


def _settings(item: Fields) -> dict[str, JSON]:
    tags = item.read("tags", a_list_or_nothing) or ()
    names = [tag["name"] for tag in tags if isinstance(tag, dict) and a_text(tag.get("name"))]
    return {**{name: item.get(name) for name in _SETTINGS if name in item.values}, "tags": names}


def read_fields(dataset_id: str) -> Flow[dict[str, str]]:
    """Read the metadata fields of a knowledge base: the type of each, by name."""
    fields: tuple[MetadataField, ...] = yield from list_fields(dataset_id)
    return {one.name: one.type for one in fields if one.name not in BUILT_IN}


class Rules:
    """The process rules of documents.

    :param before: The manifest of an earlier export. Its rules need not be read again: Dify never changes a rule.
    """

    def __init__(self, before: ExportManifest | None) -> None:
        #: The rules by digest.
        self.by_digest: dict[str, Mapping[str, JSON]] = {}
        self._digests: dict[str, str] = {}
        for entry in before.entries if before else ():
            if entry.rule_id and before and (rule := before.rules.get(entry.rule or "")):
                self.add(entry.rule_id, rule)

    def add(self, rule_id: str, rule: Mapping[str, JSON]) -> None:
        """Add a rule. Dify creates one for each document that is sent with a rule, although most are the same."""
        digest = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:_DIGITS]
        self._digests[rule_id] = digest
        self.by_digest[digest] = rule

    def digest(self, rule_id: str | None) -> str | None:
        """Return the digest of a rule; ``None`` if it has not been added."""
        return self._digests.get(rule_id or "")

    def used(self, digests: Iterable[str | None]) -> dict[str, Mapping[str, JSON]]:
        """Return the rules with these digests."""
        return {digest: self.by_digest[digest] for digest in sorted({one for one in digests if one})}


def read_rules(dataset_id: str, documents: Iterable[ListedDocument], rules: Rules, progress: Progress) -> Flow[None]:
    """Read the process rules of documents. Only documents show them, so one document of each rule is read.

    https://docs.dify.ai/api-reference/documents/get-document
    """
    wanted = list(documents)
    for number, one in enumerate(wanted):
        if one.rule_id is None or rules.digest(one.rule_id):
            continue
        yield from progress.note("Read the process rules of", number + 1, len(wanted))
        try:
            response = yield api.single_document(dataset_id, one.id)
        except DifyNotFoundError as error:
            if not api.document_is_missing(error):
                raise
            continue  # another document may show it
        rule = api.read_answer(response, api.about(one.id, lambda payload: payload.get("document_process_rule")))
        if isinstance(rule, dict):
            rules.add(one.rule_id, {name: rule.get(name) for name in ("mode", "rules")})


def typed(values: Mapping[str, Plain], fields: Mapping[str, str]) -> dict[str, Plain]:
    """Return the metadata of a document with numbers as numbers. In Dify's list, every value is a text."""
    own = {name: value for name, value in values.items() if name in fields and value is not None}
    return {name: native(fields[name], value) for name, value in own.items()}


def download(dataset_id: str, documents: Iterable[ListedDocument], file: BinaryIO, seconds: float) -> Flow[None]:
    """Download the files of documents as one archive. Dify sends no archive if it lacks one of them.

    https://docs.dify.ai/api-reference/documents/download-documents-as-zip
    """
    wanted = list(documents)
    size = sum(one.file.most_bytes for one in wanted if one.file)
    limit = size + size // 100 + _OVERHEAD + _OVERHEAD_EACH * len(wanted)
    body = {"document_ids": [one.id for one in wanted]}
    into = Download(file, limit, seconds)
    yield Request("POST", f"/datasets/{dataset_id}/documents/download-zip", json=body, into=into)


def chunks(dataset_id: str, document_id: str) -> Flow[str]:
    """Return the texts of a document's chunks, in order. A question is followed by its answer.

    https://docs.dify.ai/api-reference/chunks/list-chunks
    """
    texts: list[str] = []
    number, full = 0, True
    while full:
        number += 1
        path = f"/datasets/{dataset_id}/documents/{document_id}/segments"
        response = yield Request("GET", path, query=(("page", number), ("limit", api.LONGEST_PAGE)))
        page = api.read_answer(response, lambda payload: [*map(_text, payload.items("data"))])
        texts += filter(None, page)
        full = len(page) >= api.LONGEST_PAGE
    return _BETWEEN_CHUNKS.join(texts)


def _text(item: Fields) -> str:
    return "\n".join(filter(None, (item.maybe_text("content"), item.maybe_text("answer"))))
