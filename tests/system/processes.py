"""Processes that live in a throw-away home, of which none is left at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import psutil  # type: ignore[import-untyped]

from tests.system.tally import StuckError

if TYPE_CHECKING:
    from typing_extensions import Self


class Processes:
    """What was started in a home, and all that this started in turn.

    :param home: An empty folder.
    :param environment: All variables of what is started.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.environment = dict(environment)
        self.started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_program(self, command: list[str], output: Path) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own; what it says is added to a file."""
        with output.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def finish(self, what: str, command: list[str]) -> None:
        """Run a program to its end.

        :raises StuckError: It failed.
        """
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.home,
            timeout=120,
            check=False,
            text=True,
            capture_output=True,
        )
        with (self.home / "commands.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise StuckError(f"{what} failed:\n{done.stdout}{done.stderr}")

    def command(self, *arguments: str) -> None:
        """Run a command of Airflow's.

        :raises StuckError: It failed.
        """
        self.finish(f"airflow {' '.join(arguments[:2])}", [installed("airflow"), *arguments])

    def stop(self) -> None:
        """Stop every process, also those that have left the group of their parent."""
        for process in self.started:
            _signal_group(process.pid, signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        # Again and again, because one that is about to end may still start another one.
        while (left := self.processes()) and time.monotonic() < end:
            for each in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            time.sleep(0.2)

    def processes(self) -> list[psutil.Process]:
        """Every process that lives in this home."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return lives(process) and (self._is_in_a_session_of_ours(process) or self._lives_in_our_home(process))
        except (psutil.Error, OSError):
            return False

    def _is_in_a_session_of_ours(self, process: psutil.Process) -> bool:
        return os.getsid(process.pid) in {started.pid for started in self.started}

    def _lives_in_our_home(self, process: psutil.Process) -> bool:
        # The folder too, because a process that gives itself a title writes it over its environment.
        return process.environ().get("AIRFLOW_HOME") == str(self.home) or Path(process.cwd()).is_relative_to(self.home)

    def logs(self) -> list[Path]:
        """Everything that was logged, the newest last."""
        folder = self.home / "logs"
        files = [*self.home.glob("*.log"), *(path for path in folder.rglob("*") if path.is_file())]
        return sorted(files, key=lambda path: path.stat().st_mtime)


def lives(process: psutil.Process) -> bool:
    try:
        # A zombie has ended; its parent has not asked for it.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def installed(program: str) -> str:
    """Return the path of a program of this interpreter's environment."""
    return str(Path(sys.executable).parent / program)


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(path: Path, lines: int, to: TextIO) -> None:
    """Print the end of a file."""
    text = path.read_text(errors="replace").splitlines()
    print(f"\n--- {path.name}, the last of {len(text)} lines", *text[-lines:], sep="\n", file=to)
