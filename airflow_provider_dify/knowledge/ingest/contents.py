"""The endpoints that give a document its content, new or in the place of an old one.

Each function is a flow of one request. None of them is repeatable by itself: whether a lost request was carried out
has to be looked up first. Reference: https://docs.dify.ai/api-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import answers, inputs
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.documents import Dataset
from airflow_provider_dify.knowledge.flow import JSON, Content, Flow, Request, Upload
from airflow_provider_dify.knowledge.text.hints import why

#: Of a longer name Dify keeps the beginning, and the document would not be found by its name again.
LONGEST_NAME = 200


def printable(name: str) -> str:
    """Return a name as it can be shown, stored and sent: without halves of characters, and without NUL.

    A name with bytes that are no text has such halves in Python. Neither Dify nor Airflow's database stores them.
    """
    return name.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


class Source(Content, Protocol):
    """Something that is to become a document."""

    @property
    def name(self) -> str:
        """Name of the document."""

    @property
    def place(self) -> str:
        """Where it comes from, for people."""

    @property
    def text(self) -> str | None:
        """Its text, where it is a text and not a file."""

    @property
    def problem(self) -> str | None:
        """Why it cannot become a document, where that is known without asking Dify."""

    @property
    def readable(self) -> bool:
        """Whether it could be looked at. Where it could not, its problem may pass."""

    def digest(self) -> str:
        """Return the SHA-256 of its content: of what was sent, if it was.

        :raises DifySourceError: It cannot be read.
        """


class IndexingTechnique(str, Enum):
    """How a knowledge base finds its documents."""

    #: By keywords.
    ECONOMY = "economy"
    #: By vectors.
    HIGH_QUALITY = "high_quality"


class DocumentForm(str, Enum):
    """How a document is cut into segments."""

    TEXT = "text_model"
    HIERARCHICAL = "hierarchical_model"
    QUESTIONS = "qa_model"


@dataclass(frozen=True)
class DocumentOptions:
    """How Dify should treat a document.

    :param indexing_technique: ``economy`` or ``high_quality``; ``None``: as the knowledge base has it.
    :param process_rule: How its text is cleaned and cut, as Dify's API takes it; ``None``: by the latest rule of the
        knowledge base.
    :param doc_form: ``text_model``, ``hierarchical_model`` or ``qa_model``; ``None``: as the knowledge base has it.
    :param doc_language: Language of its text, such as ``English``; ``None``: Dify's default.
    :raises DifyInputError: One of them makes no sense.
    """

    indexing_technique: str | None = None
    process_rule: Mapping[str, JSON] | None = None
    doc_form: str | None = None
    doc_language: str | None = None

    def __post_init__(self) -> None:
        if self.indexing_technique is not None:
            inputs.choice(self.indexing_technique, IndexingTechnique, "indexing_technique")
        if self.doc_form is not None:
            inputs.choice(self.doc_form, DocumentForm, "doc_form")
        rule = self.process_rule
        if not isinstance(rule, Mapping | None) or not inputs.is_json(rule and dict(rule)):
            raise DifyInputError(
                'process_rule must be a mapping such as {"mode": "automatic"}, or text that contains one, not '
                f"{inputs.show(rule)}.{why(rule)}"
            )
        language = self.doc_language
        if language is not None and not (isinstance(language, str) and inputs.is_storable(language)):
            raise DifyInputError(f"doc_language must be text, not {inputs.show(language)}.")

    @classmethod
    def checked(cls, value: object) -> DocumentOptions:
        """Return the options that somebody gave, or the usual ones for ``None``.

        :raises DifyInputError: It is something else.
        """
        if value is None:
            return cls()
        if not isinstance(value, cls):
            raise DifyInputError(f"options must be DocumentOptions, not {inputs.show(value)}.")
        return value

    def for_dataset(self, dataset: Dataset) -> DocumentOptions:
        """Fill in what the knowledge base decides.

        :raises DifyInputError: The knowledge base has no indexing technique yet and none is given, or it would refuse
            such documents, or make nothing of them.
        """
        technique = self.indexing_technique or dataset.indexing_technique
        if not technique:
            raise DifyInputError(
                f"Knowledge base {dataset.id} has no documents yet, and so no indexing technique. Set "
                "indexing_technique to 'economy' or 'high_quality'."
            )
        if self.doc_form and dataset.doc_form and self.doc_form != dataset.doc_form:
            raise DifyInputError(
                f"Knowledge base {dataset.id} has the form '{dataset.doc_form}', and accepts no documents with "
                f"doc_form={inputs.show(self.doc_form)}. Remove doc_form, or use another dataset_id."
            )
        # Dify takes a form that is left out for text_model, whatever the knowledge base has (1.16.0, file 27).
        form = self.doc_form or dataset.doc_form
        if form == DocumentForm.HIERARCHICAL.value:
            self._check_hierarchical(dataset)
        return replace(self, indexing_technique=technique, doc_form=form)

    def _check_hierarchical(self, dataset: Dataset) -> None:
        """Check that the rule makes parent chunks: without them, Dify completes documents that nobody can find."""
        if self.process_rule is None and dataset.ever_used:
            return
        if not makes_parents(self.process_rule):
            given = inputs.show((self.process_rule or {}).get("mode")) if self.process_rule else "none"
            raise DifyInputError(
                f"process_rule must have a parent_mode for knowledge base {dataset.id}, which has parent-child "
                "chunks: without it, Dify creates no chunks, and search finds nothing. Use {'mode': 'hierarchical', "
                "'rules': {'parent_mode': 'paragraph', "
                f"...}}}}{', or leave process_rule out' if dataset.ever_used else ''}; its mode is {given}."
            )

    def for_first_document(self, dataset: Dataset) -> DocumentOptions:
        """Return the options for the first document that a knowledge base ever gets, which has no rule to go by.

        Dify then wants a rule with a file (by its source), and before 1.16.0 with a text too. A text without one gets
        this rule from 1.16.0 on (file 27).
        """
        if self.process_rule is not None or dataset.ever_used:
            return self
        return replace(self, process_rule={"mode": "automatic"})

    def to_json(self) -> dict[str, JSON]:
        """Return it as Dify's API takes it."""
        return {name: value for name, value in vars(self).items() if value is not None}


