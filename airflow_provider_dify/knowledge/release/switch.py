"""Changes documents to given flags so that search never loses what it should return.

Documents that belong in search enter it first, which is proven; only then do the others leave. On the way to its flags,
no document appears in search that should not, with one exception that Dify makes unavoidable (see
:meth:`Switch.take_out`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from airflow_provider_dify.knowledge.documents import Action, Document, Flags
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.progress import ALONE, WholeJob
from airflow_provider_dify.knowledge.release.options import Retire
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.text.counts import number_of


class Switch:
    """Documents on their way to given flags.

    Its whole state is in this object, not in the generators, so :meth:`flags` is correct at any moment.

    :param dataset_id: The knowledge base.
    :param targets: The requested flags of each document, by id.
    :param now: Their current flags.
    :param options: How changes are sent and awaited.
    :param whole: The job, for the log, if there are more documents.
    """

    def __init__(
        self,
        dataset_id: str,
        targets: Mapping[str, Flags],
        now: Mapping[str, Flags],
        options: StatusOptions,
        whole: WholeJob = ALONE,
    ) -> None:
        self.targets = dict(targets)
        #: What is wrong with documents that did not get their flags, by id.
        self.errors: dict[str, str] = {}
        self._dataset_id = dataset_id
        self._options = options
        self._flags = {i: now[i] for i in self.targets}
        self._change: StatusChange | None = None
        self._whole = WholeJob(whole.done, whole.of(len(self.targets)))

    def flags(self) -> dict[str, Flags]:
        """Return the current flags of each document, as far as known."""
        return {**self._flags, **self._changed()}

    def bring_in(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Bring documents that belong in search into it, and prove that search returns them.

        :raises DifyDocumentStatusError: Some did not get there.
        :raises DifyError: A request to Dify failed.
        """
        ids = [i for i, target in self.targets.items() if target.in_search]
        # A disabled and archived document enters search only with the second action, so it does not appear in between.
        archived = [i for i in ids if self._flags[i].archived]
        yield from self._apply(Action.UN_ARCHIVE, archived, deadline, retries, prove=False)
        yield from self._apply(Action.ENABLE, ids, deadline, retries)

    def take_out(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Remove documents that do not belong in search, and prove that search does not return them.

        A disabled document that should be enabled and archived is in search for a moment: Dify only removes documents
        from search that are archived while they are in it.

        :raises DifyDocumentStatusError: Some did not get there.
        :raises DifyError: A request to Dify failed.
        """
        targets = {i: target for i, target in self.targets.items() if not target.in_search}
        self._whole = self._whole.without(len(self.targets) - len(targets), len(self.targets))
        now = dict(self._flags)
        flashing = [i for i, target in targets.items() if target.enabled and not now[i].enabled]
        # For documents that should be disabled and not archived, disabling is the proof; for the others, archiving.
        off = [i for i, t in targets.items() if not t.enabled and (now[i].enabled or not t.archived)]
        back = [i for i, t in targets.items() if now[i].archived and (not t.archived or i in set(flashing))]
        yield from self._apply(Action.DISABLE, off, deadline, retries)
        yield from self._apply(Action.UN_ARCHIVE, back, deadline, retries)
        if flashing:
            yield Note(f"Search returns {number_of(len(flashing))} for a moment, until archived again.")
        yield from self._apply(Action.ENABLE, flashing, deadline, retries)
        yield from self._apply(Action.ARCHIVE, [i for i, t in targets.items() if t.archived], deadline, retries)

    def _apply(
        self, action: Action, ids: Iterable[str], deadline: Deadline, retries: Retries, *, prove: bool = True
    ) -> Flow[None]:
        asked = tuple(ids)
        if not asked:
            return
        options = replace(self._options, wait_for_completion=prove)
        self._change = StatusChange(self._dataset_id, asked, action, options)
        self._change.whole = self._whole
        try:
            yield from self._change.flow(deadline, retries)
        finally:
            report = self._change.report()
            for outcome, failed in report.failing().items():
                self.errors.update({i: report.errors.get(i, f"{outcome.value}: {outcome.advice}") for i in failed})
            self._flags.update(self._changed())
            self._change = None

    def _changed(self) -> dict[str, Flags]:
        if self._change is None:
            return {}
        action = self._change.action
        return {i: self._flags[i].after(action) for i in self._change.report().changed}


def flags_of(documents: Mapping[str, Document]) -> dict[str, Flags]:
    """Return the flags of documents by id."""
    return {document_id: document.flags for document_id, document in documents.items()}


def retired(document: Document, how: str) -> Flags:
    """Return the flags of a document that is retired.

    One that its archive keeps out of search stays as it is, unless it should be archived: disabling it as well could
    not be undone unseen.
    """
    if how == Retire.ARCHIVE.value:
        return Flags(document.enabled, archived=True)
    return document.flags if document.archived else Flags(enabled=False, archived=False)


def can_change(document: Document) -> bool:
    """Whether Dify changes a document: one whose indexing failed or is paused is out of search, and stays so."""
    return not (document.failed or document.paused)
