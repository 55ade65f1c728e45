"""What the demo prints: scenes with a title, a table and a verdict, and the log of Airflow if it is wanted."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from scripts.demo.throwaway import Run, run_dag

_LOG_LINE = re.compile(r"\S+T[\d:]{8}\S* \[(?P<level>\w+) *\] (?P<text>.*?) *\[airflow\.task\.\S+\].*")
_STYLES = {"in search": "green", "wrong": "bold red", "right": "bold green"}
_FAINT = ("-", "archived", "disabled", "being indexed")


class Show:
    """The demo as it is shown.

    :param out: Where to; colours and check marks only if it is a terminal.
    :param scenes: How many scenes there are.
    :param verbose: Whether the log of the tasks is shown, too.
    """

    def __init__(self, out: TextIO, *, scenes: int, verbose: bool) -> None:
        self._live = out.isatty()
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self.log = Log(self._console, shown=verbose)
        self._scenes = scenes
        self._scene = 0
        utf8 = (out.encoding or "").lower().startswith("utf")
        self._marks = ("✓", "✗") if self._console.is_terminal and utf8 else ("ok:", "FAILED:")

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self._console.print(text, style=style, soft_wrap=True)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something is going on."""
        shown = self._live and not self.log.shown
        with self._console.status(what) if shown else nullcontext():
            yield

    def scene(self, title: str, dag: str, *story: str) -> None:
        """Say what is about to happen, and in which DAG."""
        self._scene += 1
        self.log.lines.clear()
        head = Text.assemble("\n", (f"({self._scene}/{self._scenes}) {title}", "bold"), (f"   {dag}.py", "cyan"))
        self._console.print(head, soft_wrap=True)
        for line in story:
            self.say(f"  {line}")

    def run(self, dag: str, connection: str, conf: Mapping[str, Any]) -> Run:
        """Run an example DAG."""
        with self.working(f"Airflow is running {dag}"):
            return run_dag(dag, connection, conf)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; without columns it has no head."""
        head = [columns] if columns else []
        widths = [max(map(len, cells)) for cells in zip(*head, *rows, strict=True)]
        for row in [*head, *rows]:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            cells[-1] = row[-1]
            styles = ["dim" if row is columns else _style(cell) for cell in row]
            line = Text("   ").join(Text(cell, style) for cell, style in zip(cells, styles, strict=True))
            self._console.print(Text("  ") + line, soft_wrap=True)

    def explain(self) -> None:
        """Print the log of the scene, unless it has been shown."""
        if not self.log.shown:
            self.say("\n".join(self.log.lines))

    def verdict(self, text: str, *runs: Run, good: bool) -> bool:
        """Print how a scene ended; if it did not end as it should, show the states of the DAG runs and the log."""
        if not good:
            text = f"It did not end as it should. DAG runs: {', '.join(run.state for run in runs)}."
            self.explain()
        self._console.print(
            Text.assemble("  ", (f"{self._marks[not good]} {text}", "green" if good else "bold red")), soft_wrap=True
        )
        return good


class Log(io.TextIOBase):
    """Takes the place of standard output, to which Airflow writes its log.

    A line of a task shows only its text, and the time by the provider's clock.
    """

    def __init__(self, console: Console, *, shown: bool) -> None:
        self._console = console
        self._begun = ""
        self.shown = shown
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        """Take some text; each line is kept as soon as it is complete."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self.lines.append(_LOG_LINE.sub(_told, line))
            if self.shown:
                self._console.print(self.lines[-1], style="dim", soft_wrap=True)
        return len(text)


def _told(line: re.Match[str]) -> str:
    from airflow_provider_dify.transport.clock import current

    # The time in the line is that of this machine, where no time passes while the tasks wait for the built-in Dify.
    at = datetime.fromtimestamp(current().time(), tz=timezone.utc)
    level = "" if line["level"] == "info" else f"{line['level']}: "
    return f"  {at:%H:%M:%S} {level}{line['text']}"


def _style(cell: str) -> str:
    return "dim" if cell in _FAINT else _STYLES.get(cell.split(",", maxsplit=1)[0], "")


def outcomes(reports: Mapping[str, Any], ids: Sequence[str]) -> list[str]:
    """Return what happened to each document, and in which task."""
    told: dict[str, str] = {}
    for task_id, report in reports.items():
        for outcome, count in ((report or {}).get("counts") or {}).items():
            if count and isinstance(report.get(outcome), list):
                told |= dict.fromkeys(report[outcome], f"{task_id}: {outcome}")
    return [told.get(i, "") for i in ids]
