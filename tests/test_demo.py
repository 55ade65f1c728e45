"""The example DAGs in a real Airflow, as ``make demo`` runs them: in the built-in Dify, and in one that is given."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest

from airflow_provider_dify.testing import FakeDify, SystemClock, VirtualClock
from airflow_provider_dify.transport.clock import using
from scripts.demo.__main__ import _NEXT
from scripts.demo.real import SETTINGS
from scripts.demo.show import Show
from scripts.demo.throwaway import ROOT, Run

TAIL = "[airflow.task.operators.airflow_provider_dify.x] loc=base.py:1"


def start_demo(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DIFY_"))}
    return subprocess.run(
        [sys.executable, "-m", "scripts.demo", *options],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def run_demo(*options: str, **environment: str) -> str:
    done = start_demo(*options, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(output: str, scene: str) -> dict[str, list[str]]:
    """Return the cells of each row of the table of a scene, by the first one."""
    lines = output.split(f"\n({scene}) ")[1].split("\n  ok: ", maxsplit=1)[0].splitlines()
    rows = [re.split(r"   +", line.strip()) for line in lines if "   " in line.strip()]
    return {first: cells for first, *cells in rows}


@pytest.mark.program
def test_in_the_built_in_dify() -> None:
    output = run_demo()
    assert output.isascii()
    assert "\x1b" not in output
    assert len(output.splitlines()) <= 55
    assert max(map(len, output.splitlines())) <= 130
    pages = table(output, "1/4")
    assert pages["v1 sick leave"] == ["in search, locked for 600 s", "archived", "archive_old: changed"]
    assert pages["v2 sick leave"] == ["being indexed", "in search", "enable_new: unchanged"]
    assert pages["(the wrong id)"] == ["-", "-", "archive_old: missing"]
    files = table(output, "2/4")
    assert files["travel.md"] == ["in search", "archived", "archive_old: changed"]
    assert files["travel (1106b41a).md"] == ["-", "in search", "ingest: created"]
    prices = table(output, "3/4")
    assert prices["bus.md"] == ["in search", "archived", "in search"]
    assert prices["ferry (61ff386a).md"] == ["-", "in search", "disabled"]
    assert prices["plane.md"] == ["archived", "archived", "archived"]
    answers = table(output, "4/4")
    assert answers["the draft is released"] == ["Visitors park nowhere.", "wrong"]
    assert answers["the release is rolled back"] == ["Visitors park on deck 1.", "-"]
    assert answers["the final page is released"] == ["Visitors park on deck 2.", "right"]
    assert output.count("\n  ok: ") == 4
    assert output.splitlines()[-1].endswith("make demo")


@pytest.mark.parametrize("given", [["DIFY_BASE_URL"], ["DIFY_API_KEY", "DIFY_DATASET_ID"]])
def test_settings_of_which_some_are_missing(given: list[str]) -> None:
    done = start_demo(**dict.fromkeys(given, "something"), **dict.fromkeys({*SETTINGS} - {*given}, ""))
    missing = ", ".join(name for name in SETTINGS if name not in given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Missing: {missing}. Set them all for a Dify of yours, or none of them.\n"


@pytest.mark.program
def test_a_given_dify_that_refuses() -> None:
    with FakeDify(clock=SystemClock()) as dify:
        given = {"DIFY_BASE_URL": dify.base_url, "DIFY_API_KEY": "dataset-of-another-dify-0123456789"}
        done = start_demo(**given, DIFY_DATASET_ID=dify.add_dataset("handbook").id)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "did not work: 401 " in done.stdout
    assert "Check DIFY_BASE_URL, DIFY_API_KEY, DIFY_DATASET_ID." in done.stdout
    assert "dataset-of-another" not in done.stdout + done.stderr


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def log_two_lines(show: Show) -> None:
    clock = VirtualClock()
    clock.sleep(605)
    with using(clock):
        for level in ("info   ", "warning"):
            show.log.write(f"2026-05-01T13:14:45.123456Z [{level}] Told. {TAIL}\n")


LOGGED = "  00:10:05 Told.\n  00:10:05 warning: Told.\n"


def test_the_times_are_those_that_the_tasks_go_by(out: io.StringIO) -> None:
    log_two_lines(Show(out, scenes=1, verbose=True))
    assert out.getvalue() == LOGGED


def test_the_log_is_shown_if_a_scene_fails(out: io.StringIO) -> None:
    show = Show(out, scenes=1, verbose=False)
    log_two_lines(show)
    assert out.getvalue() == ""
    assert not show.verdict("All is well.", Run("failed", {}), good=False)
    assert out.getvalue() == f"{LOGGED}  FAILED: It did not end as it should. DAG runs: failed.\n"


def test_a_terminal_has_colours_and_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    def shown(encoding: str) -> str:
        raw = io.BytesIO()
        show = Show(Terminal(raw, encoding=encoding, write_through=True), scenes=1, verbose=False)
        show.table(["document"], [["in search"], ["archived"]])
        show.verdict("All is well.", good=True)
        return raw.getvalue().decode(encoding)

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32min search\x1b[0m" in shown("utf-8")
    assert "\x1b[32m✓ All is well.\x1b[0m" in shown("utf-8")
    assert "\x1b[32mok: All is well.\x1b[0m" in shown("iso-8859-1")


def test_what_is_recommended_at_the_end_is_there() -> None:
    assert [(ROOT / where).exists() for where in _NEXT.values()] == [True, True, True, False]


@pytest.mark.large
def test_in_a_given_dify_it_leaves_everything_as_it_was() -> None:
    with FakeDify(clock=SystemClock()) as dify:
        kb = dify.add_dataset("somebody's")
        others = [kb.add_document("theirs"), kb.add_document("their old one", archived=True)]
        output = run_demo("--verbose", DIFY_BASE_URL=dify.base_url, DIFY_API_KEY=dify.api_key, DIFY_DATASET_ID=kb.id)
        assert dify.api_key not in output
        pages = table(output, "1/1")
        old = [cells for name, cells in pages.items() if name.startswith("airflow demo v1")]
        assert old == [["in search", "archived", "archive_old: changed"]] * 2
        assert "Result of archive: 2 changed, 1 missing." in output
        assert kb.documents == others
        assert [(d.enabled, d.archived, d.in_search) for d in others] == [(True, False, True), (True, True, False)]
        assert "Deleting the documents of the demo." in output
