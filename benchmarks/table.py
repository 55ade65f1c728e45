"""The measurements as a table for people and as JSON for machines."""

from __future__ import annotations

import operator
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

_HOLDS = {"at least": operator.ge, "at most": operator.le, "below": operator.lt}
WIDTH = 110


@dataclass(frozen=True)
class Bound:
    """A limit for a value."""

    relation: Literal["at least", "at most", "below"]
    limit: float

    def met_by(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        return bool(_HOLDS[self.relation](value, self.limit))

    def __str__(self) -> str:
        return f"{self.relation} {self.limit:g}"


@dataclass(frozen=True)
class Line:
    """One measurement.

    :param key: Its name in the JSON.
    :param what: Its name in the table.
    :param meaning: What it means, and where it comes from.
    :param bound: Its limit; ``None``: for information.
    """

    key: str
    what: str
    value: float
    unit: str
    meaning: str
    bound: Bound | None = None

    @property
    def missed(self) -> bool:
        """Whether it exceeds its limit."""
        return self.bound is not None and not self.bound.met_by(self.value)


@dataclass(frozen=True)
class Section:
    """Measurements that belong together."""

    title: str
    lines: Sequence[Line]


def render(sections: Sequence[Section], *, judged: bool) -> str:
    """Return the table.

    :param judged: Whether the sizes were large enough to compare values with their limits.
    """
    out = [_row("", "measured", "bound", "")]
    for section in sections:
        out += ["-" * WIDTH, textwrap.fill(section.title, WIDTH, subsequent_indent="   "), ""]
        for line in section.lines:
            bound = "" if line.bound is None else str(line.bound)
            out.append(_row(line.what, f"{number(line.value)} {line.unit}", bound, _verdict(line, judged=judged)))
            out.append(textwrap.fill(line.meaning, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6))
            out.append("")
    return "\n".join(out)


def as_json(sections: Sequence[Section], *, judged: bool) -> list[dict[str, Any]]:
    """Return the same for machines."""
    return [
        {"section": section.title, **asdict(line), "verdict": _verdict(line, judged=judged)}
        for section in sections
        for line in section.lines
    ]


def _row(what: str, value: str, bound: str, verdict: str) -> str:
    return f"  {what:<54} {value:<22} {bound:<16} {verdict}".rstrip()


def _verdict(line: Line, *, judged: bool) -> str:
    if line.bound is None:
        return ""
    if not judged:
        return "not judged"
    return "missed" if line.missed else "met"


def number(value: float) -> str:
    """Return a value with as many digits as are significant."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
