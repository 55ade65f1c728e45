"""A stand-alone Dify, and a real Airflow in another process that works with it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.testing.standing import Standalone, standalone

pytestmark = pytest.mark.program
DAG = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.sync import DifySyncOperator

with DAG("against_a_standalone_dify", schedule=None, start_date=datetime(2026, 1, 1)):
    archive = DifyDocumentStatusOperator(
        task_id="archive", dataset_id="{handbook}", document_ids=["{parking}"], action="archive"
    )
    sync = DifySyncOperator(
        task_id="sync", dataset_id="{empty}", source="{source}", sync_source="test", indexing_technique="economy"
    )
    archive >> sync
"""


@contextmanager
def statsd() -> Iterator[socket.socket]:
    """A socket that receives metrics."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        yield receiver


def received(receiver: socket.socket) -> Iterator[str]:
    """The metrics of this package that have come."""
    while True:
        try:
            lines = receiver.recv(65_536).decode().splitlines()
        except BlockingIOError:
            return
        yield from (line.removeprefix("airflow.dify.") for line in lines if line.startswith("airflow.dify."))


def sending_to(receiver: socket.socket) -> dict[str, str]:
    """Let Airflow send its metrics there."""
    host, port = receiver.getsockname()
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": host,
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
    }


def airflow(home: Path, environment: dict[str, str], *command: str) -> str:
    """Run a command of Airflow with a home of its own; return what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DIFY_"))}
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "NO_COLOR": "1",
        **environment,
    }
    program = Path(sys.executable).with_name("airflow")
    done = subprocess.run(
        [str(program), *command],
        env=clean | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def write_dag(home: Path, dify: Standalone, source: Path) -> None:
    source.mkdir()
    (source / "lunch.md").write_text("Lunch is served at noon.")
    (source / "dinner.md").write_text("Dinner is served at seven.")
    names = {name: dify.id_of(label) for name, label in (("handbook", "Handbook"), ("empty", "Empty"))}
    (home / "dags").mkdir()
    text = DAG.format(**names, parking=dify.id_of("parking.md"), source=source)
    (home / "dags" / "against.py").write_text(text)


def test_a_status_change_and_a_sync_from_another_process(tmp_path: Path) -> None:
    with standalone() as dify, statsd() as receiver:
        environment = {**dict([dify.export]), **sending_to(receiver)}
        write_dag(tmp_path, dify, tmp_path / "menu")
        airflow(tmp_path, environment, "db", "migrate")
        output = airflow(tmp_path, environment, "dags", "test", "against_a_standalone_dify")
        assert "Result of archive: 1 changed." in output
        metrics = list(received(receiver))
        assert {"documents.status.changed:1|c", "documents.sync.created:2|c"} <= set(metrics)
        assert metrics.count("requests.200:1|c") > 5
        assert all(re.fullmatch(r"search_lag:[\d.]+\|ms", line) for line in metrics if "lag" in line)
        assert sum("search_lag" in line for line in metrics) == 2
        found = dify.page(f"/datasets/{dify.id_of('Handbook')}/documents?query=bicycles").text
        assert "Search finds nothing." in found
        assert dify.get(f"/datasets/{dify.id_of('Handbook')}/documents/{dify.id_of('parking.md')}")["archived"]
        synced = dify.get(f"/datasets/{dify.id_of('Empty')}/documents")["data"]
        assert {one["name"]: one["display_status"] for one in synced} == {
            "lunch.md": "available",
            "dinner.md": "available",
        }
        assert "Dinner is served" in dify.page(f"/datasets/{dify.id_of('Empty')}/documents?query=Dinner").text
        assert dify.interrupt()[0] == 0
