"""The options of an ingestion. This module imports almost nothing, because every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.knowledge.status.options import WaitOptions

if TYPE_CHECKING:
    from airflow_provider_dify.knowledge.documents import Dataset
    from airflow_provider_dify.knowledge.flow import JSON

#: Name of the metadata field with the SHA-256 of a document's content.
HASH_FIELD = "content_sha256"
#: Dify's default size limit for a file (UPLOAD_FILE_SIZE_LIMIT).
MAX_FILE_SIZE = 15 * 1024 * 1024
UTF_8 = "utf-8"
#: Files in a folder that are not content: files and folders whose names begin with a dot (``.git``, ``.DS_Store``,
#: ``._page.md`` of macOS, ``.~lock.page.odt#`` of LibreOffice), and files that Windows and Office leave.
HIDDEN = (
    ".*", "*/.*",
    "[Tt]humbs.db", "*/[Tt]humbs.db",
    "[Dd]esktop.ini", "*/[Dd]esktop.ini",
    "~$*", "*/~$*",
)  # fmt: skip


class IfExists(str, Enum):
    """What should happen if a document of the same name exists."""

    #: Replace the content of the one in use, if it differs.
    UPDATE = "update"
    #: Leave it unchanged.
    SKIP = "skip"
    #: Refuse.
    FAIL = "fail"
    #: Create another document, named by its content, and leave the old one unchanged.
    NEW_VERSION = "new_version"
    #: The same, but if that other document exists and is out of use, take it as it is: a release brings it back.
    FOR_RELEASE = "for_release"

    def describe(self) -> str:
        """Describe what happens to a document of the same name, for the log."""
        return _SAID[self]


_SAID = {
    IfExists.UPDATE: "gets the new content, if it differs",
    IfExists.SKIP: "is left unchanged",
    IfExists.FAIL: "is in the way, and the content is refused",
    IfExists.NEW_VERSION: "stays, and a new version is created next to it",
    IfExists.FOR_RELEASE: "stays, and a new version is created next to it, unless it exists, even disabled or archived",
}


@dataclass(frozen=True)
class DocumentOptions:
    """How Dify should process a document.

    :param indexing_technique: ``economy`` or ``high_quality``; required for the first documents of a knowledge base.
    :param process_rule: How Dify cleans and splits the text, as in its API; by default, the latest rule of the
        knowledge base. For parent-child chunks, it needs a ``parent_mode``.
    :param doc_form: ``text_model``, ``hierarchical_model`` or ``qa_model``; by default, that of the knowledge base.
    :param doc_language: Language of the text, such as ``English``; ``None``: Dify's default.
    :raises DifyInputError: A value is invalid.
    """

    indexing_technique: str | None = None
    process_rule: Mapping[str, JSON] | None = None
    doc_form: str | None = None
    doc_language: str | None = None

    def __post_init__(self) -> None:
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.documents import DocumentForm, Technique
        from airflow_provider_dify.knowledge.text.hints import why

        inputs.settle(
            self,
            indexing_technique=inputs.or_none(inputs.one_of(Technique)),
            doc_form=inputs.or_none(inputs.one_of(DocumentForm)),
        )
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
        """Fill in what the knowledge base determines.

        :raises DifyInputError: The knowledge base has no indexing technique yet and none is given, or it would reject
            such documents or create no chunks.
        """
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.documents import DocumentForm

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
        # Dify interprets a missing form as text_model, whatever the knowledge base has (1.16.0, file 27).
        form = self.doc_form or dataset.doc_form
        if form == DocumentForm.HIERARCHICAL.value:
            self._check_hierarchical(dataset)
        return replace(self, indexing_technique=technique, doc_form=form)

    def _check_hierarchical(self, dataset: Dataset) -> None:
        """Check that the rule creates parent chunks: without them, Dify completes documents that nobody can find."""
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
        """Return the options for the first document that a knowledge base ever gets, because it has no rule yet.

        Dify then requires a rule for a file (by its source), and before 1.16.0 also for a text. From 1.16.0 on, a text
        without a rule gets this one (file 27).
        """
        if self.process_rule is not None or dataset.ever_used:
            return self
        return replace(self, process_rule={"mode": "automatic"})

    def to_json(self) -> dict[str, JSON]:
        """Return them as in Dify's API."""
        given = ((field.name, getattr(self, field.name)) for field in fields(DocumentOptions))
        return {name: value for name, value in given if value is not None}


def makes_parents(rule: Mapping[str, JSON] | None) -> bool:
    """Whether a process rule creates parent chunks. Without them, there are no child chunks (1.16.0, file 22)."""
    rules = (rule or {}).get("rules")
    return isinstance(rules, Mapping) and bool(rules.get("parent_mode"))


@dataclass(frozen=True)
class DeliveryOptions(DocumentOptions, WaitOptions):
    """How contents are sent to Dify, and followed until search returns them.

    :param metadata: Metadata values of each document. Missing fields are created.
    :param max_active: Maximum number of documents in indexing before another one is sent.
    """

    metadata: Mapping[str, Any] | None = None
    max_active: int = 20

    def __post_init__(self) -> None:
        from airflow_provider_dify.knowledge import inputs

        object.__setattr__(self, "process_rule", inputs.literal(self.process_rule))  # a template renders it to text
        DocumentOptions.__post_init__(self)
        WaitOptions.__post_init__(self)
        inputs.settle(self, max_active=inputs.whole_number)


@dataclass(frozen=True)
class IngestOptions(DeliveryOptions):
    """How an ingestion is done.

    :param if_exists: What to do if a document of the same name exists. ``update``: replace the content of the one in
        use, if it differs. ``skip``: leave it unchanged, whatever its content (but if a killed try left it without
        metadata, it gets the metadata). ``fail``: refuse the input. ``new_version``: create another document next to
        it, with a name that depends on its content, such as ``report (3f2a91c0).md``. ``for_release``: the same, but if
        that document exists and is out of use, as after a release that was rolled back, take it as it is;
        ``new_version`` refuses that.
    :param hash_field: Name of the metadata field with the content's SHA-256; ``None``: do not store it, and always
        send.
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

    :param max_file_size: Maximum size of a file in bytes; larger files are not sent; ``None``: no limit.
    :param exclude: Exclude files of a folder or pattern if their path below it matches one of these patterns; a star
        also matches slashes. By default: hidden files, and files that macOS, Windows or Office leave.
    :param encoding: Encoding of text files (``.txt``, ``.md``, ``.html``, ``.csv`` and the like), which are sent as
        UTF-8: a name such as ``gb18030``; ``detect``; or ``None``: send them unchecked and unchanged. UTF-8 and UTF-16,
        and texts with their marks, are always recognized.
    :param follow_links: Whether links in a folder or pattern may lead out of it.
    """

    max_file_size: int | None = MAX_FILE_SIZE
    exclude: Iterable[str] | str = HIDDEN
    encoding: str | None = UTF_8
    follow_links: bool = False


@dataclass(frozen=True, kw_only=True)
class FolderOptions(ReadOptions):
    """Which files of a folder are read, and how.

    :param recursive: Whether to include subfolders.
    :param include: Only files whose path below the source matches one of these patterns, such as ``["*.md", "*.pdf"]``;
        a star also matches slashes. A file that no longer matches counts as deleted.
    :param name_prefix: Prefix of all document names, so that syncs with equal file names can share a knowledge base.
    """

    recursive: bool = False
    include: Iterable[str] | str = "*"
    name_prefix: str = ""
