"""The measurements for the documentation: as JSON, and as a page with plots made from that JSON.

`python -m benchmarks.page FOLDER` creates the page in a folder again from the JSON in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.table import number

RESULTS = "results.json"
_OURS, _OTHERS, _INK = "#2563eb", "#94a3b8", "#728199"


@dataclass(frozen=True)
class Panel:
    """Bars next to each other.

    :param bars: Label of each bar by the key of its line; those of this provider begin with "this provider".
    """

    title: str
    bars: Mapping[str, str]


@dataclass(frozen=True)
class Plot:
    """A picture of one or more panels.

    :param says: What it shows, for people who cannot see it.
    """

    name: str
    says: str
    panels: Sequence[Panel]


PLOTS = (
    Plot(
        "speed",
        "Documents archived per second, by this provider and by clients that check nothing",
        [
            Panel(
                "Documents archived per second (more is better)",
                {
                    "bare_calls": "bare calls, nothing checked",
                    "provider": "this provider, proven",
                    "provider_reads_by_row": "this provider, proven,\nreads priced by the row",
                    "published_client": "dify-dataset-sdk,\nnothing checked",
                    "call_per_document": "a call for each document,\nnothing checked",
                },
            )
        ],
    ),
    Plot(
        "waits",
        "Cost of a thousand waits in one event loop, in three ways",
        [
            Panel(
                "Memory for each wait, kB (less is better)",
                {
                    "wait_memory": "this provider's trigger",
                    "wait_own_memory": "a client for each wait",
                    "wait_thread_memory": "threads over requests",
                },
            ),
            Panel(
                "Longest pause of the loop, ms (less is better)",
                {
                    "wait_pause": "this provider's trigger",
                    "wait_own_pause": "a client for each wait",
                    "wait_thread_pause": "threads over requests",
                },
            ),
        ],
    ),
)


def write(folder: Path, about: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the measurements to a folder of the documentation, and create its page there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_text(json.dumps({"about": about, "lines": lines}, indent=2, ensure_ascii=False) + "\n")
    make(folder)


def replace(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Replace the lines of some sections."""
    found = json.loads((folder / RESULTS).read_text())
    numbers = {_number_of(line) for line in lines}
    kept = [line for line in found["lines"] if _number_of(line) not in numbers]
    write(folder, found["about"], sorted([*kept, *lines], key=_number_of))


def _number_of(line: Mapping[str, Any]) -> int:
    """Return the number of the section of a line."""
    return int(str(line["section"]).partition(".")[0])


def make(folder: Path) -> None:
    """Create the page from the JSON in its folder."""
    found = json.loads((folder / RESULTS).read_text())
    values = {line["key"]: float(line["value"]) for line in found["lines"]}
    for plot in PLOTS:
        draw(plot, values, folder / f"{plot.name}.svg")
    (folder / "results.md").write_text(markdown(found["about"], found["lines"]))


def markdown(about: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the page: the environment, the plots, and the table."""
    out = [about, ""]
    for plot in PLOTS:
        out += [f"```{{image}} benchmarks/{plot.name}.svg", f":alt: {plot.says}", ":width: 100%", "```", ""]
    section = ""
    for line in lines:
        if line["section"] != section:
            section = line["section"]
            out += ["", f"## {section}", "", "| | Measured | Bound | |", "|---|---|---|---|"]
        out.append(f"| {' | '.join(_cells(line))} |")
    return "\n".join(out).rstrip() + "\n"


def _cells(line: Mapping[str, Any]) -> list[str]:
    bound = line["bound"]
    held = f"{bound['relation']} {bound['limit']:g}: **{line['verdict']}**" if bound else ""
    measured = f"{number(line['value'])} {line['unit']}"
    return [cell.replace("|", r"\|") for cell in (line["what"].strip(), measured, held, line["meaning"])]


def draw(plot: Plot, values: Mapping[str, float], path: Path) -> None:
    """Draw a plot that is readable on a light and on a dark page."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    look: Any = {
        "svg.fonttype": "none", "svg.hashsalt": "dify", "font.family": "sans-serif", "font.size": 11,
        "text.color": _INK, "axes.edgecolor": _INK, "ytick.color": _INK, "axes.labelcolor": _INK,
    }  # fmt: skip
    with mpl.rc_context(look):
        rows = [len(panel.bars) for panel in plot.panels]
        figure, axes = plt.subplots(
            len(rows), figsize=(7.0, 0.55 * sum(rows) + 0.7 * len(rows)), height_ratios=rows, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axis, panel in zip(axes[:, 0], plot.panels, strict=True):
            _bars(axis, panel, values)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)


def _bars(axis: Any, panel: Panel, values: Mapping[str, float]) -> None:
    labels = list(panel.bars.values())
    colors = [_OURS if label.startswith("this provider") else _OTHERS for label in labels]
    bars = axis.barh(labels, [values[key] for key in panel.bars], color=colors, height=0.6)
    axis.bar_label(bars, [number(values[key]) for key in panel.bars], padding=4)
    axis.set_title(panel.title, loc="left", fontsize=11)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[["top", "right", "bottom"]].set_visible(False)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
