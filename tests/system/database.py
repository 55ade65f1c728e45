"""What Airflow's metadata database says, by plain SQL that holds for Airflow 2.11 to 3.3."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.system.tally import StuckError, wait_for


@dataclass(frozen=True)
class Waiting:
    """A trigger, as a triggerer has it."""

    classpath: str
    kwargs: str
    triggerer: int | None
    created: str


class Database:
    """Airflow's SQLite file, only read.

    :param path: The file.
    :param fernet_key: What Airflow encrypts the arguments of triggers with.
    """

    def __init__(self, path: Path, fernet_key: bytes) -> None:
        self._path = path
        self._fernet = Fernet(fernet_key)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a query; nothing where the database, or the table, is not there yet."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=20)) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "unable to open" in str(error) or "no such table" in str(error):
                return []
            raise

    def import_errors(self) -> list[str]:
        return [str(trace) for (trace,) in self.rows("SELECT stacktrace FROM import_error")]

    def has_dag(self, dag_id: str) -> bool:
        """Whether a DAG may be triggered."""
        sql = "SELECT 1 FROM dag JOIN serialized_dag USING (dag_id) WHERE dag_id = ? AND NOT is_paused"
        return bool(self.rows(sql, dag_id))

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until a DAG may be triggered."""

        def probe() -> bool:
            if errors := self.import_errors():
                raise StuckError(errors[0])
            return self.has_dag(dag_id)

        wait_for(f"the DAG {dag_id}", probe, 90)

    def has_job(self, kind: str) -> bool:
        return bool(self.rows("SELECT 1 FROM job WHERE job_type = ? AND state = 'running'", kind))

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task of a run."""
        sql = "SELECT task_id, state FROM task_instance WHERE dag_id = ? AND run_id = ?"
        return {task: state or "none" for task, state in self.rows(sql, dag_id, run_id)}

    def started(self, dag_id: str, run_id: str, task_id: str) -> str:
        """When a task began, as the database has it; what it has sorts by time."""
        sql = "SELECT start_date FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ?"
        return str(self.rows(sql, dag_id, run_id, task_id)[0][0])

    def slots_held(self) -> int:
        """How many slots of workers are taken, or about to be."""
        ((number,),) = self.rows("SELECT COUNT(*) FROM task_instance WHERE state IN ('queued', 'running')")
        return int(number)

    def runs(self, dag_id: str) -> dict[str, str]:
        """The state of each run of a DAG."""
        return dict(self.rows("SELECT run_id, state FROM dag_run WHERE dag_id = ?", dag_id))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task left behind; ``None`` where there is nothing."""
        sql = "SELECT value FROM xcom WHERE dag_id = ? AND run_id = ? AND task_id = ? AND key = ?"
        found = self.rows(sql, dag_id, run_id, task_id, key)
        value = found[0][0] if found else None
        with suppress(json.JSONDecodeError):  # then it is a text
            while isinstance(value, (str, bytes)):  # Airflow 3 keeps a text of JSON as JSON
                value = json.loads(value)
        return value

    def waiting(self) -> list[Waiting]:
        """Return the triggers of tasks that wait, with their arguments in clear."""
        sql = """SELECT classpath, kwargs, triggerer_id, "trigger".created_date
            FROM "trigger" JOIN task_instance ON trigger_id = "trigger".id WHERE task_instance.state = 'deferred'"""
        return [
            Waiting(classpath, self._clear(kwargs), triggerer, created)
            for classpath, kwargs, triggerer, created in self.rows(sql)
        ]

    def _clear(self, kwargs: str) -> str:
        """Return the arguments of a trigger in clear; not every Airflow encrypts those that a worker sends."""
        return kwargs if kwargs.startswith("{") else self._fernet.decrypt(kwargs).decode()

    def asset_events(self) -> list[dict[str, Any]]:
        """The payload of each event of an asset that came from a trigger."""
        extras = [json.loads(extra) for (extra,) in self.rows("SELECT extra FROM asset_event ORDER BY id")]
        return [extra["payload"] for extra in extras if extra.get("from_trigger")]

    def extras(self, uri: str) -> list[dict[str, Any]]:
        """What each event of an asset says."""
        kind = self._kind_of_assets()
        sql = f"SELECT e.extra FROM {kind}_event e JOIN {kind} a ON a.id = {kind}_id WHERE a.uri = ? ORDER BY e.id"
        return [json.loads(extra) for (extra,) in self.rows(sql, uri)]

    def events_not_consumed(self) -> int:
        ((number,),) = self.rows(f"SELECT COUNT(*) FROM {self._kind_of_assets()}_dag_run_queue")
        return int(number)

    def _kind_of_assets(self) -> str:
        """What tables call an asset: Airflow 2 calls it a dataset."""
        return "asset" if self.rows("SELECT 1 FROM sqlite_master WHERE name = 'asset_event'") else "dataset"

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield each value of each table with the table's name, and the arguments of triggers in clear."""
        for (table,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for row in self.rows(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield table, value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for (kwargs,) in self.rows('SELECT kwargs FROM "trigger"'):
            yield "trigger, decrypted", self._clear(kwargs)
