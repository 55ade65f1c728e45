"""Draw the task graph of each example DAG into docs/images/graphs/, from the DAG itself.

The pages of the documentation show these pictures. A test fails if a picture no longer matches its DAG; then run
`.venv/bin/python scripts/draw_graphs.py`. It needs Airflow 3, because one of the DAGs does.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_dags"
GRAPHS = ROOT / "docs" / "images" / "graphs"

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN, TITLE = 212, 48, 32, 26, 20, 34
STYLE = """
  text { font-family: -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2937 }
  .id { font-size: 14px; font-weight: 600 } .kind { font-size: 11px; fill: #4b5563 }
  .title { font-size: 14px; font-weight: 600 } .when, .note { font-size: 12px; fill: #4b5563; font-weight: 400 }
  .page { fill: #ffffff; stroke: #d1d5db }
  .task { fill: #eff4ff; stroke: #1d4fd8 } .other { fill: #f9fafb; stroke: #6b7280 }
  .group { fill: none; stroke: #9ca3af; stroke-dasharray: 2 3 } .edge { fill: none; stroke: #6b7280; stroke-width: 1.5 }
  .if { stroke: #b91c1c; stroke-dasharray: 5 4 } .note { fill: #b91c1c }
"""
ARROW = """<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#6b7280"/></marker></defs>"""


def dags() -> Iterator[Any]:
    """The DAG of each example."""
    for path in sorted(EXAMPLES.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"graph_of_{path.stem}", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module.dag


def columns(dag: Any) -> list[list[str]]:
    """The ids of the tasks, from left to right: each comes after everything that it waits for."""
    depth: dict[str, int] = {}
    for task in dag.topological_sort():
        depth[task.task_id] = max((depth[up] + 1 for up in task.upstream_task_ids), default=0)
    found = defaultdict(list)
    for task_id in sorted(depth, key=lambda task_id: runs_after_failure(dag.get_task(task_id))):
        found[depth[task_id]].append(task_id)
    return [found[number] for number in sorted(found)]


def runs_after_failure(task: Any) -> bool:
    """Whether the task runs only if an earlier one has failed."""
    return str(getattr(task.trigger_rule, "value", task.trigger_rule)) == "one_failed"


def when(dag: Any) -> str:
    """What starts the DAG."""
    schedule = dag.schedule
    if schedule is None:
        return "started by hand or by another DAG"
    return f"cron {schedule}" if isinstance(schedule, str) else "started by an asset event"


def kind_of(task: Any) -> str:
    """What a reader would look up: the class of an operator, or the decorator of a function."""
    name = task.task_type
    if name.startswith("_") or "Decorated" in name:
        name = {"_ShortCircuitDecoratedOperator": "@task.short_circuit"}.get(name, "@task")
    return f"{name}, mapped" if task.is_mapped else name


def draw(dag: Any) -> str:
    """The graph of a DAG, as SVG."""
    at = places(columns(dag))
    width = max(480, max(x for x, _ in at.values()) + WIDTH + MARGIN)
    height = max(y for _, y in at.values()) + HEIGHT + MARGIN
    if any("." in task_id for task_id in at):
        height += GAP_Y  # for the name of the group
    shape = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {shape} role="img" aria-label="Graph of {escape(dag.dag_id)}">',
        f"<style>{STYLE}</style>",
        ARROW,
        f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 8}">{escape(dag.dag_id)}',
        f'<tspan class="when" dx="10">{escape(when(dag))}</tspan></text>',
        *groups(at),
        *edges(dag, at),
        *(box(dag.get_task(task_id), x, y) for task_id, (x, y) in at.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def places(found: list[list[str]]) -> dict[str, tuple[int, int]]:
    """The position of each task's box. A long chain continues in the next row, so that its text stays readable."""
    chain = len(found) > 4 and max(map(len, found)) == 1
    cells = {
        task_id: (x % 3, x // 3) if chain else (x, y)
        for x, column in enumerate(found)
        for y, task_id in enumerate(column)
    }
    return {
        task_id: (MARGIN + x * (WIDTH + GAP_X), MARGIN + TITLE + y * (HEIGHT + GAP_Y))
        for task_id, (x, y) in cells.items()
    }


def groups(at: dict[str, tuple[int, int]]) -> Iterator[str]:
    """A frame around the tasks of each task group."""
    members = defaultdict(list)
    for task_id, place in at.items():
        if "." in task_id:
            members[task_id.rpartition(".")[0]].append(place)
    for name, boxes in members.items():
        left, top = min(x for x, _ in boxes) - 10, min(y for _, y in boxes) - 8
        right, bottom = max(x for x, _ in boxes) + WIDTH + 10, max(y for _, y in boxes) + HEIGHT + 22
        yield f'<rect class="group" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="8"/>'
        yield f'<text class="kind" x="{left + 10}" y="{bottom - 7}">task group {escape(name)}</text>'


def edges(dag: Any, at: dict[str, tuple[int, int]]) -> Iterator[str]:
    """An arrow from each task to those that wait for it; dashed if the other task runs only after a failure."""
    for task_id, (x, y) in at.items():
        task = dag.get_task(task_id)
        failure = runs_after_failure(task)
        for above in sorted(task.upstream_task_ids):
            if not failure and above in indirect(dag, task):
                continue
            (left, top), end = at[above], y + HEIGHT // 2
            if x < left:  # to the next row
                path = f"M{left + WIDTH // 2} {top + HEIGHT} v{GAP_Y // 2} H{x + WIDTH // 2} V{y - 1}"
            elif x - left > WIDTH + GAP_X and y > top:  # past the boxes between them
                path = f"M{left + WIDTH // 2} {top + HEIGHT} Q{left + WIDTH // 2} {end} {x - 1} {end}"
            else:
                begin, start, bend = left + WIDTH, top + HEIGHT // 2, (x - left - WIDTH) // 2
                path = f"M{begin} {start} C{begin + bend} {start} {x - bend} {end} {x - 1} {end}"
            yield f'<path class="edge{" if" if failure else ""}" d="{path}" marker-end="url(#arrow)"/>'
        if failure:
            yield f'<text class="note" x="{x}" y="{y - 6}">if one failed</text>'


def indirect(dag: Any, task: Any) -> set[str]:
    """The tasks that this one waits for indirectly, for which an arrow would add nothing."""
    return {above for up in task.upstream_task_ids for above in dag.get_task(up).get_flat_relative_ids(upstream=True)}


def box(task: Any, x: int, y: int) -> str:
    """The box of a task; a mapped task has more boxes behind it."""
    kind = kind_of(task)
    style = "task" if kind.startswith("Dify") else "other"
    behind = (5, 0) if task.is_mapped else (0,)
    boxes = "".join(
        f'<rect class="{style}" x="{x + by}" y="{y + by}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>' for by in behind
    )
    name = escape(task.task_id.rpartition(".")[2])
    return (
        f'{boxes}<text class="id" x="{x + 12}" y="{y + 20}">{name}</text>'
        f'<text class="kind" x="{x + 12}" y="{y + 37}">{escape(kind)}</text>'
    )


def main() -> None:
    """Draw all of them."""
    GRAPHS.mkdir(exist_ok=True)
    for dag in dags():
        (GRAPHS / f"{dag.dag_id}.svg").write_text(draw(dag))
        print(f"docs/images/graphs/{dag.dag_id}.svg")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        # Before the first import of Airflow, which reads it once and writes a configuration there.
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        main()
