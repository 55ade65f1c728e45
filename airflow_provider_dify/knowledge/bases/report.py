"""The outcome for a knowledge base and each of its settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifySetupError, DifySetupFailed
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, DocumentReport, ReportOutcome, counted
from airflow_provider_dify.knowledge.text.counts import if_one, part_of
from airflow_provider_dify.knowledge.text.tables import Row


class BaseOutcome(str, Enum):
    """The outcome for a knowledge base."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    #: It does not exist.
    ABSENT = "absent"
    #: The run ended before the outcome was known.
    UNKNOWN = "unknown"


class SettingOutcome(ReportOutcome):
    """The outcome for a setting of a knowledge base."""

    #: It was sent, and a final read confirmed it.
    CHANGED = "changed"
    #: It already has the value; nothing was sent for it.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: Dify ignored it, and ``tolerate`` names it.
    UNSUPPORTED = "unsupported"
    #: It was sent, but Dify shows another value.
    IGNORED = (
        "ignored",
        "accepted, but Dify shows another value; does this version know such settings? Or tolerate them",
        FINAL,
    )
    #: Dify cannot set it, so nothing was changed.
    REFUSED = "refused", "Dify cannot do this", FINAL, UNTOUCHED
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "not set, because the run ended first", UNTOUCHED


@dataclass(frozen=True)
class KnowledgeBaseReport(DocumentReport[SettingOutcome]):
    """The outcome for a knowledge base, and for each requested setting, by its name.

    :param dataset_id: Its id; empty if there is none.
    :param dataset_name: Its name.
    :param outcome: ``created``, ``updated``, ``unchanged``, ``deleted``, ``absent``, or ``unknown``.
    :param deleted_documents: How many documents were deleted with it.
    :param errors: What there is to say of single settings.
    """

    kind = SettingOutcome
    measured_as = "settings"
    raises = DifySetupError, DifySetupFailed

    dataset_id: str
    dataset_name: str
    outcome: str
    deleted_documents: int = 0
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """Say how it ended, for the log."""
        settings = counted(self.counts)
        return f"{self.outcome}{f', settings: {settings}' if settings else ''}"

    def _is_final(self, failing: Collection[SettingOutcome]) -> bool:
        return any(outcome.final for outcome in failing)

    def _row(self, item: str, names: Mapping[str, str]) -> Row:  # noqa: ARG002 - a setting has a name, and no id
        return item, "", self.errors.get(item, "")

    def _problem(self, count: int) -> str:
        part, are = part_of(count, self.total, "setting"), if_one(count, "is", "are")
        return f"{part} of knowledge base '{self.dataset_name}' {are} not as requested."
