"""How contents become documents. It loads next to nothing, as every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT, ProofOptions

if TYPE_CHECKING:
    from airflow_provider_dify.knowledge.documents import Dataset
    from airflow_provider_dify.knowledge.flow import JSON

#: Name of the metadata that tells the content of a document by its SHA-256.
HASH_FIELD = "content_sha256"
#: Dify's own limit for a file, unless its settings say otherwise.
MAX_FILE_SIZE = 15 * 1024 * 1024
UTF_8 = "utf-8"
#: What is in a folder without being content: files and folders whose names begin with a dot (``.git``, ``.DS_Store``,
#: ``._page.md`` of macOS, ``.~lock.page.odt#`` of LibreOffice), and what Windows and Office leave.
HIDDEN = (
    ".*", "*/.*",
    "[Tt]humbs.db", "*/[Tt]humbs.db",
    "[Dd]esktop.ini", "*/[Dd]esktop.ini",
    "~$*", "*/~$*",
)  # fmt: skip


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


class IfExists(str, Enum):
    """What should happen if a document of the same name exists."""

    #: Replace the content of the one that is in use, where it differs.
    UPDATE = "update"
    #: Leave it as it is.
    SKIP = "skip"
    #: Refuse.
    FAIL = "fail"
    #: Make another document, whose name tells its content, and leave the old one as it is.
    NEW_VERSION = "new_version"
    #: The same, but where that other document is there and out of use, take it as it is: a release brings it back.
    FOR_RELEASE = "for_release"

    def describe(self) -> str:
        """Say what happens to a document of the same name, for the log."""
        return _SAID[self]


_SAID = {
    IfExists.UPDATE: "gets the new content, where it differs",
    IfExists.SKIP: "is left as it is",
    IfExists.FAIL: "stands in the way, and the content is refused",
    IfExists.NEW_VERSION: "stays, and a new version is made beside it",
    IfExists.FOR_RELEASE: "stays, and a new version is made beside it, unless there is one, in use or not",
}


@dataclass(frozen=True)
class DocumentOptions:
    """How Dify should treat a document.

    :param indexing_technique: ``economy`` or ``high_quality``; needed for the first documents of a knowledge base.
    :param process_rule: How Dify cleans and cuts the text, as its API takes it; by default, the latest rule of the
        knowledge base. One with parent-child chunks needs a ``parent_mode`` in it.
    :param doc_form: ``text_model``, ``hierarchical_model`` or ``qa_model``; the knowledge base's own by default.
    :param doc_language: Language of the text, such as ``English``; Dify's default if it is ``None``.
    :raises DifyInputError: One of them makes no sense.
    """

    indexing_technique: str | None = None
    process_rule: Mapping[str, JSON] | None = None
    doc_form: str | None = None
    doc_language: str | None = None

    def __post_init__(self) -> None:
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.text.hints import why

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

    def for_dataset(self, dataset: Dataset) -> DocumentOptions:
        """Fill in what the knowledge base decides.

        :raises DifyInputError: The knowledge base has no indexing technique yet and none is given, or it would refuse
            such documents, or make nothing of them.
        """
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs

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
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs

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
        given = ((field.name, getattr(self, field.name)) for field in fields(DocumentOptions))
        return {name: value for name, value in given if value is not None}


def makes_parents(rule: Mapping[str, JSON] | None) -> bool:
    """Whether a process rule makes parent chunks. Without them, those below have nowhere to go (1.16.0, file 22)."""
    rules = (rule or {}).get("rules")
    return isinstance(rules, Mapping) and bool(rules.get("parent_mode"))


@dataclass(frozen=True)
class DeliveryOptions(DocumentOptions, ProofOptions):
    """How contents are sent to Dify, and followed until search returns them.

    :param metadata: Values for the metadata of each document. Missing fields are created.
    :param max_active: How many documents may be in indexing at a time before another one is sent.
    :param poll_interval: Seconds between two checks while waiting; the first checks come sooner.
    :param stall_timeout: Seconds without any progress after which the wait for indexing ends; ``None``: never.
    :param timeout: Seconds for all of it, waiting included. Dify's lock on a document can last 600 s.
    """

    metadata: Mapping[str, Any] | None = None
    max_active: int = 20
    poll_interval: float = 10.0
    stall_timeout: float | None = STALL_TIMEOUT
    timeout: float = 3600.0

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.status.proof import ProvenBy

        object.__setattr__(self, "process_rule", inputs.literal(self.process_rule))  # a template renders it to a text
        super().__post_init__()
        inputs.settle(
            self,
            max_active=inputs.whole_number,
            poll_interval=inputs.number,
            stall_timeout=inputs.or_none(inputs.number),
            prove_by=inputs.one_of(ProvenBy),
            timeout=inputs.number,
        )


@dataclass(frozen=True)
class IngestOptions(DeliveryOptions):
    """How an ingestion is done.

    :param if_exists: What to do if a document of the same name exists. ``update``: replace the content of the one
        in use, if it differs. ``skip``: leave it, whatever it holds (but one that a killed try left without its
        metadata gets it). ``fail``: refuse the input. ``new_version``: make another document, called like ``report
        (3f2a91c0).md`` by its content, beside the old one. ``for_release``: the same, and if that document exists and
        is out of use, as after a release that was rolled back, it is taken as it is; ``new_version`` refuses that.
    :param hash_field: Name of the metadata that keeps a content's SHA-256; ``None``: keep none, and send always.
    :param tolerate: Outcomes that should not fail the task, such as ``("invalid",)``.
    """

    if_exists: str = "update"
    hash_field: str | None = HASH_FIELD
    tolerate: Iterable[str] = ()

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.ingest.report import IngestOutcome

        super().__post_init__()
        inputs.settle(self, if_exists=inputs.one_of(IfExists), tolerate=inputs.some_of(IngestOutcome))


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Which files are read, and how.

    :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit of our own.
    :param exclude: No files of a folder or a pattern whose path below it fits one of these patterns; a star also stands
        for slashes. By default what is hidden, or left there by macOS, Windows or Office.
    :param encoding: Encoding of files of text (``.txt``, ``.md``, ``.html``, ``.csv`` and the like), which are sent as
        UTF-8: its name, such as ``gb18030``; ``detect``: find it out; ``None``: send them unchecked, as they are. What
        is UTF-8, or UTF-16, or begins with a mark of these, is understood in any case.
    :param follow_links: Whether links in a folder or a pattern may lead out of it.
    """

    max_file_size: int | None = MAX_FILE_SIZE
    exclude: Iterable[str] | str = HIDDEN
    encoding: str | None = UTF_8
    follow_links: bool = False


@dataclass(frozen=True, kw_only=True)
class FolderOptions(ReadOptions):
    """Which files of a folder are read, and how.

    :param recursive: Whether folders below count.
    :param include: Only files whose path below the source fits one of these patterns, such as ``["*.md", "*.pdf"]``; a
        star also stands for slashes. A file that no longer fits counts as gone.
    :param name_prefix: What the name of each document begins with, so that syncs with files of the same names can share
        a knowledge base.
    """

    recursive: bool = False
    include: Iterable[str] | str = "*"
    name_prefix: str = ""
