"""The picture of the floors and rooms matches the imports of the package."""

from __future__ import annotations

from scripts import draw_rooms
from tests import imports
from tests.docs.blocks import ROOT
from tests.unit.test_structure import FLOORS, ROOMS


def test_the_picture_matches_the_imports() -> None:
    assert draw_rooms.PICTURE.read_text() == draw_rooms.draw(), "run: .venv/bin/python -m scripts.draw_rooms"


def test_it_shows_every_room_above_those_that_it_uses() -> None:
    rows, used, shared = draw_rooms.rows(), draw_rooms.uses(), draw_rooms.used_by_all()
    place = {name: number for number, names in enumerate(rows) for name in names}
    assert place.keys() | shared == ROOMS.keys()
    assert {name for name in place for one in used[name] - shared if place[one] <= place[name]} == set()
    assert {"status", "indexing"} <= used["ingest"] <= ROOMS["ingest"] | shared


def test_it_shows_every_folder_and_module_of_the_package() -> None:
    shown = {name for of in FLOORS for name in draw_rooms.folders(of)} | set(map(draw_rooms.shown, draw_rooms.beside()))
    found = {f"{path.name}/" if path.is_dir() else path.name for path in imports.ROOT.iterdir()}
    assert {name for name in found if name[:2] != "__" and name != "py.typed"} == shown | {"testing/"}


def test_it_has_an_arrow_for_each_floor_that_uses_the_one_below() -> None:
    picture = draw_rooms.draw()
    assert picture.count(" V") == len(FLOORS) - 1
    assert not draw_rooms.goes_down("knowledge", "hooks")


def test_the_pages_show_it() -> None:
    for page in ("CONTRIBUTING.md", "docs/architecture.md"):
        assert "images/architecture.svg" in (ROOT / page).read_text()
