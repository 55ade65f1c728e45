"""The built-in Dify can be read from the bottom up: no import leads back, and no folder holds too much."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import airflow_provider_dify.testing

PACKAGE = "airflow_provider_dify.testing"
ROOT = Path(airflow_provider_dify.testing.__path__[0])
MOST_FILES = 14
MOST_LINES = 400


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGE, *(part for part in parts if part != "__init__")])


FILES = sorted(ROOT.rglob("*.py"))
MODULES = {module_of(file): file for file in FILES}


def imported(file: Path) -> Iterator[str]:
    """Everything that a file imports, inside functions and for the type checker too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)


def graph() -> dict[str, set[str]]:
    return {module: {name for name in imported(file) if name in MODULES} for module, file in MODULES.items()}


def room(module: str) -> str:
    """The folder of a module; what is in none of the rooms stands for itself."""
    inner = module.removeprefix(PACKAGE).split(".")[1:]
    return inner[0] if len(inner) > 1 or (ROOT / inner[0]).is_dir() else module


def assert_no_cycle(edges: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"Imports go round in a circle: {' -> '.join(error.args[1])}")


def test_modules_do_not_import_each_other_in_circles() -> None:
    edges = graph()
    assert any(edges.values())
    assert_no_cycle(edges)


def test_neither_do_rooms() -> None:
    edges: dict[str, set[str]] = {}
    for module, names in graph().items():
        if module != PACKAGE:
            edges.setdefault(room(module), set()).update({room(name) for name in names} - {room(module)})
    assert {"api", "model", "text", "web", "work"} <= set(edges)
    assert_no_cycle(edges)


def test_it_needs_nothing_else_of_the_package() -> None:
    names = {name for file in FILES for name in imported(file) if name.startswith("airflow")}
    assert {name for name in names if not name.startswith(PACKAGE)} == set()


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=lambda folder: folder.name)
def test_folders_are_small(folder: Path) -> None:
    assert len([file for file in folder.iterdir() if file.is_file()]) <= MOST_FILES


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MOST_LINES
