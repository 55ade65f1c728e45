"""Every example DAG, run by Airflow's own ``dag.test()`` against the built-in Dify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.program
RUNS = Path(__file__).parent / "example_runs.py"


def test_they_do_what_they_say() -> None:
    # One test, as the runs share an Airflow, which takes seconds to set up.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DIFY_"))}
    done = subprocess.run(
        [sys.executable, str(RUNS)], env=clean, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(done.stdout.splitlines()[-1])
    assert runs["nightly_archive"] == {
        "first": "success",
        "archived": ["page 0", "page 1"],
        "second": "failed",
        "archived after": 2,
        "changes of the second": 0,
    }
    assert runs["first_steps"] == "held"
    assert runs["knowledge_base"] == {
        "states": ["success", "success"],
        "changed": ["description"],
        "tags": ["handbook"],
        "found": ["parking.md"],
    }
    assert runs["archive_at_scale"] == {
        "state": "success",
        "reports": ["archive", "select_old"],
        "archived": [f"page {number}" for number in range(9)],
        "found": 3,
    }
    assert runs["quarantine"] == {
        "states": ["success", "success"],
        "enabled": {"prices 2026": True, "draft": False},
        "found": ["prices 2026"],
    }
    assert runs["reindex"] == {"runs": [["success", 2, 0], ["failed", 0, 1]], "found": ["crabs"]}
    assert runs["roll_back_on_event"] == {
        "states": ["success", "success"],
        "found": ["leave.md"],
        "changes": ["archive", "un_archive"],
    }
    assert runs["run_workflow"] == {"state": "success", "outputs": ["First", "Other", "Third"]}
    assert runs["release_gated_by_answers"] == {"found": [["failed", "parking 2025"], ["success", "parking 2026"]]}
    assert runs["taskflow"] == {"archived": 1, "disabled": 1}
    assert runs["ingest_and_switch"] == {
        "states": ["success", "success"],
        "documents": {
            "travel.md": "archived",
            "parking.md": "archived",
            "canteen (ee11a0ae).md": "in search",
            "parking (d94d523e).md": "in search",
            "travel (1106b41a).md": "in search",
        },
        "sent by the second": 0,
    }
    assert runs["release"] == {
        "wrong": {"run": "failed", "release": "released", "found": ["parking.md", "travel.md"]},
        "right": {
            "run": "success",
            "release": "released",
            "found": ["canteen (ee11a0ae).md", "parking (d94d523e).md", "travel (1106b41a).md"],
        },
    }
    assert runs["release_steps"] == {
        "found": [["success", "v0 page"], ["failed", "v0 page"], ["success", "v2 page"]],
    }
    pages = [f"page{number}.md" for number in range(8)]
    flags = [["Holidays", False, False], ["visitors.md", True, False], ["visitors.md", True, True]]
    with_new = sorted([*flags, ["new.md", True, False]])
    assert runs["promote"] == {
        "runs": [
            {"state": "success", "flags": flags, "sent": 6},
            {"state": "success", "flags": flags, "sent": 0},
            {"state": "success", "flags": with_new, "sent": 2},
            {"state": "failed", "flags": with_new, "sent": 0},
        ]
    }
    assert runs["sync"] == {
        "runs": [
            {
                "state": "success",
                "live": ["by hand", "guide__setup.md", *pages],
                "page0": "Page 0.",
                "sent": True,
            },
            {
                "state": "success",
                "live": ["by hand", "guide__install.md", "new.md", *pages[:7]],
                "page0": "Changed.",
                "sent": True,
            },
            {
                "state": "failed",
                "live": ["by hand", "guide__install.md", "new.md", *pages[:7]],
                "page0": "Changed.",
                "sent": False,
            },
        ],
        "archived": ["page7.md"],
    }
