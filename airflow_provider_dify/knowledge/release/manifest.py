"""What a release did, the state before, and the current state: enough to roll it back. And the errors about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyInputError,
    DifyReleaseError,
    DifyReleaseFailed,
    DifyReleaseIncomplete,
    DifyReleaseUndone,
)
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, a_string
from airflow_provider_dify.knowledge.documents import Flags
from airflow_provider_dify.knowledge.flow import JSON, Measure
from airflow_provider_dify.knowledge.report import counted, known_fields, plain, some_of
from airflow_provider_dify.knowledge.status.chunks import chunks_from
from airflow_provider_dify.knowledge.text.counts import if_one, number_of, part_of
from airflow_provider_dify.knowledge.text.packing import pack_ids, pack_members, unpack_ids, unpack_members
from airflow_provider_dify.knowledge.text.tables import of_outcomes


class ReleaseState(str, Enum):
    """The state of a release."""

    #: Nothing was changed: it was a dry run, or a check failed.
    NOT_BEGUN = "not_begun"
    #: It is running, or was killed.
    RELEASING = "releasing"
    #: The new documents are in search next to the old ones, as requested.
    ENABLED = "enabled"
    #: The new documents are in search and the old ones are not.
    RELEASED = "released"
    #: The same, but not all old documents are deleted.
    PARTLY_DELETED = "partly_deleted"
    #: A step failed, and everything is as it was before.
    UNDONE = "undone"
    #: A step failed, and not everything could be restored.
    PARTLY_UNDONE = "partly_undone"


_LISTS = ("new", "old", "enabled", "retired", "deleted", "missing", "not_undone")


@dataclass(frozen=True)
class Manifest:
    """What a release did.

    :param dataset_id: The knowledge base.
    :param release: Its channel and name.
    :param state: Its state.
    :param step: The last step, or the one that failed: ``check``, ``index``, ``enable``, ``search``, ``answers``,
        ``retire``, ``delete`` or ``prove``.
    :param retire: What happens to old documents: ``archive``, ``disable`` or ``delete``.
    :param new: Documents of the new version.
    :param old: Documents that they replace.
    :param enabled: New documents that were not in search before.
    :param retired: Old documents whose flags it changed, or which it deleted.
    :param deleted: Old documents that are deleted.
    :param missing: Documents that are not in the knowledge base, and were not when it began.
    :param not_undone: Documents that should be as before but are not.
    :param previous: The flags of each document before.
    :param errors: Messages about single documents, by id.
    :param dry_run: Whether nothing should be changed.
    :param disabled_chunks: Ids of the chunks that were disabled in documents in use, by document id.
    """

    dataset_id: str
    release: str
    state: ReleaseState
    step: str
    retire: str
    new: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    previous: Mapping[str, Flags] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    disabled_chunks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dry_run: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Manifest:
        """Return the manifest that :meth:`to_json` was called on."""
        return cls(**{**read_fields(cls, data), "state": ReleaseState(data["state"])})

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        return plain(self, self.counts)

    def pack(self) -> dict[str, JSON]:
        """Return it as plain JSON with few bytes for each document, for a trigger."""
        ids = tuple(dict.fromkeys((*self.new, *self.old, *self.previous)))
        return {
            **self.to_json(),
            **{name: pack_members(set(getattr(self, name)), ids) for name in _LISTS},
            "ids": pack_ids(ids),
            "previous": pack_flags(self.previous),
            "counts": {},
        }

    @classmethod
    def unpack(cls, data: JSON) -> Manifest:
        """Return the manifest that :meth:`pack` was called on."""
        packed = Fields(data)
        ids = unpack_ids(packed.read("ids", a_string))
        lists = {name: unpack_members(packed.read(name, a_string), ids) for name in _LISTS}
        manifest = cls.from_json({**packed.values, **lists, "previous": {}})
        return replace(manifest, previous=unpack_flags(packed.get("previous")))

    @property
    def counts(self) -> dict[str, int]:
        """The length of each list."""
        return {name: len(getattr(self, name)) for name in _LISTS}

    def table(self, names: Mapping[str, str]) -> list[str]:
        """Return the lines of a table with the outcome of each document, for the log.

        :param names: The names of documents, by id, where they are known.
        """
        if self.state is ReleaseState.NOT_BEGUN and not (self.dry_run or self.missing or self.errors):
            return []
        ends: dict[str, str] = {i: name for name in _LISTS for i in getattr(self, name)}
        rows = {i: (names.get(i, ""), i, self.errors.get(i, "")) for i in ends}
        return of_outcomes({name: [rows[i] for i in ends if ends[i] == name] for name in reversed(_LISTS)})

    def measures(self) -> list[Measure]:
        """Return how it ended, for the metrics; nothing for a dry run."""
        return [] if self.dry_run else [Measure(f"releases.{self.state.value}")]

    def describe(self) -> str:
        """Describe how it ended, for the log."""
        return f"{self.state.value}{' (a dry run)' if self.dry_run else ''}: {counted(self.counts)}"


def not_released(cause: DifyError, manifest: Manifest) -> DifyReleaseError:
    """Return the error of a release of which a step failed.

    :param cause: The step's error.
    :param manifest: The current state.
    """
    failed = f"Release {manifest.release} failed at step '{manifest.step}'. {cause.message}"
    if manifest.state is ReleaseState.UNDONE:
        kind = DifyReleaseFailed if cause.final else DifyReleaseUndone
        error: DifyReleaseError = kind(f"{failed} All of it was undone: everything is as before.", manifest)
    elif manifest.state is ReleaseState.PARTLY_DELETED:
        left = tuple(i for i in manifest.old if i not in manifest.deleted and i not in manifest.missing)
        error = DifyReleaseIncomplete(
            f"{failed} The new version is in search and the old one is not, but "
            f"{part_of(len(left), len(manifest.old), 'old document')} {if_one(len(left), 'is', 'are')} not deleted "
            f"({some_of(left)}). That cannot be undone; a retry deletes the rest.",
            manifest,
        )
    else:
        left = manifest.not_undone
        error = DifyReleaseIncomplete(
            f"{failed} It could not be completely undone: {number_of(len(left))} "
            f"{if_one(len(left), 'is not as it was', 'are not as they were')} before ({some_of(left)}). "
            "The errors in the report say why. A retry continues from there, and so does "
            "DifyRollbackOperator with the report as its manifest.",
            manifest,
        )
    error.retry_after = cause.retry_after
    return error


def missing_documents(ids: tuple[str, ...], dataset_id: str, manifest: Manifest) -> DifyReleaseFailed:
    """Return the error for documents that do not exist."""
    return DifyReleaseFailed(
        f"{number_of(len(ids))} of release {manifest.release} {if_one(len(ids), 'is', 'are')} not in knowledge base "
        f"{dataset_id} ({some_of(ids)}). "
        "Check the ids and the dataset id. If old documents may be gone, tolerate 'missing'.",
        manifest,
    )


def changed_meanwhile(ids: tuple[str, ...], manifest: Manifest) -> DifyReleaseError:
    """Return the error for documents that somebody has changed a moment ago."""
    return DifyReleaseError(
        f"{number_of(len(ids))} of knowledge base {manifest.dataset_id} changed while the release was running "
        f"({some_of(ids)}). Dify's worker or somebody else did that.",
        manifest,
    )


def read_fields(kind: type, data: Mapping[str, JSON]) -> dict[str, Any]:
    """Return the fields of a manifest or of a rollback report from its JSON."""
    chunks = chunks_from(data.get("disabled_chunks", {}), "disabled_chunks")
    return known_fields(kind, data) | {"previous": flags_from(data["previous"]), "disabled_chunks": chunks}


def pack_flags(flags: Mapping[str, Flags]) -> dict[str, JSON]:
    """Return the flags of documents as plain JSON with few bytes for each document."""
    codes = "".join(str(2 * one.enabled + one.archived) for one in flags.values())
    return {"ids": pack_ids(flags), "flags": codes}


def unpack_flags(data: JSON) -> dict[str, Flags]:
    """Return the flags that :func:`pack_flags` was given."""
    packed = Fields(data)
    ids, codes = unpack_ids(packed.read("ids", a_string)), packed.read("flags", a_string)
    return {i: Flags(bool(int(code) & 2), bool(int(code) & 1)) for i, code in zip(ids, codes, strict=True)}


def flags_from(data: object, parameter: str = "previous") -> dict[str, Flags]:
    """Return the flags of documents from the JSON of a report.

    :raises DifyInputError: The value is something else.
    """
    if not isinstance(data, Mapping):
        raise DifyInputError(f"{parameter} must map ids of documents to their flags, not {inputs.show(data)}.")
    found = {}
    for document_id, flags in data.items():
        known = flags if isinstance(flags, Mapping) else {}
        enabled, archived = known.get("enabled"), known.get("archived")
        if not (isinstance(enabled, bool) and isinstance(archived, bool)):
            raise DifyInputError(
                f"{parameter}[{inputs.show(document_id)}] must be the flags of a document, such as "
                f'{{"enabled": true, "archived": false}}, not {inputs.show(flags)}.'
            )
        found[inputs.canonical_id(document_id, f"An id of {parameter}")] = Flags(enabled, archived)
    return found