def makes_parents(rule: Mapping[str, JSON] | None) -> bool:
    """Whether a process rule makes parent chunks. Without them, those below have nowhere to go (1.16.0, file 22)."""
    rules = (rule or {}).get("rules")
    return isinstance(rules, Mapping) and bool(rules.get("parent_mode"))


@dataclass(frozen=True, slots=True)
class Taken:
    """Dify's answer to a content: it has the document, and will index it.

    :param document_id: Id of the document; that of an existing one, where its content was replaced.
    :param batch: The batch by which its indexing can be followed.
    """

    document_id: str
    batch: str

    @classmethod
    def read(cls, payload: dict[str, JSON]) -> Taken:
        """Read it from an answer."""
        answers.check(payload.get("document"), {"id": answers.an_id})
        batch = payload.get("batch") or ""
        if batch and not answers.an_id(batch):
            raise ValueError("'batch' is not an id")
        return cls(payload["document"]["id"], batch)


def create(dataset_id: str, name: str, source: Source, options: DocumentOptions) -> Flow[Taken]:
    """Create a document, or replace the content of an enabled one of the same name, archived or not.

    https://docs.dify.ai/api-reference/documents/create-document-by-text
    https://docs.dify.ai/api-reference/documents/create-document-by-file
    """
    path = f"/datasets/{dataset_id}/document/create-by-"
    return (yield from _send(path, name, source, options.to_json()))


def update(dataset_id: str, document_id: str, name: str, source: Source, options: DocumentOptions) -> Flow[Taken]:
    """Replace the content of a document that is indexed, enabled and not archived. Dify refuses any other.

    https://docs.dify.ai/api-reference/documents/update-document-by-text
    https://docs.dify.ai/api-reference/documents/update-document-by-file
    """
    path = f"/datasets/{dataset_id}/documents/{document_id}/update-by-"
    data = {key: value for key, value in options.to_json().items() if key != "indexing_technique"}
    return (yield from _send(path, name, source, {**data, "name": name}))


def _send(path: str, name: str, source: Source, data: dict[str, JSON]) -> Flow[Taken]:
    if source.text is not None:
        body = {**data, "name": name, "text": source.text}
        response = yield Request("POST", f"{path}text", json=body, repeatable=False)
    else:
        response = yield Request("POST", f"{path}file", upload=Upload(name, source, data), repeatable=False)
    return read_answer(response, Taken.read)
