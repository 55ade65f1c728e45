"""The benchmarks work, and report clearly if a bound is missed. The measured values are not judged here."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import clients, page, searching, waits
from benchmarks.page import markdown
from benchmarks.server import Setup, Target
from benchmarks.sizes import Case
from benchmarks.table import Bound, Line, Section, as_json, show
from benchmarks.timing import run

DOCUMENT = "b6d30b8a-0000-4000-8000-000000000001"
MET = Line("met", "one", 1.2, "s", "why", Bound("at most", 1.25))
MISSED = Line("missed", "another", 150, "MB", "why", Bound("below", 150))
KNOWN = Line("known", "a third", 271.4, "documents/s", "why")
TABLE = [Section("title", [MET, MISSED, KNOWN])]


def verdicts(*, judged: bool) -> list[str]:
    return [line["verdict"] for line in as_json(TABLE, judged=judged)]


def test_a_missed_bound_is_said() -> None:
    assert verdicts(judged=True) == ["met", "missed", ""]
    out = io.StringIO()
    show(TABLE, "With [this].", out, judged=True)
    assert [line.split() for line in out.getvalue().splitlines() if "150 MB" in line] == [
        ["another", "150", "MB", "below", "150", "missed"]
    ]
    assert "\nWith [this].\n" in out.getvalue()


def test_small_sizes_are_not_judged() -> None:
    assert verdicts(judged=False) == ["not judged", "not judged", ""]


def test_the_page_shows_each_line_with_its_bound() -> None:
    page = markdown("On this machine.", as_json(TABLE, judged=True))
    assert [line for line in page.splitlines() if line.startswith("| ") and "Measured" not in line] == [
        "| one | 1.20 s | at most 1.25: **met** | why |",
        "| another | 150 MB | below 150: **missed** | why |",
        "| a third | 271 documents/s |  | why |",
    ]
    assert page.startswith("On this machine.\n")
    assert page.count("## title") == 1


def test_what_waits_in_a_trigger_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = '{"conn_type": "dify", "host": "http://127.0.0.1:9/v1", "password": "dataset-key"}'
    monkeypatch.setenv(f"AIRFLOW_CONN_{clients.CONNECTION_ID.upper()}", connection)
    target = Target(
        "http://127.0.0.1:9/v1", "dataset-key", "{}", "5cd7dc6a-e446-4696-ad00-30036e58194e", [DOCUMENT], []
    )
    for wait in (waits.wait_in_trigger, waits.wait_for_run):
        with pytest.raises(asyncio.TimeoutError):  # it waits; it did not end before
            asyncio.run(asyncio.wait_for(wait(target, DOCUMENT), 0.05))


@pytest.mark.large
@pytest.mark.parametrize("way", [clients.bare_calls, clients.call_per_document, clients.provider_flags])
def test_a_way_archives_every_document(way: Callable[[Target], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{clients.CONNECTION_ID.upper()}", "")  # restored afterwards
    one = run(way, Setup(120, costs=None))
    reads, changes = (4, 2) if way is clients.provider_flags else (0, 120 if way is clients.call_per_document else 2)
    assert (one.tally.changes, one.tally.pages) == (changes, reads)


def test_a_way_that_does_nothing_is_not_measured() -> None:
    with pytest.raises(RuntimeError, match="measures nothing"):
        run(lambda _: None, Setup(1, costs=None))


@pytest.mark.parametrize("kind", ["economy", "high_quality"])
def test_the_proof_finds_what_the_old_way_calls_green(kind: str) -> None:
    scene = searching.Scene(Case(kind, documents=60, segments=3, changed=40, lost=0.15))
    look, bill = scene.prove()
    green, before = scene.prove_as_before()
    assert len(scene.lost) == 6
    assert set(look.lost) == scene.lost
    assert set(look.followed) == {document.id for document in scene.changed} - scene.lost
    assert green >= scene.lost
    assert before.requests == 40
    assert (bill.requests, before.searches) == (4 + 13, 0)  # in bulk; a read of each that is lost, and two searches


def test_the_page_keeps_the_sections_that_are_not_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines(value: float, *titles: str) -> list[dict[str, object]]:
        sections = [Section(title, [Line(title[0], "one", value, "s", "why")]) for title in titles]
        return as_json(sections, judged=True)

    monkeypatch.setattr(page, "draw", lambda *_: None)
    page.write(tmp_path, "On this machine.", lines(1, "1. speed", "2. of 50", "3. memory"))
    page.replace(tmp_path, lines(2, "2. of 100", "4. new"))
    found = json.loads((tmp_path / page.RESULTS).read_text())
    assert found["about"] == "On this machine."
    assert [(line["section"], line["value"]) for line in found["lines"]] == [
        ("1. speed", 1), ("2. of 100", 2), ("3. memory", 1), ("4. new", 2),
    ]  # fmt: skip
