"""What was measured, as a table for people and as JSON for machines."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TextIO

_HOLDS = {"at least": operator.ge, "at most": operator.le, "below": operator.lt}
#: Of what is not printed to a terminal.
WIDTH = 110
_STYLES = {"met": "green", "missed": "bold red"}


@dataclass(frozen=True)
class Bound:
    """What a value is held against."""

    relation: Literal["at least", "at most", "below"]
    limit: float

    def met_by(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return bool(_HOLDS[self.relation](value, self.limit))

    def __str__(self) -> str:
        return f"{self.relation} {self.limit:g}"


@dataclass(frozen=True)
class Line:
    """One thing that was measured.

    :param key: Its name in the JSON.
    :param what: Its name in the table.
    :param meaning: What it tells, and where it comes from.
    :param bound: What it is held against; ``None``: it is there to be known.
    """

    key: str
    what: str
    value: float
    unit: str
    meaning: str
    bound: Bound | None = None

    @property
    def missed(self) -> bool:
        """Whether it does not keep to its bound."""
        return self.bound is not None and not self.bound.met_by(self.value)


@dataclass(frozen=True)
class Section:
    """What belongs together."""

    title: str
    lines: Sequence[Line]


def show(sections: Sequence[Section], about: str, out: TextIO, *, judged: bool) -> None:
    """Print a table for each section.

    :param about: What it was measured with.
    :param judged: Whether the sizes were large enough to hold values against their bounds.
    """
    # Not at the top: the memory and the imports of processes that import this file are measured.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, width=None if out.isatty() else WIDTH, highlight=False, markup=False)
    console.print(f"\n{about}")
    for section in sections:
        table = Table(title=f"\n{section.title}", title_justify="left", title_style="bold", box=None, expand=True)
        table.add_column("", ratio=1)
        table.add_column("measured", justify="right", no_wrap=True)
        table.add_column("bound", no_wrap=True)
        table.add_column("", no_wrap=True)
        for line in section.lines:
            verdict = _verdict(line, judged=judged)
            what = Text.assemble(line.what.strip(), "\n", (line.meaning, "dim"))
            bound = "" if line.bound is None else str(line.bound)
            table.add_row(what, f"{number(line.value)} {line.unit}", bound, Text(verdict, _STYLES.get(verdict, "")))
        console.print(table)


def as_json(sections: Sequence[Section], *, judged: bool) -> list[dict[str, Any]]:
    """Return the same for machines."""
    return [
        {"section": section.title, **asdict(line), "verdict": _verdict(line, judged=judged)}
        for section in sections
        for line in section.lines
    ]


def _verdict(line: Line, *, judged: bool) -> str:
    if line.bound is None:
        return ""
    if not judged:
        return "not judged"
    return "missed" if line.missed else "met"


def number(value: float) -> str:
    """Return a value with as many digits as it is worth."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
