"""The pictures of the example DAGs match the DAGs."""

from __future__ import annotations

import pytest

from scripts import draw_graphs
from tests.docs.blocks import ROOT
from tests.docs.running import AIRFLOW

pytestmark = pytest.mark.skipif(AIRFLOW < (3, 0), reason="one of the DAGs needs Airflow 3")


def test_each_example_has_a_picture_that_matches_it() -> None:
    drawn = {dag.dag_id: draw_graphs.draw(dag) for dag in draw_graphs.dags()}
    stored = {path.stem: path.read_text() for path in draw_graphs.GRAPHS.glob("*.svg")}
    assert set(drawn) == {path.stem for path in (ROOT / "example_dags").glob("*.py")}
    assert stored == drawn, "run: .venv/bin/python scripts/draw_graphs.py"


def test_the_page_of_examples_shows_each_picture() -> None:
    page = (ROOT / "docs" / "examples.md").read_text()
    shown = {path.stem for path in draw_graphs.GRAPHS.glob("*.svg") if f"images/graphs/{path.name}" in page}
    assert shown == {path.stem for path in (ROOT / "example_dags").glob("*.py")}
