"""Dify's checks of how a document should be processed."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.testing.api.replies import Complaint, InvalidParamError, Json, invalid, missing
from airflow_provider_dify.testing.model.documents import Dataset

MODES = ("automatic", "custom", "hierarchical")
FORMS = ("text_model", "hierarchical_model", "qa_model")
TECHNIQUES = ("high_quality", "economy")
SHORTEST_SEGMENT = 50
LONGEST_SEGMENT = 4000


def check_text(version: str, body: Json) -> None:
    """The model of a request with a text: all its errors are reported at once."""
    complaints = []
    for name in ("name", "text"):
        if name not in body:
            complaints.append(missing(name, body))
        elif not isinstance(body[name], str):
            complaints.append(Complaint(name, "Input should be a valid string", "string_type", body[name]))
    complaints += _mode_complaints(body)
    form = body.get("doc_form", "text_model")
    if form not in FORMS and not version.startswith("1.12."):
        complaints.append(Complaint("doc_form", "Value error, Invalid doc_form.", "value_error", form))
    if complaints:
        raise invalid(version, "DocumentTextCreatePayload", *complaints)


def check_config(version: str, dataset: Dataset, body: Json) -> None:
    """The checks for both texts and files."""
    technique = body.get("indexing_technique")
    complaints = []
    if technique not in TECHNIQUES:
        text = "Input should be 'high_quality' or 'economy'"
        complaints.append(Complaint("indexing_technique", text, "literal_error", technique))
    complaints += _mode_complaints(body)
    if complaints:
        raise invalid(version, "KnowledgeConfig", *complaints)
    check_rule(body)
    check_form(dataset, body)


def check_form(dataset: Dataset, body: Json) -> None:
    """A missing form counts as ``text_model`` (1.16.0, file 27)."""
    if dataset.doc_form not in (None, body.get("doc_form") or "text_model"):
        raise InvalidParamError("doc_form is different from the dataset doc_form.")


def check_provider(dataset: Dataset) -> None:
    """Read in Dify's source for files, not recorded; assumed to be the same for texts."""
    if dataset.provider == "external":
        raise InvalidParamError("External datasets are not supported.")


def _mode_complaints(body: Json) -> list[Complaint]:
    mode = _rule(body).get("mode", "automatic")
    if mode in MODES:
        return []
    return [
        Complaint("process_rule.mode", "Input should be 'automatic', 'custom' or 'hierarchical'", "literal_error", mode)
    ]


def check_rule(body: Json) -> None:
    """A custom rule has to contain its rules."""
    rule = _rule(body)
    if rule.get("mode", "automatic") != "automatic" and not rule.get("rules"):
        raise InvalidParamError("Process rule rules is required")


def flaw(body: Json) -> str | None:
    """Why the worker cannot split a text by this rule."""
    rule = _rule(body)
    segmentation = _mapping(_mapping(rule.get("rules")).get("segmentation"))
    length = int(segmentation.get("max_tokens", SHORTEST_SEGMENT))
    if rule.get("mode") == "custom" and not SHORTEST_SEGMENT <= length <= LONGEST_SEGMENT:
        return f"Custom segment length should be between {SHORTEST_SEGMENT} and {LONGEST_SEGMENT}."
    return None


def _rule(body: Json) -> Json:
    return _mapping(body.get("process_rule"))


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
