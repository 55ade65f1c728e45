"""Plans, applies, awaits and proves a status change.

Dify's "success" says little: unknown ids are ignored, one busy document refuses a whole batch, and search follows when
a worker gets to it, if the job was not lost. So each document is read before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.answers import Fields, a_number_or_nothing
from airflow_provider_dify.knowledge.conversation import is_long
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, LeaveWorker, Measure, Note, Pause
from airflow_provider_dify.knowledge.progress import Intervals, Progress, WholeJob
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.report import by_name
from airflow_provider_dify.knowledge.retries import Retries, any_retried
from airflow_provider_dify.knowledge.selection.choice import Choice
from airflow_provider_dify.knowledge.status.chunks import DisabledChunks, chunks_from
from airflow_provider_dify.knowledge.status.ledger import Handover, Ledger
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.status.proof import ProvenBy, SearchCheck, SearchProof
from airflow_provider_dify.knowledge.status.repair import HALFWAY, Repair, why_lost
from airflow_provider_dify.knowledge.status.report import Outcome, StatusReport
from airflow_provider_dify.knowledge.status.sender import PassResult, Sender
from airflow_provider_dify.knowledge.text.counts import number_of

#: How many documents that search does not reflect are read to see whether the worker failed with them.
_PROBE = 3
#: Up to this many documents, the last check before the deadline covers all of them.
_LAST_CHECK = 500
#: How often changed documents are read back before the end, until no read failed and it was as fast as Dify can be.
_MOST_LAST_READS = 5
#: How often search is queried again at the end for documents that were proven a while ago, until it returns all of
#: them.
_MOST_ROUNDS = 3
#: Seconds that reading back may take, and additional seconds for each document.
_LONG_READ, _LONG_READ_OF_EACH = 2.0, 0.05


class StatusChange:
    """A change of the status of documents, from the first read to the proof.

    :param dataset_id: UUID of the knowledge base.
    :param document_ids: UUIDs: a list, one id, or a string that contains a list (see :func:`inputs.canonical_ids`); or
        the choice that finds them.
    :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
    :param options: How it is done.
    :param before: Its state when it continued in this process.
    :raises DifyInputError: An argument is invalid.
    """

    kind: ClassVar[str] = "status"

    def __init__(
        self,
        dataset_id: object,
        document_ids: object,
        action: object,
        options: StatusOptions | None = None,
        *,
        before: Handover | None = None,
    ) -> None:
        self.action = inputs.choice(action, Action, "action")
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        #: Finds the documents.
        self.choice = document_ids if isinstance(document_ids, Choice) else Choice.of(document_ids)
        self.options = options or StatusOptions()
        missing = {Outcome.MISSING} if self.choice.tolerates_missing else set()
        self.tolerate = frozenset(map(Outcome, self.options.tolerate)) | missing
        self._waits = Intervals(longest=self.options.poll_interval)
        self._wait_for_search = self.options.wait_for_completion
        self._chunks = DisabledChunks(self.dataset_id)
        self._continued = before is not None
        self._begin_with(self.choice.ids or (), before)
        self._sender = Sender(self.dataset_id, self.options.batch_size, self._clears_lock)
        self._proof = SearchProof(self.dataset_id, None, ProvenBy(self.options.prove_by))
        self._failures = 0
        #: The repair of documents that search has lost; ``None`` if none was needed.
        self._lost: Repair | None = None
        #: How many checks of search have proven something.
        self._proving_looks = 0
        #: Whether time has passed since changed documents were read back, so that a worker may have undone the change.
        self._reads_are_old = self._wait_for_search or self._continued
        #: Whether it is past the planning; before that, nobody expects a proof.
        self._carrying_out = False
        #: When Dify accepted the last change, in seconds since the start; ``None`` if there is nothing to measure.
        self._accepted_at: float | None = None
        #: Whether the flow left at a long wait, to continue elsewhere.
        self._left = False
        self._driven_back: set[str] = set()
        #: The job that this is a part of, for the log.
        self.whole = WholeJob()

    def _begin_with(self, document_ids: tuple[str, ...], before: Handover | None = None) -> None:
        #: The documents, in order; empty until they are selected.
        self.document_ids = document_ids
        self._ledger = Ledger(self.action, document_ids, until_search_follows=self._wait_for_search, before=before)

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere instead of waiting here: not in the middle of a repair."""
        return is_long(pause) and not (self._lost and self._lost.under_way)

    def to_json(self) -> dict[str, JSON]:
        """Return everything needed to continue in another process."""
        return {
            "dataset_id": self.dataset_id,
            "action": self.action.value,
            "options": {**self.options.to_json(), "tolerate": sorted(one.value for one in self.tolerate)},
            "documents": self._ledger.handover().to_json(),
            "accepted_at": self._accepted_at,
            "disabled_chunks": self._chunks.to_json(),
            "whole": self.whole.to_json(),
        }

    @classmethod
    def from_json(cls, data: JSON) -> StatusChange:
        """Return a change that continues where :meth:`to_json` was called."""
        state = Fields(data)
        before = Handover.from_json(state.get("documents"))
        options = StatusOptions.from_json(state.get("options"))
        change = cls(state.get("dataset_id"), Choice(before.document_ids), state.get("action"), options, before=before)
        change._accepted_at = state.read("accepted_at", a_number_or_nothing)
        change._chunks.noted.update(chunks_from(state.get("disabled_chunks"), "disabled_chunks"))
        change.whole = WholeJob.from_json(state.get("whole"))
        return change

    def report(self) -> StatusReport:
        """Return the outcome of each document so far; complete and consistent at any moment."""
        outcomes = self._ledger.outcomes()
        notes = self._ledger.notes(in_doubt=self._carrying_out and not self._left)
        if self._lost:
            notes |= dict.fromkeys(self._lost.halfway, HALFWAY.format(self.action.value))
            outcomes |= dict.fromkeys(self._lost.halfway, Outcome.BUSY)
        repaired = len(self._lost.repaired) if self._lost else 0
        return StatusReport(
            self.dataset_id,
            self.action.value,
            **by_name(outcomes),
            errors=notes,
            dry_run=self.options.dry_run,
            repaired=repaired,
            disabled_chunks=dict(self._chunks.noted),
        )

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents read so far, by id."""
        return self._ledger.names

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[StatusReport]:
        """Change the status of the documents.

        :param deadline: How long to wait for documents that are busy, being indexed, or not yet in search.
        :param retries: How failed requests are retried.
        :return: The report. Each requested id is in exactly one of its lists.
        :raises DifyGuardError: There are more documents than the guard of the choice allows; nothing was changed.
        :raises DifyDocumentStatusError: Documents have an outcome that is not tolerated.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        try:
            yield from self._choose(deadline)
            yield from self._look_first()
            if self._continued or not self._ends_with_the_plan():
                if not self._continued:
                    yield from self._note_chunks(deadline)
                yield from self._carry_out_and_check(deadline, retries)
        except LeaveWorker:
            self._left = True
            raise
        except DifyError as error:
            if self._reads_are_old and not self._wait_for_search:
                self._ledger.doubt_changed()
            error.report = self.report()
            raise
        report = self.report()
        report.raise_for_outcomes(self.tolerate)
        return report

    def _choose(self, deadline: Deadline) -> Flow[None]:
        chosen = yield from self.choice.flow(self.dataset_id, Progress(deadline))
        if self.choice.ids is None:
            self._begin_with(chosen.ids)
        self.choice.guard.check(len(chosen.ids), chosen.total)

    def _look_first(self) -> Flow[None]:
        if not self.document_ids:
            yield Note(f"There is nothing to {self.action.verb}; nothing was changed.")
            return
        if self.action.adds or self.options.repair:
            dataset = yield from api.get_dataset(self.dataset_id)
            self._proof = SearchProof(self.dataset_id, dataset, ProvenBy(self.options.prove_by))
        yield from self._read(self._ledger.to_read)
        if not self._continued:
            yield Note(self._ledger.plan())
        if self.options.dry_run:
            yield Note(f"This is a dry run: nothing was changed. {self._preview()}")

    def _note_chunks(self, deadline: Deadline) -> Flow[None]:
        """Remember the disabled chunks of documents before they leave search."""
        if self.options.keep_chunks and not self.action.adds:
            leaving = [i for i in self._ledger.ready() if self._ledger.documents[i].belongs_in_search]
            yield from self._chunks.note(leaving, Progress(deadline))

    def _ends_with_the_plan(self) -> bool:
        stoppers = {Outcome.MISSING, Outcome.REFUSED} - self.tolerate
        return self.options.dry_run or any(outcome in stoppers for outcome in self._ledger.settled.values())

    def _preview(self) -> str:
        would = self.report().ids(Outcome.NOT_ATTEMPTED)
        names = ", ".join(f"'{self._ledger.documents[document_id].name}'" for document_id in would[:3])
        more = f" and {len(would) - 3:,} more" if len(would) > 3 else ""
        return f"It would {self.action.verb} {names}{more}." if would else f"There is nothing to {self.action.verb}."

    def _carry_out_and_check(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        """Change the documents, and check at the end that good outcomes are still true."""
        progress = Progress(deadline)
        for last in (*[False] * (_MOST_ROUNDS - 1), True):
            yield from self._carry_out(deadline, retries, progress)
            yield from self._last_read_of_flags(deadline)
            if not (yield from self._is_lost_since(progress)):
                return
            if last:
                self._ledger.time_is_up()

    def _carry_out(self, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[None]:
        self._carrying_out = True
        while True:
            error, lost = yield from self._push_on(deadline, progress)
            yield from self._bring_back(lost, deadline, retries)
            if error:
                yield from self._wait_after(error, deadline, retries)
                continue
            if self._ledger.done:
                yield from self._measure_lag(deadline)
                return
            if self.options.repair and deadline.half_gone and not deadline.passed:
                yield from self._queue_again(progress)
            if deadline.passed:
                self._ledger.time_is_up()
                return
            yield self._pause(deadline, progress)
            self._reads_are_old = True
            yield from self._read(self._ledger.open)

    def _push_on(self, deadline: Deadline, progress: Progress) -> Flow[tuple[DifyError | None, Sequence[str]]]:
        """Send what can be sent, and check what happened to what was sent.

        :return: A failure that is worth another try; and documents that search does not return although the worker is
            done with them.
        """
        result = yield from self._apply(progress)
        if result.error:
            return result.error, ()
        if result.taken:
            self._accepted_at = deadline.elapsed
        if result.taken and not self._wait_for_search:
            self._reads_are_old |= yield from self._read_back(result.taken, deadline)
        if not result.taken or deadline.passed:  # the worker needs a moment for what was just sent
            return None, (yield from self._prove(deadline, progress))
        return None, ()

    def _apply(self, progress: Progress) -> Flow[PassResult]:
        """Send the change for all documents that are ready for it."""
        result = self._ledger.begin()
        try:
            yield from self._sender.send(self.action, self._ledger.ready(), self.names, result, progress)
        finally:
            self._ledger.write_down()
        if result.taken:
            self._failures = 0
            self._waits.restart()
        return result

    def _measure_lag(self, deadline: Deadline) -> Flow[None]:
        """Measure how long search took to reflect what was changed, if it does."""
        if self._wait_for_search and self._accepted_at is not None and self._ledger.changed:
            yield Measure("search_lag", seconds=deadline.elapsed - self._accepted_at)
        self._accepted_at = None

    def _wait_after(self, error: DifyError, deadline: Deadline, retries: Retries) -> Flow[None]:
        """After a failure, wait, and read the documents before anything is sent again."""
        self._failures += 1
        self._reads_are_old = True
        again = yield from retries.recover(self._failures, error, deadline, lambda: self._read(self._ledger.open))
        # If nothing is open any more, the failed request was carried out after all, and search may still follow.
        if not again and self._ledger.open:
            raise error

    def _prove(self, deadline: Deadline, progress: Progress) -> Flow[Sequence[str]]:
        """Check which documents search reflects, and whether changes of the others were undone.

        :return: Documents that search does not return although the worker is done with them.
        """
        awaited = list(self._ledger.awaited)
        thorough = deadline.passed and len(awaited) <= _LAST_CHECK
        progress.whole = self.whole.without(len(self._ledger.good), len(self.document_ids))
        check: SearchCheck = yield from self._proof.look(
            awaited, self._ledger.documents, thorough=thorough, progress=progress
        )
        self._ledger.proven(check)
        self._proving_looks += bool(check.followed)
        self._waits.looked(deadline.elapsed, done=len(check.followed), left=len(self._ledger.awaited))
        probe = check.behind[:_PROBE]
        yield from self._read(probe)
        if deadline.passed or any(map(self._ledger.is_settled, probe)):
            yield from self._read(self._ledger.awaited)
        return [i for i in check.lost if not self._ledger.is_settled(i)]

    def _bring_back(self, lost: Sequence[str], deadline: Deadline, retries: Retries) -> Flow[None]:
        """Repair the documents that search has lost, or only those that this run has brought in."""
        if not lost:
            return
        self._lost = self._lost or Repair(self.dataset_id, self.action, self._proof)
        tried = self._lost.tried
        to_repair = [i for i in (lost if self.options.repair else self._ledger.sent_by_us(lost)) if i not in tried]
        if to_repair and not deadline.passed:
            yield from self._lost.flow(to_repair, deadline, retries)
            self._reads_are_old = True
        repaired = [i for i in self._lost.repaired if i in set(to_repair)]
        self._ledger.proven(SearchCheck(followed=repaired))
        self._proving_looks += bool(repaired)
        back = set(repaired)
        why = why_lost(self._proof)
        self._ledger.not_returned({i: self._lost.failed.get(i, why) for i in lost if i not in back})

    def _is_lost_since(self, progress: Progress) -> Flow[bool]:
        """Query search once more for what it returned a while ago: the jobs of other documents may have lost it."""
        entered = [i for i in self._ledger.good if self._ledger.documents[i].belongs_in_search]
        if not self._wait_for_search or self._proving_looks <= 1 or not self.action.adds:
            return False
        self._proving_looks = 1
        check: SearchCheck = yield from self._proof.look(
            entered, self._ledger.documents, thorough=True, progress=progress
        )
        self._ledger.await_again([*check.behind, *check.lost])
        self._ledger.proven(SearchCheck(gone=check.gone, empty=check.empty))
        return not self._ledger.done

    def _queue_again(self, progress: Progress) -> Flow[None]:
        """Queue jobs again that Dify seems to have lost: first for one document, then for the rest if that helps."""
        behind = [document_id for document_id in self._ledger.awaited if document_id not in self._driven_back]
        if not behind or not all(map(self._ledger.is_settled, self._driven_back)):
            return
        if not self._driven_back:
            behind = behind[:1]
        back = self.action.opposite
        yield Note(
            f"Search is still not up to date for {number_of(len(behind))}. Repeating the job in Dify: {back.value}, "
            f"then {self.action.value}."
        )
        result = PassResult()
        try:
            yield from self._sender.send(back, behind, self.names, result, progress)
        finally:
            # Whatever else happens, these documents are on their way back and have to be changed again.
            driven = result.taken + result.unsure
            self._driven_back.update(driven)
            self._ledger.driven_back(driven)
        if driven:
            self._waits.restart()

    def _last_read_of_flags(self, deadline: Deadline) -> Flow[None]:
        """Read back all good documents: a worker that fails undoes a change long after Dify's response."""
        for _ in range(_MOST_LAST_READS):
            if self._reads_are_old:
                self._reads_are_old = yield from self._read_back(self._ledger.good, deadline)

    def _read_back(self, ids: list[str], deadline: Deadline) -> Flow[bool]:
        """Read documents; return whether that took so long that the first ones may have changed by now."""
        began = deadline.elapsed
        retried = yield from any_retried(self._read(ids))
        return retried or deadline.elapsed - began > _LONG_READ + _LONG_READ_OF_EACH * len(ids)

    def _read(self, ids: Iterable[str]) -> Flow[None]:
        asked = list(ids)
        if asked:
            self._ledger.seen(asked, (yield from read_documents(self.dataset_id, asked)))

    def _pause(self, deadline: Deadline, progress: Progress) -> Pause:
        return progress.pause(min(self._waits.next(), deadline.remaining), self._ledger.awaits())

    def _clears_lock(self, action: Action) -> bool:
        # A vector store may refuse a second insert; adding twice is harmless only in an economy knowledge base.
        return not action.adds or self._proof.economy
