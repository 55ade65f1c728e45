"""What is to be seen in a real Airflow."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_dify.testing import App, Dataset, Document, FakeDify
from tests.system.handbook import Handbook, ids
from tests.system.standalone import TRIGGERER_DEAD_AFTER, VERSION, Airflow
from tests.system.tally import StuckError, Tally, wait_for

WAITS, WATCHES = "dify_system_waits", "dify_on_documents_available"
WAITING_TASKS = ("archive", "enable", "index", "workflow")
#: Seconds that the workflow runs: until the others are done, and until another triggerer has taken over.
SHORT_RUN, LONG_RUN = 25.0, float(os.environ.get("SECONDS_OF_THE_WORKFLOW", "100"))


class Stories:
    """All stories, told in the order in which they are written down.

    :param workflow: What the connection ``dify_app`` runs.
    :param watched: The knowledge base that the example ``dify_on_documents_available`` watches.
    """

    def __init__(self, tally: Tally, airflow: Airflow, dify: FakeDify, workflow: App, watched: Dataset) -> None:
        self._tally = tally
        self._airflow = airflow
        self._database = airflow.database
        self._dify = dify
        self._workflow = workflow
        self._watched = watched

    def waits(self) -> None:
        """Tasks wait in the triggerer, hold no slot there, and end as they should."""
        with self._tally.story("Tasks wait in the triggerer"):
            handbook = Handbook(self._dify, self._workflow, "waits", SHORT_RUN)
            with self._waiting_run("waits", handbook):
                self._check_what_waiting_takes("waits")
                handbook.settle()

    def restart(self) -> None:
        """The triggerer dies while tasks wait, and another one takes over."""
        with self._tally.story("The triggerer is killed while tasks wait"):
            handbook = Handbook(self._dify, self._workflow, "restart", LONG_RUN)
            with self._waiting_run("restart", handbook):
                before = {trigger.triggerer for trigger in self._database.waiting()}
                self._airflow.stop_triggerer(signal.SIGKILL)
                handbook.settle_first_half()
                self._airflow.start_triggerer()
                self._tally.tell("  killed by process id, and another one started")
                start = time.monotonic()
                wait_for("another triggerer to take over", lambda: self._taken_over(before), 60 + TRIGGERER_DEAD_AFTER)
                self._tally.tell(f"  it took over after {time.monotonic() - start:.0f} s")
                self._tally.equal("the workflow still runs, once", handbook.workflow_runs, ["running"])
                handbook.settle()

    def watch(self) -> None:
        """Each document that becomes available is one event."""
        with self._tally.story("Documents become available, and a DAG is triggered by them"):
            self._wait_for_looks()
            documents = self._ten_documents_one_after_the_other()
            self._check_events("ten documents, ten events", documents)
            if VERSION >= (3, 3):
                documents += self._three_documents_while_no_triggerer_runs()
                self._check_events("those that came while the triggerer was down fire, and none fires again", documents)
            self._check_watching_runs(documents)

    @contextmanager
    def _waiting_run(self, run_id: str, handbook: Handbook) -> Iterator[None]:
        """Start a run; go on when its tasks wait; at the end see that it came out right."""
        self._database.wait_for_dag(WAITS)
        self._airflow.command("dags", "trigger", WAITS, "--run-id", run_id, "--conf", handbook.parameters)
        self._tally.tell("  the run is triggered")
        wait_for("all tasks to wait and the bystander to end", lambda: self._all_wait(run_id), 120)
        self._tally.equal("the tasks that wait are deferred", self._waiting_tasks(run_id), set(WAITING_TASKS))
        yield
        wait_for("the run to end", lambda: self._ended(WAITS, run_id), 120 + LONG_RUN)
        self._tally.equal("the run is green", self._database.runs(WAITS)[run_id], "success")
        self._check_result(run_id, handbook)

    def _all_wait(self, run_id: str) -> bool:
        states = self._database.states(WAITS, run_id)
        if "failed" in states.values():
            raise StuckError(f"a task failed: {states}")
        return all(states.get(task) == "deferred" for task in WAITING_TASKS) and states.get("bystander") == "success"

    def _waiting_tasks(self, run_id: str) -> set[str]:
        return {task for task, state in self._database.states(WAITS, run_id).items() if state == "deferred"}

    def _check_what_waiting_takes(self, run_id: str) -> None:
        waiting = self._database.waiting()
        bystander = self._database.started(WAITS, run_id, "bystander")
        self._tally.equal("each has a trigger", len(waiting), len(WAITING_TASKS))
        self._tally.equal("they hold none of the workers' slots", self._database.slots_held(), 0)
        self._tally.check(
            "the only slot was free for another task meanwhile",
            all(trigger.created < bystander for trigger in waiting),
            f"it began at {bystander}, and the triggers are of {[trigger.created for trigger in waiting]}",
        )
        key = self._dify.api_key
        self._tally.check("no trigger holds the key", not any(key in trigger.kwargs for trigger in waiting))

    def _taken_over(self, before: set[int | None]) -> bool:
        triggerers = {trigger.triggerer for trigger in self._database.waiting()}
        return None not in triggerers and not triggerers & before

    def _ended(self, dag_id: str, run_id: str) -> bool:
        return self._database.runs(dag_id).get(run_id) in ("success", "failed")

    def _check_result(self, run_id: str, handbook: Handbook) -> None:
        archive, enable, index, workflow = (self._database.xcom(WAITS, run_id, task) or {} for task in WAITING_TASKS)
        changed, unchanged = ids(handbook.old[:-1]), ids(handbook.old[-1:])
        self._tally.equal("archive: what was changed", archive and archive["changed"], changed)
        self._tally.equal("archive: what was there already", archive and archive["unchanged"], unchanged)
        self._tally.equal("enable: what was changed", enable and enable["changed"], ids(handbook.new))
        self._tally.equal("index: what is indexed", index, ids(handbook.indexed))
        self._tally.equal("workflow: what it returned", workflow and workflow["outputs"], {"text": handbook.name})
        self._tally.equal("the workflow ran once", handbook.workflow_runs, ["succeeded"])
        self._tally.check("the log shows how long it waited for the run", self._says_that_it_waits_for_a_run(run_id))
        for task, returned in (("archive", archive), ("enable", enable), ("workflow", workflow)):
            report = self._database.xcom(WAITS, run_id, task, "report")
            self._tally.equal(f"{task}: the report is what the task returned", report, returned)
        self._tally.equal("Dify says that no document is left undone", handbook.undone(), [])

    def _says_that_it_waits_for_a_run(self, run_id: str) -> bool:
        logs = (log for log in self._airflow.logs() if ".trigger." in log.name and run_id in str(log))
        return any(
            re.search(r"Waiting for run [\w-]+, which is running \(\d+ s elapsed", log.read_text()) for log in logs
        )

    def _wait_for_looks(self, number: int = 2) -> None:
        """Wait until the knowledge base has been looked at from now on: the first one may be under way."""
        seen = self._looks()
        wait_for("looks at the knowledge base", lambda: self._looks() >= seen + number, 90)

    def _looks(self) -> int:
        return sum(self._watched.id in request.path for request in list(self._dify.requests))

    def _ten_documents_one_after_the_other(self) -> list[Document]:
        """Let documents become available in every way there is."""
        hidden = [document for document in self._watched.documents if not document.enabled]
        archived = [document for document in self._watched.documents if document.archived]
        created = []
        for number in range(5):
            created.append(self._watched.add_document(f"created {number}", indexing_status="indexing"))
            time.sleep(0.7)
            created[-1].finish_indexing()
        for document in hidden + archived:
            time.sleep(0.7)
            document.set(enabled=True, archived=False)
        return created + hidden + archived

    def _three_documents_while_no_triggerer_runs(self) -> list[Document]:
        self._airflow.stop_triggerer(signal.SIGTERM)
        documents = self._watched.add_documents(3, "created meanwhile ")
        self._airflow.start_triggerer()
        self._tally.tell("  the triggerer is stopped by process id, three documents come, and another one is started")
        return documents

    def _check_events(self, what: str, documents: list[Document]) -> None:
        # The last one comes 10 s after the others, whether they came at once or one by one.
        wait_for("the events", lambda: len(self._database.asset_events()) >= len(documents), 60)
        self._wait_for_looks(10)  # by then all pages were read once more
        found = [event["document_id"] for event in self._database.asset_events()]
        self._tally.equal(what, sorted(found), sorted(ids(documents)))

    def _check_watching_runs(self, documents: list[Document]) -> None:
        wait_for("the runs to end", self._watching_runs_ended, 120)
        runs = self._database.runs(WATCHES)
        self._tally.equal(f"{len(runs)} runs are green", set(runs.values()), {"success"})
        lists = [self._database.xcom(WATCHES, run, "list_new_documents") or [] for run in runs]
        found = [document["document_id"] for one in lists for document in one]
        self._tally.equal("they got each document once", sorted(found), sorted(ids(documents)))

    def _watching_runs_ended(self) -> bool:
        running = set(self._database.runs(WATCHES).values()) - {"success", "failed"}
        return not running and not self._database.events_not_consumed()
