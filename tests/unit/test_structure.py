"""The package can be read from the bottom up: no import leads up or in a circle, and no folder is too large."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.imports import GRAPH, MODULES, PACKAGE, ROOT, assert_no_cycle, within

#: From the bottom; everything else is beside the floors, but must not lead up either.
FLOORS = ["exceptions", "knowledge", "transport", "hooks", "triggers", "tasks", "operators"]
#: Which floor other folders are on.
ON_FLOOR = {"links": "triggers", "sensors": "operators"}
#: Which rooms of knowledge/ each room may use, beside the modules that are in no room and ``text``.
ROOMS: dict[str, set[str]] = {
    "text": set(),
    "bases": {"metadata", "retrieval"},
    "apps": set(),
    "selection": set(),
    "retrieval": set(),
    "metadata": set(),
    "status": {"selection", "retrieval"},
    "indexing": {"status"},
    "chunks": {"status"},
    "deletion": {"selection", "status"},
    "export": {"metadata"},
    "ingest": {"indexing", "metadata", "status"},
    "reindex": {"ingest", "selection", "status"},
    "release": {"deletion", "indexing", "metadata", "retrieval", "selection", "status"},
    "sync": {"bases", "deletion", "export", "indexing", "ingest", "metadata", "selection", "status"},
}
BASE = "modules in no room"
MOST_FILES = 14


def floor(module: str) -> int:
    """The number of the floor that a module is on; -1 if it is beside the floors."""
    name = "".join(module.split(".")[1:2])
    name = ON_FLOOR.get(name, name)
    return FLOORS.index(name) if name in FLOORS else -1


def reached(module: str) -> set[str]:
    """All modules that a module imports, and those that they import."""
    found: set[str] = set()
    new = GRAPH[module]
    while new:
        found |= new
        new = {name for known in new for name in GRAPH[known]} - found
    return found


def room(module: str) -> str:
    """The room of a module of knowledge/."""
    name = module.split(".")[2]
    return name if name in ROOMS else BASE


def test_modules_do_not_import_each_other_in_circles() -> None:
    assert_no_cycle(GRAPH)


@pytest.mark.parametrize("module", [module for module in MODULES if floor(module) >= 0])
def test_no_import_leads_up(module: str) -> None:
    assert {name for name in reached(module) if floor(name) > floor(module)} == set()


def test_rooms_use_only_rooms_below() -> None:
    used: dict[str, set[str]] = {BASE: set(), **{name: set() for name in ROOMS}}
    for module, names in within(f"{PACKAGE}.knowledge").items():
        if module != f"{PACKAGE}.knowledge":
            used[room(module)] |= {room(name) for name in names} - {room(module)}
    assert used["sync"]
    allowed = {BASE: {"text"}, **{name: below | {BASE, "text"} for name, below in ROOMS.items()}, "text": set()}
    assert {name: others - allowed[name] for name, others in used.items() if others - allowed[name]} == {}
    assert_no_cycle(allowed)


def test_each_folder_of_knowledge_is_a_room() -> None:
    folders = {path.parent.name for path in (ROOT / "knowledge").glob("*/*.py")}
    assert folders == set(ROOMS)


def test_folders_are_small() -> None:
    files = Counter(str(file.parent.relative_to(ROOT)) for file in MODULES.values())
    assert {folder: count for folder, count in files.items() if count > MOST_FILES} == {}
