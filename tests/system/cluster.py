"""An Airflow of many processes: the CeleryExecutor with two workers, a PostgreSQL and a Redis."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from cryptography.fernet import Fernet

from tests.system.database import Database
from tests.system.processes import Processes, installed, is_open, lives
from tests.system.services import Services
from tests.system.standalone import settings
from tests.system.tally import wait_for

WORKERS = ("first", "second")
#: Seconds after which a task that says nothing is taken for dead.
TASK_DEAD_AFTER = 20


class PostgresDatabase(Database):
    """Airflow's metadata in PostgreSQL, only read.

    :param url: Where it is, as ``user@host:port/name``.
    """

    def __init__(self, url: str, fernet_key: bytes) -> None:
        super().__init__(Path(), fernet_key)
        self._url = url

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a query."""
        import psycopg2

        with closing(psycopg2.connect(f"postgresql://{self._url}")) as connection, connection.cursor() as cursor:
            cursor.execute(sql.replace("?", "%s"), values)
            return [*cursor]

    def running(self, dag_id: str, task_id: str) -> dict[int, int]:
        """The process id of each mapped task that runs, by its index."""
        sql = "SELECT map_index, pid FROM task_instance WHERE dag_id = ? AND task_id = ? AND state = 'running'"
        return {index: pid for index, pid in self.rows(sql, dag_id, task_id) if pid}

    def tries(self, dag_id: str, task_id: str) -> dict[int, int]:
        """The number of the last try of each mapped task, by its index."""
        sql = "SELECT map_index, try_number FROM task_instance WHERE dag_id = ? AND task_id = ?"
        return dict(self.rows(sql, dag_id, task_id))

    def returned(self, dag_id: str, task_id: str) -> dict[int, Any]:
        """What each mapped task returned, by its index."""
        sql = "SELECT map_index, value FROM xcom WHERE dag_id = ? AND task_id = ? AND key = 'return_value'"
        rows = self.rows(sql, dag_id, task_id)
        return {index: json.loads(value) if isinstance(value, str) else value for index, value in rows}


class Cluster(Processes):
    """All processes of an Airflow that could run on many machines.

    :param home: An empty folder.
    :param services: Its database and broker.
    :param environment: More variables.
    """

    def __init__(self, home: Path, services: Services, environment: Mapping[str, str]) -> None:
        fernet_key = Fernet.generate_key()
        own = {
            "AIRFLOW__CELERY__BROKER_URL": services.broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{services.database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{services.database}",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(TASK_DEAD_AFTER),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            # What was handed to a worker that is gone before it began is handed out again.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
        }
        super().__init__(home, settings(home, fernet_key.decode()) | own | dict(environment))
        self.database = PostgresDatabase(services.database, fernet_key)
        self._workers: dict[str, psutil.Process] = {}

    def prepare(self, pool: str, slots: int) -> None:
        """Make the tables and a pool."""
        self.command("db", "migrate")
        self.command("pools", "set", pool, str(slots), "for this test")

    def start(self) -> None:
        """Start everything; return when tasks can run."""
        for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
            self._start(part, part)
        for name in WORKERS:
            pid_file = str(self.home / f"{name}.pid")
            arguments = ("celery", "worker", "--celery-hostname", name, "--pid", pid_file, "--skip-serve-logs")
            self._workers[name] = self._start(f"worker-{name}", *arguments)
        jobs = ("SchedulerJob", "TriggererJob", "DagProcessorJob")
        port = int(self.environment["AIRFLOW__API__PORT"])
        wait_for("Airflow to be up", lambda: all(map(self.database.has_job, jobs)) and is_open(port), 120)
        wait_for("the workers", lambda: all(map(self._is_ready, WORKERS)), 60)

    def worker_of(self, pid: int) -> str | None:
        """Name of the worker that a process belongs to."""
        with contextlib.suppress(psutil.NoSuchProcess):
            family = {parent.pid for parent in psutil.Process(pid).parents()}
            return next((name for name, worker in self._workers.items() if worker.pid in family), None)
        return None

    def kill_worker(self, name: str) -> None:
        """Kill a worker and all that it has started, at once, as a machine that fails does."""
        worker = self._workers.pop(name)
        worker.suspend()  # so that it starts nothing meanwhile
        family = [worker, *worker.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        wait_for("the worker to be gone", lambda: not any(map(lives, family)), 20)

    def _is_ready(self, name: str) -> bool:
        return f"{name} ready" in (self.home / f"worker-{name}.log").read_text(errors="replace")

    def _start(self, name: str, *arguments: str) -> psutil.Process:
        started = self.start_program([installed("airflow"), *arguments], self.home / f"{name}.log")
        return psutil.Process(started.pid)
