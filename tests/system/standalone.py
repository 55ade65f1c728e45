"""A throw-away `airflow standalone` of the interpreter that runs this."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from cryptography.fernet import Fernet

from tests.system.database import Database
from tests.system.processes import Processes, free_ports, installed, is_open, lives
from tests.system.tally import StuckError, wait_for

VERSION = tuple(int(part) for part in metadata.version("apache-airflow").split(".")[:2])
DAGS = Path(__file__).parent / "dags"
CONFIG = Path(__file__).parent / "config"
#: Seconds after which Airflow takes a triggerer that says nothing for dead.
TRIGGERER_DEAD_AFTER = 10


class Airflow(Processes):
    """All of Airflow's processes, with a home and ports of their own; none of them is left at the end.

    :param home: An empty folder.
    :param environment: More variables, for Airflow and for DAG files.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        fernet_key = Fernet.generate_key()
        super().__init__(home, settings(home, fernet_key.decode()) | dict(environment))
        self.output = home / "standalone.log"
        self.database = Database(home / "airflow.db", fernet_key)

    @property
    def url(self) -> str:
        """Where its web page lives."""
        return self.environment["AIRFLOW__API__BASE_URL"]

    def start(self) -> None:
        """Start everything; return when tasks can run."""
        shutil.copytree(CONFIG, self.home / "config", ignore=shutil.ignore_patterns("__pycache__"))
        self._compile()
        self._start("standalone", self.output)
        jobs = ["SchedulerJob", "TriggererJob"] + (["DagProcessorJob"] if VERSION >= (3,) else [])
        port = int(self.environment["AIRFLOW__API__PORT"])
        wait_for("Airflow to be up", lambda: all(map(self.database.has_job, jobs)) and is_open(port), 240)

    def collections(self) -> list[float]:
        """Return for how many seconds each long run of the garbage collector stopped a triggerer."""
        file = self.home / "collections.txt"
        return [float(line) for line in file.read_text().split()] if file.exists() else []

    def _compile(self) -> None:
        """Compile what the triggerer loads in its event loop, as happens once in the life of an installation."""
        modules = "import airflow_provider_dify.triggers.conversation, requests"
        self.finish("compiling", [sys.executable, "-c", modules])

    def stop_triggerer(self, with_signal: signal.Signals) -> None:
        """Stop the triggerer with all its processes: by ``SIGKILL`` as an accident does, else in order."""
        triggerers = [child for parent in self.started for child in _triggerers(parent.pid)]
        if not triggerers:
            raise StuckError("there is no triggerer to stop")
        family = [process for triggerer in triggerers for process in [triggerer, *triggerer.children(recursive=True)]]
        for process in family if with_signal == signal.SIGKILL else triggerers:
            process.send_signal(with_signal)
        wait_for(f"the triggerer to end after {with_signal.name}", lambda: not any(map(lives, family)), 30)

    def start_triggerer(self) -> None:
        """Start another triggerer, in the place of one that was stopped."""
        self._start("triggerer", self.home / f"triggerer-{len(self.started)}.log")

    def _start(self, command: str, output: Path) -> None:
        self.start_program([installed("airflow"), command], output)


def settings(home: Path, fernet_key: str) -> dict[str, str]:
    """Return Airflow's settings; each version passes over those that it does not know."""
    web, task_logs, trigger_logs = map(str, free_ports(3))
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


def _triggerers(parent: int) -> list[psutil.Process]:
    """Return the triggerer that a process is, or has started itself."""
    try:
        process = psutil.Process(parent)
        family = [process, *process.children()]
        return [each for each in family if each.is_running() and "triggerer" in " ".join(each.cmdline())]
    except psutil.NoSuchProcess:
        return []
