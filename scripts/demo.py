"""See the provider at work: the example DAG runs in a real Airflow, and a Dify says what became of its documents.

Without settings the Dify is the built-in one, in which ten minutes of waiting take no time. With DIFY_BASE_URL,
DIFY_API_KEY and DIFY_DATASET_ID it is that Dify; documents are created there for the demo and deleted at its end, and
no other document is touched. With only some of these it ends with 2.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "example_dags")]

from scripts.demo_scenes import missing_settings, scene_of  # noqa: E402 - found only there
from scripts.demo_words import FOLDER, RELEASE, conclusion, heading  # noqa: E402

#: The parts of Airflow's log that tell the story; the rest would bury them.
_TOLD = ("airflow.task.operators.airflow_provider_dify", "airflow.task.hooks.airflow_provider_dify")
_LOG_LINE = re.compile(r"\S+T[\d:]{8}\S* \[(?P<level>\w+) *\] (?P<text>.*?) *\[airflow\.task\.\S+\].*")


def main() -> int:
    """Run the demo; return 0 if all DAGs ended green, 1 if not, and 2 if settings are missing."""
    if missing := missing_settings(os.environ):
        print(f"Missing: {', '.join(missing)}. Set them all for a Dify of yours, or none of them.", file=sys.stderr)
        return 2
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dify-demo-") as home:
        prepare_airflow(Path(home))
        with scene_of(os.environ) as scene:
            print(f"Dify: {scene.about}")
            introduce("From version one to version two", scene.story)
            print(f"\nBefore\n{table(scene.columns, scene.look())}\n")
            conf = {"dataset_id": scene.dataset_id, "new_document_ids": scene.new, "old_document_ids": scene.old}
            state, reports = run_dag("dify_archive_after_ingestion", scene.connection, conf)
            print(f"\nAfter\n{table(scene.columns, scene.look())}\n")
            for task_id, report in reports.items():
                print(f"Report of {task_id}:")
                print("\n".join(f"  {line}" for line in lines_of(report, scene.names)))
            print(f"\n{scene.epilogue()}")
        print(f"The DAG run ended in state '{state}', after {time.monotonic() - started:.0f} s of real time.")
        states = [state] if scene.real else [state, ingest_folder(), *release_and_roll_back()]
    green = set(states) == {"success"}
    print(f"\n{conclusion(real=scene.real) if green else 'Not all DAGs ended as they should: the log above says why.'}")
    return 0 if green else 1


def introduce(title: str, story: str) -> None:
    """Say what is about to happen."""
    print(f"\n{heading(title)}\n{story}")


def ingest_folder() -> str:
    """Show the ingestion of a folder; return the state in which the DAG ended."""
    from scripts.demo_ingest import newer_folder

    with newer_folder() as folder:
        introduce("A folder that is newer", FOLDER)
        print(f"\nBefore the ingestion\n{table(folder.columns, folder.look())}\n")
        state, reports = run_dag("dify_ingest_and_switch", folder.connection, folder.conf)
        print(f"\nAfter the ingestion\n{table(folder.columns, folder.look())}\n")
        print("Report of ingest:")
        for entry in reports["ingest"]["documents"]:
            print(f"  {entry['outcome']:<10} {entry['name']}")
        print("Report of archive_old:")
        print("\n".join(f"  {line}" for line in lines_of(reports["archive_old"], folder.names)))
    print(f"The DAG run ended in state '{state}'.")
    return state


def release_and_roll_back() -> list[str]:
    """Show a release, and that it can be taken back; return the states in which the DAGs ended."""
    from scripts.demo_release import ASKED, price_list

    with price_list() as folder:

        def show(when: str) -> None:
            found = ", ".join(folder.dify.search(folder.kb, ASKED)) or "nothing"
            print(f"\n{when}\n{table(folder.columns, folder.look())}\nA search for '{ASKED}' finds: {found}\n")

        introduce("A release, taken back", RELEASE)
        show("Before the release")
        released, reports = run_dag("dify_release", folder.connection, folder.conf)
        manifest = reports["release"]
        show("Between release and rollback")
        rolled_back, reports = run_dag("dify_rollback", folder.connection, {"manifest": manifest})
        show("After the rollback")
        for task_id, report, outcomes in (
            ("release", manifest, ("enabled", "retired")),
            ("rollback", reports["rollback"], ("restored",)),
        ):
            print(f"Report of {task_id}:")
            for outcome in outcomes:
                print(f"  {outcome:<10} {', '.join(folder.names[i] for i in report[outcome])}")
    print(f"The DAG runs ended in state '{released}' and '{rolled_back}'.")
    return [released, rolled_back]


def prepare_airflow(home: Path) -> None:
    """Give Airflow a home of its own, before it is imported, and make its database."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": " ".join(f"{name}=INFO" for name in _TOLD),
        "NO_COLOR": "1",
    }
    warnings.simplefilter("ignore")
    sys.stdout = Narrow(sys.stdout)  # before Airflow's logging takes hold of it
    print("Setting up a throw-away Airflow ...", flush=True)
    from airflow import __version__
    from airflow.utils import db

    db.initdb()
    print(f"Airflow {__version__} is ready.", flush=True)


class Narrow(io.TextIOBase):
    """Standard output, on which a line of the task's log shows its text alone, and the time by the provider's clock."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, line by line."""
        lines = text.split("\n")
        self._stream.write("\n".join(_LOG_LINE.sub(_told, line) for line in lines))
        return len(text)

    def flush(self) -> None:
        """Flush."""
        self._stream.flush()


def _told(line: re.Match[str]) -> str:
    from airflow_provider_dify.transport import clock

    # The time in the line is that of this machine, where no time passes while the tasks wait for the built-in Dify.
    at = datetime.fromtimestamp(clock.clock.time(), tz=timezone.utc)
    level = "" if line["level"] == "info" else f"{line['level']}: "
    return f"  {at:%H:%M:%S} {level}{line['text']}"


def run_dag(name: str, connection: str, conf: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run an example DAG; return its state, and the report of each task."""
    os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = connection
    dag = importlib.import_module(name).dag
    from airflow.providers.common.compat.sdk import BaseOperator

    for task in dag.tasks:
        if isinstance(task, BaseOperator):  # and not what is mapped
            task.retry_delay = timedelta(0)  # Airflow would let real time pass
    print(f"Running the DAG {dag.dag_id} ...", flush=True)
    run = dag.test(run_conf=dict(conf))
    tasks = sorted(run.get_task_instances(), key=lambda task: str(task.start_date))
    # The index has to be named: Airflow 3.1 cannot look for the values of all instances of an expanded task.
    reports = {task.task_id: task.xcom_pull(task.task_id, key="report", map_indexes=task.map_index) for task in tasks}
    return str(run.state.value), reports


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    told = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(told)


def lines_of(report: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return a line for each outcome that occurred, with the names of its documents."""
    outcomes = [outcome for outcome, count in report["counts"].items() if count]
    return [f"{outcome:<10} {', '.join(names.get(i, i) for i in report[outcome])}" for outcome in outcomes]


if __name__ == "__main__":
    sys.exit(main())
