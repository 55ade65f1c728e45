"""A throw-away `airflow standalone` of the interpreter that runs this."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import psutil  # type: ignore[import-untyped]
from cryptography.fernet import Fernet

from tests.system.database import Database
from tests.system.tally import StuckError, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

VERSION = tuple(int(part) for part in metadata.version("apache-airflow").split(".")[:2])
DAGS = Path(__file__).parent / "dags"
#: Seconds after which Airflow takes a triggerer that says nothing for dead.
TRIGGERER_DEAD_AFTER = 10


class Airflow:
    """All of Airflow's processes, with a home and ports of their own; none of them is left at the end.

    :param home: An empty folder.
    :param environment: More variables, for DAG files.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.output = home / "standalone.log"
        fernet_key = Fernet.generate_key()
        self.database = Database(home / "airflow.db", fernet_key)
        self._environment = _environment(home, fernet_key.decode()) | dict(environment)
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything; return when tasks can run."""
        self._compile()
        self._start("standalone", self.output)
        jobs = ["SchedulerJob", "TriggererJob"] + (["DagProcessorJob"] if VERSION >= (3,) else [])
        port = int(self._environment["AIRFLOW__API__PORT"])
        wait_for("Airflow to be up", lambda: all(map(self.database.has_job, jobs)) and _is_open(port), 240)

    def _compile(self) -> None:
        """Compile what the triggerer loads in its event loop, as happens once in the life of an installation."""
        modules = "import airflow_provider_dify.triggers.documents, airflow_provider_dify.triggers.indexing, requests"
        self._finish("compiling", [sys.executable, "-c", modules])

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until a DAG may be triggered."""

        def probe() -> bool:
            if errors := self.database.import_errors():
                raise StuckError(errors[0])
            return self.database.has_dag(dag_id)

        wait_for(f"the DAG {dag_id}", probe, 90)

    def command(self, *arguments: str) -> None:
        """Run a command of Airflow's.

        :raises StuckError: It failed.
        """
        self._finish(f"airflow {' '.join(arguments[:2])}", [_program(), *arguments])

    def _finish(self, what: str, command: list[str]) -> None:
        done = subprocess.run(
            command,
            env=self._environment,
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

    def stop_triggerer(self, with_signal: signal.Signals) -> None:
        """Stop the triggerer with all its processes: by ``SIGKILL`` as an accident does, else in order."""
        triggerers = [child for parent in self._started for child in _triggerers(parent.pid)]
        if not triggerers:
            raise StuckError("there is no triggerer to stop")
        family = [process for triggerer in triggerers for process in [triggerer, *triggerer.children(recursive=True)]]
        for process in family if with_signal == signal.SIGKILL else triggerers:
            process.send_signal(with_signal)
        wait_for(f"the triggerer to end after {with_signal.name}", lambda: not any(map(_lives, family)), 30)

    def start_triggerer(self) -> None:
        """Start another triggerer, in the place of one that was stopped."""
        self._start("triggerer", self.home / f"triggerer-{len(self._started)}.log")

    def stop(self) -> None:
        """Stop every process, also those that have left the group of their parent."""
        for process in self._started:
            _signal_group(process.pid, signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        # Again and again, because one that is about to end may still start another one.
        while (left := self.processes()) and time.monotonic() < end:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.2)

    def processes(self) -> list[psutil.Process]:
        """Every process that lives in this home."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return _lives(process) and (self._is_in_a_session_of_ours(process) or self._lives_in_our_home(process))
        except (psutil.Error, OSError):
            return False

    def _is_in_a_session_of_ours(self, process: psutil.Process) -> bool:
        return os.getsid(process.pid) in {started.pid for started in self._started}

    def _lives_in_our_home(self, process: psutil.Process) -> bool:
        # The folder too, because a process that gives itself a title writes it over its environment.
        return process.environ().get("AIRFLOW_HOME") == str(self.home) or Path(process.cwd()).is_relative_to(self.home)

    def logs(self) -> list[Path]:
        """Everything that was logged, the newest last."""
        folder = self.home / "logs"
        files = [*self.home.glob("*.log"), *(path for path in folder.rglob("*") if path.is_file())]
        return sorted(files, key=lambda path: path.stat().st_mtime)

    def _start(self, command: str, output: Path) -> None:
        with output.open("ab") as log:
            self._started.append(
                subprocess.Popen(
                    [_program(), command],
                    env=self._environment,
                    cwd=self.home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )


def _lives(process: psutil.Process) -> bool:
    try:
        # A zombie has ended; its parent has not asked for it.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _environment(home: Path, fernet_key: str) -> dict[str, str]:
    """Return Airflow's settings; each version passes over those that it does not know."""
    web, task_logs, trigger_logs = map(str, _free_ports(3))
    dropped = ("AIRFLOW_", "DIFY_", "PYTHONDONTWRITEBYTECODE")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return outside | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{web}",
        "AIRFLOW__API__PORT": web,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__DEFAULT_POOL_TASK_SLOT_COUNT": "1",  # a task that held it while it waits would be found out
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{web}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": fernet_key,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": task_logs,
        "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(TRIGGERER_DEAD_AFTER),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__WEBSERVER__BASE_URL": f"http://127.0.0.1:{web}",
        f"AIRFLOW__{'API' if VERSION >= (3,) else 'WEBSERVER'}__SECRET_KEY": secrets.token_urlsafe(24),
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": web,
        "AIRFLOW__WEBSERVER__WORKERS": "1",
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        # `airflow standalone` starts its parts as `airflow ...`.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPYCACHEPREFIX": str(home / "compiled"),
        "PYTHONUNBUFFERED": "1",
        "no_proxy": "127.0.0.1,localhost",
    }


def _program() -> str:
    return str(Path(sys.executable).parent / "airflow")


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _triggerers(parent: int) -> list[psutil.Process]:
    """Return the triggerer that a process is, or has started itself."""
    try:
        process = psutil.Process(parent)
        family = [process, *process.children()]
        return [each for each in family if each.is_running() and "triggerer" in " ".join(each.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def tail(path: Path, lines: int, to: TextIO) -> None:
    """Print the end of a file."""
    text = path.read_text(errors="replace").splitlines()
    print(f"\n--- {path.name}, the last of {len(text)} lines", *text[-lines:], sep="\n", file=to)
