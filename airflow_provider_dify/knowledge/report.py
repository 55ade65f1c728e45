"""What happened to everything that a job was about: the one class behind all reports, and their outcomes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_dify.exceptions import DifyReportError
from airflow_provider_dify.knowledge.flow import JSON, Measure
from airflow_provider_dify.knowledge.text.tables import Row, of_outcomes

if TYPE_CHECKING:
    from typing_extensions import Self

#: Follows the advice about an outcome that a retry cannot fix.
FINAL = "final"
#: Follows the advice about an outcome of items for which nothing was sent to Dify.
UNTOUCHED = "untouched"
#: Fields of a report that its JSON omits if they are empty.
_RARE = ("disabled_chunks", "dry_run")
NOT_ATTEMPTED = "not_attempted"
NO_NAMES: Mapping[str, str] = MappingProxyType({})


class ReportOutcome(str, Enum):
    """The outcome of a document, a file or an input. Each job has its own outcomes.

    A member is its name in reports, the advice about it, and :data:`FINAL` and :data:`UNTOUCHED` if they fit. A good
    outcome has no advice. A member equals its name.
    """

    #: Advice; empty if it is good.
    advice: str
    #: Whether a retry cannot fix it.
    final: bool
    #: Whether nothing was sent to Dify.
    untouched: bool

    def __new__(cls, value: str, advice: str = "", *traits: str) -> Self:
        """Make a member."""
        member = str.__new__(cls, value)
        member._value_, member.advice = value, advice
        member.final, member.untouched = FINAL in traits, UNTOUCHED in traits
        return member

    @property
    def good(self) -> bool:
        """Whether it is as requested."""
        return not self.advice


class Entry(Protocol):
    """One line of a report: a file or an input, which may not have a document."""

    @property
    def name(self) -> str:
        """Name of the document."""

    @property
    def outcome(self) -> ReportOutcome:
        """Its outcome."""

    @property
    def document_id(self) -> str | None:
        """Id of the document, if there is one."""

    @property
    def error(self) -> str | None:
        """Why it is not in the expected state."""


_O = TypeVar("_O", bound=ReportOutcome)
_E = TypeVar("_E", bound=Entry)
_T = TypeVar("_T")


class Report(ABC, Generic[_O, _T]):
    """What happened to each item of a job. Subclasses are frozen dataclasses.

    :class:`DocumentReport` lists ids of documents, :class:`EntryReport` entries.
    """

    #: Its outcomes.
    kind: type[_O]
    #: Prefix of its metrics, before the name of the outcome.
    measured_as: str
    #: The error that it raises, and the one if a retry cannot fix it.
    raises: tuple[type[DifyReportError], type[DifyReportError]]
    dataset_id: str
    #: In a dry run, ``not_attempted`` is not a failure.
    dry_run: bool = False

    @abstractmethod
    def of(self, outcome: _O) -> tuple[_T, ...]:
        """Return all items with an outcome."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of items for each outcome."""
        return {outcome.value: len(self.of(outcome)) for outcome in self.kind}

    @property
    def total(self) -> int:
        """The number of items."""
        return sum(self.counts.values())

    def describe(self) -> str:
        """Describe how it ended, for the log."""
        return counted(self.counts) or "no documents"

    def measures(self) -> list[Measure]:
        """Return the number of items by outcome, for the metrics; nothing for a dry run."""
        counts = {} if self.dry_run else self.counts
        named = {f"{self.measured_as}.{outcome}".replace("-", "_"): count for outcome, count in counts.items()}
        return [Measure(name, count) for name, count in named.items() if count]

    def failing(self, tolerate: Iterable[str] = ()) -> dict[_O, tuple[_T, ...]]:
        """Return all items that failed, by outcome, without tolerated outcomes."""
        fine = (*tolerate, *([NOT_ATTEMPTED] if self.dry_run else []))
        bad = (outcome for outcome in self.kind if not outcome.good and outcome not in fine)
        return {outcome: items for outcome in bad if (items := self.of(outcome))}

    def raise_for_outcomes(self, tolerate: Iterable[str] = (), *, final: bool | None = None) -> None:
        """Raise an error if anything has an outcome that is not tolerated.

        :param tolerate: Outcomes that are not a failure.
        :param final: Whether a retry cannot fix it; by default, as the outcomes say.
        :raises DifyReportError: The first error of :attr:`raises`; the second one if a retry cannot fix it.
        """
        failing = self.failing(tolerate)
        if not failing:
            return
        error, final_error = self.raises
        parts = [
            f"{len(items)} {outcome.value} ({some_of([self._label(item) for item in items])}): {outcome.advice}"
            for outcome, items in failing.items()
            if self.touched or len(failing) == 1 or outcome != NOT_ATTEMPTED
        ]
        if len(parts) < len(failing):
            parts.append("Nothing was changed")
        text = f"{self._problem(sum(map(len, failing.values())))} {'. '.join(parts)}.{self._first_error(failing)}"
        is_final = self._is_final(failing) if final is None else final
        raise (final_error if is_final else error)(text, self)

    @property
    def touched(self) -> bool:
        """Whether anything was sent to Dify."""
        return any(self.counts[outcome.value] for outcome in self.kind if not outcome.untouched)

    def table(self, names: Mapping[str, str] = NO_NAMES, tolerate: Collection[str] = ()) -> list[str]:
        """Return the lines of a table with the outcome of each item, for the log: failures first.

        If nothing was attempted, those items are omitted, because they give no information.

        :param names: The names of documents, by id, as far as known.
        :param tolerate: Outcomes that are not a failure.
        """
        failing = self.failing(tolerate)
        order = [*failing, *(outcome for outcome in self.kind if outcome not in failing)]
        shown = [one for one in order if one != NOT_ATTEMPTED or self.touched or self.dry_run]
        labels = {one: f"{one.value} (tolerated)" if one in tolerate and not one.good else one.value for one in shown}
        return of_outcomes({labels[one]: [self._row(item, names) for item in self.of(one)] for one in shown})

    @abstractmethod
    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Return the report that :meth:`to_json` was called on."""

    def _is_final(self, failing: Collection[_O]) -> bool:
        return all(outcome.final for outcome in failing)

    def _first_error(self, failing: Mapping[_O, Sequence[_T]]) -> str:  # noqa: ARG002 - for subclasses
        """Return the end of an error text: the first message about an item that failed."""
        return ""

    @abstractmethod
    def _problem(self, count: int) -> str:
        """Return the beginning of an error text."""

    @abstractmethod
    def _label(self, item: _T) -> str:
        """Return the name of an item in an error text."""

    @abstractmethod
    def _row(self, item: _T, names: Mapping[str, str]) -> Row:
        """Return the row of an item in the log."""


class DocumentReport(Report[_O, str]):
    """A report with a list of ids for each outcome, in a field of its name. Each id is in exactly one."""

    errors: Mapping[str, str]

    def of(self, outcome: _O) -> tuple[str, ...]:
        """Return the documents with an outcome."""
        ids: tuple[str, ...] = getattr(self, outcome.value)
        return ids

    ids = of

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return plain(self, self.counts)

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Return the report that :meth:`to_json` was called on."""
        return cls(**known_fields(cls, data))

    def _first_error(self, failing: Mapping[_O, Sequence[str]]) -> str:
        # A message about what was tried is news; one about a missing document hardly is.
        by_news = sorted(failing, key=lambda outcome: outcome.untouched)
        bad = (i for outcome in by_news for i in failing[outcome] if i in self.errors)
        return next((f" {i}: {self.errors[i]}" for i in bad), "")

    def _label(self, item: str) -> str:
        return item

    def _row(self, item: str, names: Mapping[str, str]) -> Row:
        return names.get(item, ""), item, self.errors.get(item, "")


