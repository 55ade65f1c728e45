"""The manifest of an export: which file has the content of which document, and everything else that was exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any, TypeGuard

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, Plain, a_text
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.text.names import canonical

MANIFEST = "manifest.json"
FORMAT = "airflow-provider-dify export"
VERSION = 1
#: The folder of the contents, below the target.
FOLDER = "files"
_LONGEST_STEM = 60
_LONGEST_TYPE = 10
_DIGITS = 16
_KEPT = "-_."


class Kind(str, Enum):
    """What the content of a document is."""

    #: The uploaded file, byte by byte.
    FILE = "file"
    #: The text that was sent, byte by byte.
    TEXT = "text"
    #: The texts of its chunks, in order, because Dify does not keep the original.
    CHUNKS = "chunks"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the target.

    :param size: Its size in bytes.
    :param sha256: SHA-256 of its content.
    """

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredContent:
    """The content of a document, and where it is.

    :param kind: What it is.
    :param path: Its path below the target.
    :param source: Distinguishes it from other contents that the document has had.
    :param saved: Its size and checksum.
    """

    kind: Kind
    path: str
    source: str
    saved: StoredFile

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        return {"kind": self.kind.value, "path": self.path, "source": self.source, **asdict(self.saved)}

    @classmethod
    def from_json(cls, data: JSON) -> StoredContent:
        """Return the content that :meth:`to_json` was called on."""
        item = Fields(data)
        path = item.text("path")
        parts = path.split("/")
        if len(parts) != 2 or parts[0] != FOLDER or parts[1] in ("", ".", "..") or "\\" in path:
            raise ValueError("'path' leads out of the export")
        saved = StoredFile(item.read("size", _a_size), item.read("sha256", _a_digest))
        return cls(Kind(item.text("kind")), path, item.text("source"), saved)


def file_of(name: str, extension: str, *identity: str) -> str:
    """Return the path of a content below the target, such as ``files/Annual_report-3f2a91c04be77d10.pdf``.

    Its name is safe on every storage. Each content has a path of its own, so a complete file is never overwritten.

    :param name: Name of the document, for people.
    :param extension: Extension of its file; ``txt`` for other kinds of content.
    :param identity: What distinguishes the content from all others.
    """
    stem = "".join(
        char if char.isalnum() or char in _KEPT else "_" for char in canonical(name).removesuffix(f".{extension}")
    )
    while len(stem.encode()) > _LONGEST_STEM:  # storages limit the bytes of a name
        stem = stem[:-1]
    kind = "".join(char for char in extension.lower() if char.isascii() and char.isalnum())[:_LONGEST_TYPE] or "bin"
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:_DIGITS]
    return f"{FOLDER}/{stem.strip(_KEPT) or 'document'}-{digest}.{kind}"


@dataclass(frozen=True, slots=True)
class ExportedDocument:
    """A document of an export.

    :param id: Its id in the exported knowledge base.
    :param state: Its ``indexing_status``; if it failed, ``error`` says why.
    :param words: Its length in characters, as Dify counts it; 0 if Dify found no text in it.
    :param rule: Digest of its process rule, by which the manifest has it; ``rule_id`` is the id of the rule in Dify.
    :param metadata: Its values by name, without built-in fields.
    :param content: Its content; ``None`` if Dify has none.
    """

    id: str
    name: str
    state: str
    enabled: bool
    archived: bool
    error: str | None = None
    words: int | None = None
    form: str | None = None
    rule: str | None = None
    rule_id: str | None = None
    metadata: Mapping[str, Plain] = field(default_factory=dict, hash=False)
    content: StoredContent | None = None

    @classmethod
    def of(cls, document: Document, **more: Any) -> ExportedDocument:
        """Return the entry of a document."""
        return cls(
            document.id,
            document.name,
            document.indexing_status,
            document.enabled,
            document.archived,
            document.error,
            document.word_count,
            **more,
        )

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**plain, "metadata": dict(self.metadata), "content": self.content and self.content.to_json()}

    @classmethod
    def read(cls, item: Fields) -> ExportedDocument:
        """Return the document that :meth:`to_json` was called on."""
        content = item.get("content")
        return cls(
            id=item.id(),
            name=canonical(item.text("name")),
            state=item.text("state"),
            enabled=item.flag("enabled"),
            archived=item.flag("archived"),
            error=item.maybe_text("error"),
            words=item.maybe_count("words"),
            form=item.maybe_text("form"),
            rule=item.maybe_text("rule"),
            rule_id=item.maybe_text("rule_id"),
            metadata=Fields(item.read("metadata", _a_mapping)).plain(),
            content=None if content is None else StoredContent.from_json(content),
        )


