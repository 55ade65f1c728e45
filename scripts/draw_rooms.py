"""Draw the floors and rooms of the package into docs/images/architecture.svg, from its imports.

A test fails if the picture no longer matches them; then run `.venv/bin/python -m scripts.draw_rooms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise
from pathlib import Path
from textwrap import wrap

from tests.imports import GRAPH, MODULES, PACKAGE, ROOT
from tests.unit.test_structure import BASE, FLOORS, ON_FLOOR, ROOMS, floor, room

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "architecture.svg"

#: The purpose of each floor, from the bottom.
SAYS = {
    "exceptions": "one tree of errors",
    "knowledge": "what Dify's API means: no I/O, no clock, no Airflow",
    "transport": "sends a request, sleeps a pause; for threads and for event loops",
    "hooks": "an Airflow connection becomes a client; one method for each job",
    "triggers": "continue a job in the triggerer; links to Dify's console",
    "tasks": "run a job on the worker: connection, links, kill, report",
    "operators": "Airflow's words: parameters in, a job, a report out",
}
MARGIN, LEFT, RIGHT, GAP, BAND = 16, 564, 164, 26, 54
WIDTH = 3 * MARGIN + LEFT + RIGHT
#: Approximate width of a character in small text.
CHARACTER = 6.3
STYLE = """
  text { font-family: -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 12px; fill: #1f2937 }
  .name { font-family: ui-monospace, Menlo, "DejaVu Sans Mono", monospace; font-size: 13px; font-weight: 600 }
  .uses { font-size: 11px; fill: #4b5563 }
  .page { fill: #ffffff; stroke: #d1d5db } .floor { fill: #eff4ff; stroke: #1d4fd8 }
  .room { fill: #ffffff; stroke: #6b7280 } .beside { fill: #f9fafb; stroke: #6b7280 }
  .fake { fill: #ecfdf5; stroke: #0f766e }
  .edge { fill: none; stroke: #6b7280; stroke-width: 1.5 }
"""
ARROW = """<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" \
orient="auto-start-reverse">
<path d="M0 0 L8 4 L0 8 z" fill="#6b7280"/></marker></defs>"""


def uses() -> dict[str, set[str]]:
    """The rooms that each room imports."""
    found: dict[str, set[str]] = {name: set() for name in ROOMS}
    for module, names in GRAPH.items():
        if _in_knowledge(module) and room(module) != BASE:
            found[room(module)] |= {room(name) for name in names if _in_knowledge(name)} - {BASE, room(module)}
    return found


def rows() -> list[list[str]]:
    """The rooms from the top: each is above all that it uses. Rooms that all others use are left out."""
    used, shared = uses(), used_by_all()
    level: dict[str, int] = {}
    while len(level) < len(used):
        for name, below in used.items():
            if below <= level.keys():
                level.setdefault(name, max((level[one] + 1 for one in below - shared), default=0))
    tops = sorted(set(level.values()), reverse=True)
    return [sorted(name for name in used if level[name] == top and name not in shared) for top in tops]


def used_by_all() -> set[str]:
    """The rooms that modules outside of rooms import."""
    base = [module for module in GRAPH if _in_knowledge(module) and room(module) == BASE]
    return {room(name) for module in base for name in GRAPH[module] if _in_knowledge(name)} - {BASE}


def beside() -> list[str]:
    """The modules and folders that are on no floor, without the built-in Dify."""
    return sorted({module.split(".")[1] for module in MODULES if "." in module and floor(module) < 0} - {"testing"})


def folders(of: str) -> list[str]:
    """The folders, or the module, of a floor."""
    also = sorted(name for name, place in ON_FLOOR.items() if place == of)
    return [shown(name) for name in (of, *also)]


def goes_down(above: str, below: str) -> bool:
    """Whether a floor imports another one."""
    high, low = FLOORS.index(above), FLOORS.index(below)
    return any(floor(name) == low for module in GRAPH if floor(module) == high for name in GRAPH[module])


def _in_knowledge(module: str) -> bool:
    return module.startswith(f"{PACKAGE}.knowledge.")


def shown(name: str) -> str:
    """The folder or the module of a name."""
    return f"{name}/" if (ROOT / name).is_dir() else f"{name}.py"


def draw() -> str:
    """The picture, as SVG."""
    parts: list[str] = []
    at: dict[str, tuple[int, int]] = {}
    y = MARGIN
    for name in reversed(FLOORS):
        inside = list(_rooms(y + BAND)) if name == "knowledge" else []
        height = BAND + sum(tall for tall, _ in inside)
        at[name] = y, height
        parts += [_box("floor", MARGIN, y, LEFT, height), _name(MARGIN + 12, y + 22, " ".join(folders(name)))]
        parts += [_text(MARGIN + 12, y + 41, SAYS[name]), *(part for _, part in inside)]
        y += height + GAP
    parts += [_arrow(at[one], at[other]) for other, one in pairwise(FLOORS) if goes_down(one, other)]
    parts += _right(at)
    height = y - GAP + MARGIN
    shape = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    label = "The floors and rooms of airflow-provider-dify; imports only go down"
    page = f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" {shape} role="img" aria-label="{label}">'
    return "\n".join([begin, f"<style>{STYLE}</style>", ARROW, page, *parts, "</svg>"]) + "\n"


def _rooms(top: int) -> Iterator[tuple[int, str]]:
    """The rows of rooms, and what all of them use: the height of each, and its parts."""
    used, shared = uses(), used_by_all()
    for names in rows():
        width = (LEFT - 24 - 8 * (len(names) - 1)) // len(names)
        lines = {name: _wrapped(sorted(used[name] - shared), width, "uses ") for name in names}
        height = 28 + 15 * max(map(len, lines.values()))
        parts = [
            part
            for column, name in enumerate(names)
            for part in _room(name + "/", lines[name], MARGIN + 12 + column * (width + 8), top, width, height)
        ]
        yield height + 8, "\n".join(parts)
        top += height + 8
    modules = [module.split(".")[2] for module in GRAPH if _in_knowledge(module) and room(module) == BASE]
    lines_of_base = _wrapped([*sorted(modules), *(f"{name}/" for name in sorted(shared))], LEFT - 24, "")
    height = 28 + 15 * len(lines_of_base)
    yield height + 12, "\n".join(_room("for all rooms", lines_of_base, MARGIN + 12, top, LEFT - 24, height))


def _room(name: str, lines: list[str], x: int, y: int, width: int, height: int) -> Iterator[str]:
    yield _box("room", x, y, width, height)
    yield _name(x + 9, y + 19, name)
    yield from (_text(x + 9, y + 35 + 15 * number, line, "uses") for number, line in enumerate(lines))


def _wrapped(names: Iterable[str], width: int, begin: str) -> list[str]:
    text = ", ".join(names)
    return wrap(begin + text, int((width - 18) / CHARACTER)) if text else []


def _right(at: dict[str, tuple[int, int]]) -> Iterator[str]:
    """The part next to the floors: separate modules, Dify itself, and the built-in one."""
    x = 2 * MARGIN + LEFT
    top, lines = at["operators"][0], _wrapped((shown(name).removesuffix(".py") for name in beside()), RIGHT, "")
    bottom = at["hooks"][0] + at["hooks"][1]
    yield from _aside("beside", x, top, bottom - top, "on their own", lines)
    top, height = at["transport"]
    yield from _aside("fake", x, top, height, "Dify", ["or the built-in one below"])
    yield f'<path class="edge" d="M{MARGIN + LEFT + 1} {top + 27} H{x - 2}" marker-end="url(#arrow)"/>'
    top, _ = at["knowledge"]
    rooms = sorted(path.name for path in (ROOT / "testing").iterdir() if (path / "__init__.py").exists())
    text = "a Dify for tests, in the test process or on its own; it imports nothing from the rest. Its rooms: "
    lines = _wrapped(rooms, RIGHT, text)
    yield from _aside("fake", x, top, 36 + 15 * len(lines), "testing/", lines)


def _aside(kind: str, x: int, y: int, height: int, name: str, lines: list[str]) -> Iterator[str]:
    yield _box(kind, x, y, RIGHT, height)
    yield _name(x + 9, y + 22, name)
    yield from (_text(x + 9, y + 41 + 15 * number, line, "uses") for number, line in enumerate(lines))


def _arrow(above: tuple[int, int], below: tuple[int, int]) -> str:
    middle = MARGIN + LEFT // 2
    return f'<path class="edge" d="M{middle} {sum(above)} V{below[0] - 1}" marker-end="url(#arrow)"/>'


def _box(kind: str, x: int, y: int, width: int, height: int) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'


def _name(x: int, y: int, text: str) -> str:
    return _text(x, y, text, "name")


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x}" y="{y}">{escape(text)}</text>'


def main() -> None:
    """Draw it."""
    PICTURE.write_text(draw())
    print("docs/images/architecture.svg")


if __name__ == "__main__":
    main()
