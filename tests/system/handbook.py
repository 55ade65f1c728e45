"""What a run has to wait for: documents that are locked or being indexed, and a workflow that takes its time."""

from __future__ import annotations

import json

from airflow_provider_dify.testing import App, Document, FakeDify

#: No run waits so long: the lock goes when the story says so.
_LOCK = 3600.0


class Handbook:
    """The documents of one run of ``dify_system_waits``, and its workflow.

    :param seconds: How long the workflow runs.
    """

    def __init__(self, dify: FakeDify, workflow: App, name: str, seconds: float) -> None:
        self._dify = dify
        self._workflow = workflow
        workflow.seconds = seconds
        self.name = name
        self.dataset = dify.add_dataset(name)
        self.old = self.dataset.add_documents(4, "old")
        self.old.append(self.dataset.add_document("old, archived before", archived=True))
        self.new = [self.dataset.add_document(f"new{n}", enabled=False) for n in range(2)]
        self.late = self.dataset.add_document("new, late", enabled=False, indexing_status="indexing")
        self.new.append(self.late)
        self.indexed = [self.dataset.add_document(f"index{n}", indexing_status="indexing") for n in range(3)]
        for document in self.old[:2]:
            document.lock(_LOCK)

    @property
    def parameters(self) -> str:
        """For the run, as JSON."""
        return json.dumps(
            {
                "dataset_id": self.dataset.id,
                "text": self.name,
                "archive": ids(self.old),
                "enable": ids(self.new),
                "index": ids(self.indexed),
            }
        )

    def settle_first_half(self) -> None:
        """Let go of one locked document, and let one be indexed."""
        self.old[0].unlock()
        self.indexed[0].finish_indexing()

    def settle(self) -> None:
        """Let go of all that the run waits for."""
        for document in self.old[:2]:
            document.unlock()
        for document in [self.late, *self.indexed]:
            document.finish_indexing()

    @property
    def workflow_runs(self) -> list[str]:
        """The status of each run of the workflow for this run of the DAG."""
        return [run.status for run in self._workflow.runs if run.inputs == {"text": self.name}]

    def undone(self) -> list[Document]:
        """Documents that are not as the run was asked to make them, for Dify or for its search."""
        left = [document for document in self.old if not document.archived or document.in_search]
        left += [document for document in self.new if not document.enabled or not document.in_search]
        return left + [document for document in self.indexed if document.indexing_status != "completed"]


def ids(documents: list[Document]) -> list[str]:
    return [document.id for document in documents]