def _a_mapping(value: JSON) -> TypeGuard[dict[str, JSON]]:
    return isinstance(value, dict)


def _a_size(value: JSON) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _a_digest(value: JSON) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """Everything in an export.

    :param settings: The knowledge base as Dify describes it: ``id``, ``name``, and its settings.
    :param fields: The type of each metadata field, by name.
    :param rules: The process rules of its documents, by digest. Many documents share one.
    :param entries: Its documents, in the order of their creation.
    """

    settings: Mapping[str, JSON]
    fields: Mapping[str, str]
    rules: Mapping[str, Mapping[str, JSON]]
    entries: Sequence[ExportedDocument]

    @property
    def dataset_id(self) -> str:
        """The knowledge base that was exported."""
        return str(self.settings["id"])

    def to_bytes(self) -> bytes:
        """Return the file, with one line per document. An unchanged knowledge base has the same bytes each time."""
        head = {
            "format": FORMAT,
            "version": VERSION,
            "knowledge_base": dict(self.settings),
            "metadata_fields": dict(self.fields),
            "process_rules": dict(self.rules),
        }
        text = json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")
        lines = ",\n".join(f"  {json.dumps(entry.to_json(), ensure_ascii=False)}" for entry in self.entries)
        return f'{text},\n "documents": [\n{lines}\n ]\n}}\n'.encode()

    @classmethod
    def from_bytes(cls, content: bytes, place: str) -> ExportManifest:
        """Read the file.

        :param place: Where it is, for errors.
        :raises DifyInputError: It is not the manifest of an export, or it has the format of a newer version of this
            provider.
        """
        try:
            data = Fields(json.loads(content))
            _check_format(data, place)
            settings = data.read("knowledge_base", _a_mapping)
            Fields(settings).id()
            fields = Fields(data.read("metadata_fields", _a_mapping)).each(a_text)
            rules = Fields(data.read("process_rules", _a_mapping)).each(_a_mapping)
            entries = tuple(map(ExportedDocument.read, data.items("documents")))
            _check_entries(entries, rules)
            return cls(settings, fields, rules, entries)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DifyInputError(
                f"{place} is not the manifest of an export ({type(error).__name__}: {error}). Export the knowledge "
                "base again, or use another folder."
            ) from None


def _check_format(data: Fields, place: str) -> None:
    if data.get("format") != FORMAT:
        raise ValueError(f"its format is {inputs.show(data.get('format'))}")
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise DifyInputError(
            f"{place} has format {version} of an export, but this version of the provider reads only format {VERSION}. "
            "Upgrade airflow-provider-dify here, or export the knowledge base again with this version."
        )
    if version != VERSION:
        raise ValueError(f"its version is {inputs.show(version)}")


def _check_entries(entries: Sequence[ExportedDocument], rules: Mapping[str, object]) -> None:
    ids = {entry.id for entry in entries}
    paths = [entry.content.path for entry in entries if entry.content]
    if len(ids) < len(entries) or len(set(paths)) < len(paths):
        raise ValueError("two documents have the same 'id' or 'path'")
    if missing := {entry.rule for entry in entries if entry.rule} - rules.keys():
        raise ValueError(f"'process_rules' lacks {min(missing)}")
