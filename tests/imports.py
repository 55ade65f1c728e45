"""Which module of the package imports which: read from the source, with imports in functions and for type checkers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import airflow_provider_dify

PACKAGE = "airflow_provider_dify"
ROOT = Path(airflow_provider_dify.__path__[0])


def _module_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


#: The file of each module.
MODULES = {_module_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def imported(file: Path) -> Iterator[str]:
    """Everything that a file imports, inside functions and for the type checker too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)


#: The modules of the package that each module imports.
GRAPH = {module: {name for name in imported(file) if name in MODULES} for module, file in MODULES.items()}


def within(package: str) -> dict[str, set[str]]:
    """The part of the graph that is inside a package."""

    def inside(module: str) -> bool:
        return module == package or module.startswith(f"{package}.")

    return {module: set(filter(inside, names)) for module, names in GRAPH.items() if inside(module)}


def assert_no_cycle(edges: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"Imports go round in a circle: {' -> '.join(error.args[1])}")
