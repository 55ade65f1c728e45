"""Archive 20,000 documents with two workers of the CeleryExecutor, of which one is killed in the middle.

It needs Debian's postgresql and redis-server, and the packages of the group ``celery``.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_dify.testing import Costs, Document, FakeDify
from tests.system import program
from tests.system.cluster import TASK_DEAD_AFTER, Cluster
from tests.system.handbook import ids
from tests.system.services import Services
from tests.system.tally import Tally, wait_for

ROOT = Path(__file__).parent.parent.parent
DAG, TASK, RUN = "dify_archive_at_scale", "archive", "scale"
NUMBER, BATCH = 20_000, 2000
DAY = 86400.0
_FREE = ((0, 0.0),)
#: Changing is what costs time here, so that the worker can be killed while some of a batch is changed.
COSTS = Costs(
    changed=((1, 0.02), (100, 0.15)),
    nothing=_FREE,
    refused=_FREE,
    page=_FREE,
    document=_FREE,
    segments=_FREE,
    dataset=_FREE,
    new_connection=0.0,
)


@dataclass(frozen=True)
class Kill:
    """What was so when the worker was killed.

    :param lost: The batches that it had taken.
    :param changed: Which documents were archived by then.
    """

    lost: frozenset[int]
    changed: frozenset[str]


class Scale:
    """A very large knowledge base, and what is done to it."""

    def __init__(self, tally: Tally, cluster: Cluster, dify: FakeDify) -> None:
        self._tally = tally
        self._cluster = cluster
        self._database = cluster.database
        self._dify = dify
        now = dify.clock.time()
        self._kb = dify.add_dataset("very large")
        self._old = [self._kb.add_document(f"old {n}", created_at=now - (100 * DAY + n)) for n in range(NUMBER)]
        self._others = self._kb.add_documents(100, "young ")
        for n in range(50):
            self._others.append(self._kb.add_document(f"off {n}", created_at=now - 200 * DAY, enabled=False))
        self._before = list(map(_flags, self._others))
        # They are listed, the newest first, as they were made here.
        self._batch_of = {document.id: number // BATCH for number, document in enumerate(self._old)}

    def archive(self) -> None:
        with self._tally.story(f"{NUMBER:,} documents are archived by two workers, and one of them is killed"):
            self._database.wait_for_dag(DAG)
            conf = json.dumps({"dataset_id": self._kb.id})
            self._cluster.command("dags", "trigger", DAG, "--run-id", RUN, "--conf", conf)
            self._tally.tell("  the run is triggered")
            start = time.monotonic()
            kill = self._kill_in_the_middle()
            wait_for("the run to end", self._has_ended, 240)
            self._tally.tell(f"  the run ended {time.monotonic() - start:.0f} s after it was triggered")
            self._check_run(kill)
            self._check_documents()
            self._check_reports(kill)

    def _kill_in_the_middle(self) -> Kill:
        worker, batch = wait_for("a worker to be at work in the middle of a batch", self._at_work, 120)
        running = self._database.running(DAG, TASK)
        its_own = {index for index, pid in running.items() if self._cluster.worker_of(pid) == worker}
        self._cluster.kill_worker(worker)
        # For Airflow they run, until it misses their heartbeat.
        lost = frozenset(its_own & self._database.running(DAG, TASK).keys())
        changed = frozenset(document.id for document in self._old if document.archived)
        self._tally.tell(f"  the {worker} worker is killed by process id, with {len(changed):,} documents archived")
        done = sum(self._batch_of[document_id] == batch for document_id in changed)
        what = f"it had done a part of a batch: {done:,} of {BATCH:,}"
        self._tally.check(what, 0 < done < BATCH and batch in lost, (batch, lost))
        return Kill(lost, changed)

    def _at_work(self) -> tuple[str, int] | None:
        """Name the worker that sent the last change, and its batch, where this is neither new nor nearly done."""
        sent = self._sent()
        if len(sent) < NUMBER // 10:
            return None
        batch = self._batch_of[sent[-1]]
        part = sum(self._batch_of[document_id] == batch for document_id in sent)
        pid = self._database.running(DAG, TASK).get(batch)
        worker = self._cluster.worker_of(pid) if pid else None
        return (worker, batch) if worker and 0.2 * BATCH < part < 0.7 * BATCH else None

    def _sent(self) -> list[str]:
        """Return the ids in the requests that change documents; each once for each request."""
        changes = [request.json for request in list(self._dify.requests) if request.method == "PATCH"]
        return [document_id for change in changes for document_id in dict.fromkeys(change["document_ids"])]

    def _has_ended(self) -> bool:
        return self._database.runs(DAG).get(RUN) in ("success", "failed")

    def _check_run(self, kill: Kill) -> None:
        self._tally.equal("the run is green", self._database.runs(DAG)[RUN], "success")
        tries = self._database.tries(DAG, TASK)
        self._tally.equal("each batch was a task", sorted(tries), list(range(NUMBER // BATCH)))
        again = {batch for batch, number in tries.items() if number > 1}
        self._tally.check(
            f"the {len(kill.lost)} tasks of the killed worker were tried again", kill.lost <= again, (kill.lost, tries)
        )

    def _check_documents(self) -> None:
        wrong = [document for document in self._old if not document.archived or document.in_search]
        self._tally.check("every selected document is archived and out of search", not wrong, wrong[:5])
        self._tally.equal("every other one is as it was", list(map(_flags, self._others)), self._before)
        times, selected = Counter(self._sent()), set(ids(self._old))
        self._tally.check("no other one was sent to be changed", not times.keys() - selected, times.keys() - selected)
        twice = [document_id for document_id, number in times.items() if number > 1]
        self._tally.check("and none twice, whatever the killed worker had sent", not twice, twice[:5])

    def _check_reports(self, kill: Kill) -> None:
        reports = self._database.returned(DAG, TASK)
        told = [document_id for one in reports.values() for document_id in one["changed"] + one["unchanged"]]
        counted, selected = Counter(told), Counter(ids(self._old))
        self._tally.check("the reports tell of each selected document once", counted == selected, len(told))
        unchanged = {document_id for one in reports.values() for document_id in one["unchanged"]}
        done = {document_id for document_id in kill.changed if self._batch_of[document_id] in kill.lost}
        what = f"the next tries found {len(unchanged):,} documents done, all that the killed worker had done among them"
        self._tally.check(what, unchanged >= done, len(done - unchanged))


def _flags(document: Document) -> tuple[bool, bool, bool]:
    return document.enabled, document.archived, document.in_search


def main() -> int:
    """Tell it; return 0 if every assertion held."""
    return program.run("tests.system.celery", __doc__, 540, _run)


def _run(tally: Tally, dify: FakeDify, home: Path) -> None:
    for folder in ("services", "airflow", "airflow/dags"):
        (home / folder).mkdir()
    shutil.copy(ROOT / "example_dags" / f"{DAG}.py", home / "airflow" / "dags")
    environment = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "airflow" / "dags"),
        "AIRFLOW_CONN_DIFY_DEFAULT": dify.airflow_connection(),
    }
    with Services(home / "services") as services, Cluster(home / "airflow", services, environment) as cluster:

        def afterwards() -> None:
            services.stop()
            tally.check("nor of the database and the broker", not services.processes(), services.processes())

        program.tell_to_the_end(tally, cluster, lambda: _tell(tally, cluster, services, dify), afterwards)


def _tell(tally: Tally, cluster: Cluster, services: Services, dify: FakeDify) -> None:
    dify.costs = COSTS
    dify.worker.seconds_per_job = 0.002
    scale = Scale(tally, cluster, dify)
    services.start()
    cluster.prepare("dify", 4)
    cluster.start()
    tally.tell(f"Airflow is up; a task that says nothing for {TASK_DEAD_AFTER} s is taken for dead")
    scale.archive()


if __name__ == "__main__":
    sys.exit(main())
