"""Every example DAG, run by Airflow's own ``dag.test()`` against the built-in Dify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.example_runs import HEADING

pytestmark = pytest.mark.program
RUNS = Path(__file__).parent / "example_runs.py"
PAGES = [f"page{number}.md" for number in range(8)]
FLAGS = [["Holidays", False, False], ["visitors.md", True, False], ["visitors.md", True, True]]
WITH_NEW = sorted([*FLAGS, ["new.md", True, False]])
#: The result of each story.
EXPECTED = {
    "nightly_archive": {
        "first": "success",
        "archived": ["page 0", "page 1"],
        "second": "failed",
        "archived after": 2,
        "changes of the second": 0,
    },
    "first_steps": "held",
    "knowledge_base": {
        "states": ["success", "success"],
        "changed": ["description"],
        "tags": ["handbook"],
        "found": ["parking.md"],
    },
    "archive_at_scale": {
        "state": "success",
        "reports": ["archive", "select_old"],
        "archived": [f"page {number}" for number in range(9)],
        "found": 3,
    },
    "quarantine": {
        "states": ["success", "success"],
        "enabled": {"prices 2026": True, "draft": False},
        "found": ["prices 2026"],
    },
    "reindex": {"runs": [["success", 2, 0], ["failed", 0, 1]], "found": ["crabs"]},
    "roll_back_on_event": {
        "states": ["success", "success"],
        "found": ["leave.md"],
        "changes": ["archive", "un_archive"],
    },
    "run_workflow": {"state": "success", "outputs": ["First", "Other", "Third"]},
    "release_gated_by_answers": {"found": [["failed", "parking 2025"], ["success", "parking 2026"]]},
    "taskflow": {"archived": 1, "disabled": 1},
    "ingest_and_switch": {
        "states": ["success", "success"],
        "documents": {
            "travel.md": "archived",
            "parking.md": "archived",
            "canteen (ee11a0ae).md": "in search",
            "parking (d94d523e).md": "in search",
            "travel (1106b41a).md": "in search",
        },
        "sent by the second": 0,
    },
    "release": {
        "wrong": {"run": "failed", "release": "released", "found": ["parking.md", "travel.md"]},
        "right": {
            "run": "success",
            "release": "released",
            "found": ["canteen (ee11a0ae).md", "parking (d94d523e).md", "travel (1106b41a).md"],
        },
    },
    "release_steps": {
        "found": [["success", "v0 page"], ["failed", "v0 page"], ["success", "v2 page"]],
    },
    "promote": {
        "runs": [
            {"state": "success", "flags": FLAGS, "sent": 6},
            {"state": "success", "flags": FLAGS, "sent": 0},
            {"state": "success", "flags": WITH_NEW, "sent": 2},
            {"state": "failed", "flags": WITH_NEW, "sent": 0},
        ]
    },
    "sync": {
        "runs": [
            {
                "state": "success",
                "live": ["by hand", "guide__setup.md", *PAGES],
                "page0": "Page 0.",
                "sent": True,
            },
            {
                "state": "success",
                "live": ["by hand", "guide__install.md", "new.md", *PAGES[:7]],
                "page0": "Changed.",
                "sent": True,
            },
            {
                "state": "failed",
                "live": ["by hand", "guide__install.md", "new.md", *PAGES[:7]],
                "page0": "Changed.",
                "sent": False,
            },
        ],
        "archived": ["page7.md"],
    },
}


def test_they_do_what_they_say(tmp_path: Path) -> None:
    # One test, as the runs share an Airflow, which takes seconds to set up.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DIFY_"))}
    results = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, str(RUNS), str(results)], env=clean, capture_output=True, text=True, timeout=900, check=False
    )
    # A file, as loggers of Airflow and of libraries write to both streams, even when the program ends.
    assert results.exists(), f"{done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    runs = json.loads(results.read_text())
    assert runs.keys() == EXPECTED.keys()
    for story, expected in EXPECTED.items():
        assert runs[story] == expected, f"{story}\n{_printed(done.stderr, story)}\n{_printed(done.stdout, story)}"


def _printed(output: str, story: str) -> str:
    """Return the last lines that a story printed."""
    heading = HEADING.format(story) + "\n"
    return "\n".join(output.partition(heading)[2].partition(HEADING.format(""))[0].splitlines()[-60:])
