"""A DAG is started by the event of a change, and takes the change back by what the event says."""

from __future__ import annotations

import json

from airflow_provider_dify.testing import Dataset, FakeDify
from tests.system.handbook import ids
from tests.system.standalone import Airflow
from tests.system.tally import Tally, wait_for

CHANGES, TAKES_BACK = "dify_system_changes", "dify_system_takes_back"
LINK = "_link_DifyKnowledgeBaseLink"


class TakingBack:
    """The story, with the links that its task shows meanwhile.

    :param dataset: The knowledge base of the asset.
    """

    def __init__(self, tally: Tally, airflow: Airflow, dify: FakeDify, dataset: Dataset) -> None:
        self._tally = tally
        self._airflow = airflow
        self._database = airflow.database
        self._dify = dify
        self._dataset = dataset

    @staticmethod
    def environment(dify: FakeDify, dataset: Dataset) -> dict[str, str]:
        """What the DAGs of this story read."""
        return {"SYSTEM_TEST_HOST": dify.base_url, "SYSTEM_TEST_CHANGED": dataset.id}

    def __call__(self) -> None:
        """Tell it."""
        with self._tally.story("A change starts a DAG, which takes it back by the event alone"):
            documents = self._dataset.add_documents(3, "changed ")
            documents[0].lock(600)  # so that the task is seen while it waits
            for dag in (CHANGES, TAKES_BACK):
                self._database.wait_for_dag(dag)
            conf = json.dumps({"document_ids": ids(documents)})
            self._airflow.command("dags", "trigger", CHANGES, "--run-id", "changes", "--conf", conf)
            wait_for("the task to wait", lambda: self._state("change") == "deferred", 120)
            self._check_link("the link is there while the task waits")
            self._tally.equal("no event yet", self._database.extras(self._asset), [])
            documents[0].unlock()
            wait_for("the run to end", lambda: self._runs_ended(CHANGES, 1), 120)
            self._check_link("the link is there when it has ended")
            wait_for("the change, and its taking back, to start the DAG", lambda: self._runs_ended(TAKES_BACK, 2), 180)
            self._check_events(ids(documents))
            back = [document for document in documents if document.in_search and not document.archived]
            self._tally.equal("Dify says that all are as they were", back, documents)
            self._check_that_it_ends()

    @property
    def _asset(self) -> str:
        return self._dify.base_url.replace("http://", "dify://").removesuffix("/v1") + f"/datasets/{self._dataset.id}"

    def _state(self, task: str) -> str | None:
        return self._database.states(CHANGES, "changes").get(task)

    def _runs_ended(self, dag_id: str, number: int) -> bool:
        runs = self._database.runs(dag_id)
        return len(runs) >= number and set(runs.values()) <= {"success", "failed"}

    def _check_link(self, what: str) -> None:
        wanted = f"{self._dify.base_url.removesuffix('/v1')}/datasets/{self._dataset.id}/documents"
        self._tally.equal(what, self._database.xcom(CHANGES, "changes", "change", LINK), wanted)

    def _check_events(self, changed: list[str]) -> None:
        events = self._database.extras(self._asset)
        told = [(event["action"], event["changed"], event["in_answer_to"]) for event in events]
        wanted = [("archive", changed, []), ("un_archive", changed, ["archive"])]
        self._tally.equal("the events say what was changed", told, wanted)
        report = {"dag_id": CHANGES, "task_id": "change", "run_id": "changes", "map_index": -1, "key": "report"}
        self._tally.equal("and where the report of it is", events[0]["report"], report)

    def _check_that_it_ends(self) -> None:
        runs = self._database.runs(TAKES_BACK)
        self._tally.equal("both runs are green", list(runs.values()), ["success"] * 2)
        undone = sorted(len(self._database.xcom(TAKES_BACK, run, "to_take_back") or []) for run in runs)
        self._tally.equal("the taking back is not taken back", undone, [0, 1])
        self._tally.equal("no event is left", self._database.events_not_consumed(), 0)
