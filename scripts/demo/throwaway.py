"""An Airflow in a temporary folder, which runs example DAGs in this process."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "example_dags"
#: Loggers that tell the story; the rest would bury it.
_TOLD = ("airflow.task.operators.airflow_provider_dify", "airflow.task.hooks.airflow_provider_dify")


class Run(NamedTuple):
    """How a run of a DAG ended.

    :param state: State of the run.
    :param reports: The report of each task, by task id.
    """

    state: str
    reports: dict[str, Any]


def prepare_airflow(home: Path) -> None:
    """Give Airflow a home of its own, before it is imported, and create its database."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    (home / "dags").mkdir()
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": " ".join(f"{name}=INFO" for name in _TOLD),
        "NO_COLOR": "1",
    }
    sys.path.insert(0, str(DAGS))
    warnings.simplefilter("ignore")
    from airflow.utils import db

    db.initdb()


def load_dag(name: str) -> Any:
    """Return an example DAG.

    Airflow reads its whole folder of DAGs before each run, so only those in use are put there.
    """
    shutil.copy(DAGS / f"{name}.py", Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]))
    return importlib.import_module(name).dag


def run_dag(name: str, connection: str, conf: Mapping[str, Any]) -> Run:
    """Run an example DAG."""
    os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = connection
    dag = load_dag(name)
    from airflow.providers.common.compat.sdk import BaseOperator

    for task in dag.tasks:
        if isinstance(task, BaseOperator):  # and not a mapped one
            task.retry_delay = timedelta(0)  # Airflow would let real time pass
    run = dag.test(run_conf=dict(conf))
    tasks = sorted(run.get_task_instances(), key=lambda task: str(task.start_date))
    # The index has to be named: Airflow 3.1 cannot look for the values of all instances of an expanded task.
    reports = {task.task_id: task.xcom_pull(task.task_id, key="report", map_indexes=task.map_index) for task in tasks}
    return Run(str(run.state.value), reports)
