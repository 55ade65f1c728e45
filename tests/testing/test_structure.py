"""The built-in Dify can be read from the bottom up: no import cycles, and no folder is too large."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import imports
from tests.imports import assert_no_cycle, imported

PACKAGE = f"{imports.PACKAGE}.testing"
ROOT = imports.ROOT / "testing"
MOST_FILES = 14
MOST_LINES = 400


GRAPH = imports.within(PACKAGE)
FILES = {module: imports.MODULES[module] for module in GRAPH}


def room(module: str) -> str:
    """The folder of a module; a module outside of all rooms stands for itself."""
    inner = module.removeprefix(PACKAGE).split(".")[1:]
    return inner[0] if len(inner) > 1 or (ROOT / inner[0]).is_dir() else module


def test_rooms_do_not_import_each_other_in_circles() -> None:
    edges: dict[str, set[str]] = {}
    for module, names in GRAPH.items():
        if module != PACKAGE:
            edges.setdefault(room(module), set()).update({room(name) for name in names} - {room(module)})
    assert {"api", "model", "text", "web", "work"} <= set(edges)
    assert_no_cycle(edges)


def test_it_needs_nothing_else_of_the_package() -> None:
    others = {
        module: {name for name in imported(file) if name.startswith("airflow") and not name.startswith(PACKAGE)}
        for module, file in FILES.items()
    }
    # The fixtures let the provider, and Airflow's sensors, use a Dify's clock.
    used = {f"{imports.PACKAGE}.transport.clock", "airflow.providers.common.compat.sdk"}
    assert others.pop(f"{PACKAGE}.pytest_plugin") == used
    assert {module: names for module, names in others.items() if names} == {}


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES.values()}), ids=lambda folder: folder.name)
def test_folders_are_small(folder: Path) -> None:
    assert len([file for file in folder.iterdir() if file.is_file()]) <= MOST_FILES


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MOST_LINES
