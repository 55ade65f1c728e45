"""The measurements as a table for people and as JSON for machines."""

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


def show(sections: Sequence[Section], about: str, out: TextIO, *, judged: bool) -> None:
    """Print a table for each section.

    :param about: The machine and the versions that it was measured with.
    :param judged: Whether the sizes were large enough to compare values with their limits.
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
    """Return a value with as many digits as are significant."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
