"""The example DAG in a real Airflow, as ``make demo`` runs it: in the built-in Dify, and in one that is given."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest

from airflow_provider_dify.testing import FakeDify, SystemClock, VirtualClock
from airflow_provider_dify.transport import clock
from scripts.demo import ROOT, Narrow
from scripts.demo_scenes import SETTINGS
from scripts.demo_words import conclusion

DEMO = ROOT / "scripts" / "demo.py"


def start_demo(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DIFY_"))}
    return subprocess.run(
        [sys.executable, str(DEMO)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_demo(**environment: str) -> str:
    done = start_demo(**environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def row(output: str, heading: str, document: str) -> list[str]:
    """Return the cells of a document in the table under a heading."""
    lines = output.split(f"\n{heading}\n")[1].splitlines()
    return next(line for line in lines if line.startswith(document))[len(document) :].split()


def test_in_the_built_in_dify() -> None:
    output = run_demo()
    assert row(output, "Before", "v1 sick leave") == ["completed", "yes", "no", "600", "s", "yes"]
    assert row(output, "After", "v1 sick leave") == ["completed", "yes", "yes", "-", "no"]
    assert row(output, "After", "v2 sick leave") == ["completed", "yes", "no", "-", "yes"]
    assert "changed    v1 travel, v1 sick leave, v1 parking" in output
    assert "missing    00000000-0000-4000-8000-000000000000" in output
    assert output.count("ended in state 'success'") == 3
    assert row(output, "Before the ingestion", "travel.md") == ["yes", "no", "yes"]
    assert row(output, "After the ingestion", "travel.md") == ["yes", "yes", "no"]
    assert row(output, "After the ingestion", "travel (1106b41a).md") == ["yes", "no", "yes"]
    said = [line.split(": ")[1] for line in output.splitlines() if line.startswith("A search for 'price' finds: ")]
    # They match equally well, so search may give them in any order.
    found = [sorted(names.split(", ")) for names in said]
    new = ["bus (f0dc64d5).md", "ferry (61ff386a).md", "train (889c61f3).md"]
    assert found == [["bus.md", "train.md"], new, ["bus.md", "train.md"]]
    assert row(output, "Between release and rollback", "bus.md") == ["yes", "yes", "no"]
    assert row(output, "After the rollback", "plane.md") == ["yes", "yes", "no"]
    assert "The DAG runs ended in state 'success' and 'success'." in output
    titles = [
        "From version one to version two",
        "A folder that is newer",
        "A release, taken back",
        "What this has shown",
    ]
    assert [line for line in output.splitlines() if line in titles] == titles
    assert "make demo" in output.splitlines()[-1]


@pytest.mark.parametrize("given", [["DIFY_BASE_URL"], ["DIFY_API_KEY", "DIFY_DATASET_ID"]])
def test_settings_of_which_some_are_missing(given: list[str]) -> None:
    done = start_demo(**dict.fromkeys(given, "something"), **dict.fromkeys({*SETTINGS} - {*given}, ""))
    missing = ", ".join(name for name in SETTINGS if name not in given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Missing: {missing}. Set them all for a Dify of yours, or none of them.\n"


def test_the_times_are_those_that_the_tasks_go_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "clock", VirtualClock())
    clock.clock.sleep(605)
    stream = io.StringIO()
    tail = "[airflow.task.operators.airflow_provider_dify.x] loc=base.py:1"
    for level in ("info   ", "warning"):
        Narrow(stream).write(f"2026-05-01T13:14:45.123456Z [{level}] Told. {tail}\n")
    assert stream.getvalue() == "  00:10:05 Told.\n  00:10:05 warning: Told.\n"


@pytest.mark.parametrize("real", [False, True])
def test_what_is_recommended_at_the_end_is_there(real: bool) -> None:
    text = conclusion(real=real)
    paths = re.findall(r"(?:docs|example_dags)/\S*|README\.md", text)
    assert len(paths) == 4
    assert all((ROOT / path).exists() for path in paths)
    assert ("DIFY_BASE_URL" in text) is not real


@pytest.mark.large
def test_in_a_given_dify_it_leaves_everything_as_it_was() -> None:
    with FakeDify(clock=SystemClock()) as dify:
        kb = dify.add_dataset("somebody's")
        others = [kb.add_document("theirs"), kb.add_document("their old one", archived=True)]
        output = run_demo(DIFY_BASE_URL=dify.base_url, DIFY_API_KEY=dify.api_key, DIFY_DATASET_ID=kb.id)
        assert dify.api_key not in output
        assert output.index("Now the demo deletes") > output.index("\nAfter\n")
        assert "What this has shown" in output
        assert kb.documents == others
        assert [(d.enabled, d.archived, d.in_search) for d in others] == [(True, False, True), (True, True, False)]
        archived = [line for line in output.split("\nAfter\n")[1].splitlines() if "airflow demo v1" in line][:2]
        assert all("yes      yes       0 of 1" in line for line in archived), output
