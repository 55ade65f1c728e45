"""A stand-alone Dify, started as a user starts it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

COMMAND = [sys.executable, "-m", "airflow_provider_dify.testing"]


@dataclass
class Standalone:
    """One that listens.

    :param greeting: What it printed at the beginning.
    """

    process: subprocess.Popen[str]
    greeting: list[str]

    @property
    def export(self) -> tuple[str, str]:
        """Name and value of the variable that it tells to export."""
        line = next(line for line in self.greeting if line.startswith("export "))
        name, _, value = shlex.split(line)[1].partition("=")
        return name, value

    @property
    def connection(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.export[1])
        return fields

    @property
    def root(self) -> str:
        return str(self.connection["host"]).removesuffix("/v1")

    def id_of(self, name: str) -> str:
        """The id that it printed for a knowledge base or a document."""
        found = [re.fullmatch(rf" *(\S+)  {re.escape(name)}(?::| \().*", line) for line in self.greeting]
        return next(match[1] for match in found if match)

    def get(self, path: str) -> Any:
        """The JSON of an answer of its API."""
        headers = {"Authorization": f"Bearer {self.connection['password']}"}
        return requests.get(f"{self.connection['host']}{path}", headers=headers, timeout=60).json()

    def page(self, path: str) -> requests.Response:
        return requests.get(f"{self.root}{path}", timeout=60)

    def interrupt(self) -> tuple[int, str, str]:
        """Press Ctrl-C: exit code, and the rest of its output."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=300)
        return self.process.returncode, output, errors


@contextmanager
def standalone(*options: str) -> Iterator[Standalone]:
    """Start one on a free port."""
    command = [*COMMAND, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            greeting = []
            for line in process.stdout:
                greeting.append(line.rstrip("\n"))
                if "Ctrl-C" in line:
                    break
            yield Standalone(process, greeting)
        finally:
            if process.poll() is None:
                process.terminate()


def refused(*options: str) -> tuple[int, str]:
    """Exit code and errors of one that does not start."""
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr
