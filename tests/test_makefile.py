"""What ``make`` would do, without doing it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("given", "taken", "stamp"),
    [
        ("/opt/my python/bin/python3", "/opt/my python/bin/python3", "_opt_my_python_bin_python3"),
        ("~/my python/bin/python3", "/home/me/my python/bin/python3", "_home_me_my_python_bin_python3"),
        ("../python3", "../python3", ".._python3"),
        ("3.12", "3.12", "3.12"),
    ],
)
def test_an_interpreter_may_be_anywhere(given: str, taken: str, stamp: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "venv", f"PYTHON={given}", "HOME=/home/me"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"--python '{taken}' .venv" in done.stdout
    assert f"touch .venv/.made-{stamp}\n" in done.stdout
