"""Folders of small files, and a fresh process that does something with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import clients
from benchmarks.server import Target


def folder_of(path: Path, files: int) -> Path:
    """Return a folder with this many files of a kilobyte; it is created if it is missing."""
    if not path.exists():
        path.mkdir()
        for number in range(files):
            (path / f"{path.name}-{number:05}.txt").write_text(f"Page {number} " + "x" * 1000)
    return path


def in_a_process(module: str, target: Target, files: int, folder: str) -> dict[str, Any]:
    """Run a module with a Dify, a number of files, and a folder for them; return its last output, as JSON."""
    process = subprocess.run(
        [sys.executable, "-m", module, str(files), folder],
        input=json.dumps(asdict(target)),
        env={**os.environ, **clients.connection(target)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return found