class EntryReport(Report[_O, _E]):
    """A report that has an entry for each file or input."""

    @abstractmethod
    def _entries(self) -> tuple[_E, ...]:
        """Return all entries, in order."""

    def of(self, outcome: _O) -> tuple[_E, ...]:
        """Return the entries with an outcome."""
        return tuple(entry for entry in self._entries() if entry.outcome is outcome)

    def ids(self, *outcomes: _O) -> tuple[str, ...]:
        """Return the documents of entries with these outcomes; without outcomes, of all good ones."""
        wanted = outcomes or [outcome for outcome in self.kind if outcome.good]
        return tuple(e.document_id for e in self._entries() if e.outcome in wanted and e.document_id)

    def _first_error(self, failing: Mapping[_O, Sequence[_E]]) -> str:
        bad = (entry for entry in self._entries() if entry.outcome in failing and entry.error)
        return next((f" '{entry.name}': {entry.error}" for entry in bad), "")

    def _label(self, item: _E) -> str:
        return f"'{item.name}'"

    def _row(self, item: _E, names: Mapping[str, str]) -> Row:  # noqa: ARG002 - an entry has its name
        return item.name, item.document_id or "", item.error or ""


def by_name(outcomes: Mapping[str, ReportOutcome]) -> dict[str, tuple[str, ...]]:
    """Return the documents by the name of their outcome, in the order of the mapping."""
    lists: dict[str, tuple[str, ...]] = {outcome.value: () for outcome in outcomes.values()}
    return {name: tuple(i for i, outcome in outcomes.items() if outcome == name) for name in lists}


def plain(report: Any, counts: Mapping[str, int]) -> dict[str, JSON]:
    """Return a dataclass as plain JSON, in the order of its fields, with the counts before the first of its lists."""
    data: dict[str, JSON] = {}
    for field in fields(report):
        value = getattr(report, field.name)
        if isinstance(value, tuple) and "counts" not in data:
            data["counts"] = dict(counts)
        if value or field.name not in _RARE:
            data[field.name] = _plain(value)
    return data


def known_fields(kind: type, data: Mapping[str, JSON]) -> dict[str, Any]:
    """Return the fields of a dataclass from the result of :func:`plain`; lists become tuples."""
    return {field.name: _frozen(data[field.name]) for field in fields(kind) if field.name in data}


def counted(counts: Mapping[str, int]) -> str:
    """Return the counts that are not zero, for the log."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def some_of(ids: Sequence[str], limit: int = 3) -> str:
    """Return the first of some ids, and how many more there are."""
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more


def _plain(value: Any) -> JSON:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Enum):
        value = value.value
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _frozen(value: JSON) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return {key: _frozen(one) for key, one in value.items()} if isinstance(value, dict) else value
