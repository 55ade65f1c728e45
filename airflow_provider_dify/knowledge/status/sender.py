"""Sending a change of status in batches, although one busy document refuses a whole batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyDocumentBusyError, DifyError
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.errors import busy_name, may_be_carried_out
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.progress import Progress

#: After so many refusals the rest of a batch waits for the next pass: the worker is probably at work on all of it.
_MOST_REFUSALS = 20


@dataclass
class Pass:
    """What one pass over documents brought.

    :param taken: Dify took the change for these.
    :param busy: Dify holds its lock on these.
    :param put_off: Not tried in this pass, as so many others of their batch were busy.
    :param unsure: Sent, but the answer was lost or was a failure: they may be changed or not.
    :param error: What ended the pass early; worth another try.
    """

    taken: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    put_off: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    error: DifyError | None = None


@dataclass(frozen=True)
class Sender:
    """Sends the changes of one action to one knowledge base.

    :param dataset_id: The knowledge base.
    :param batch_size: How many documents a request names at most.
    :param clears_lock: Whether the first document of a request is named twice, which takes away the lock that
        Dify may leave on it.
    """

    dataset_id: str
    batch_size: int
    clears_lock: Callable[[Action], bool]

    def send(
        self, action: Action, ids: Sequence[str], names: Mapping[str, str], result: Pass, progress: Progress
    ) -> Flow[None]:
        """Send the change for documents, and write down what came of it batch by batch.

        :param names: Dify blames a document by its name, so the names settle which one is busy.
        :param result: Filled while it goes on, so that it is right whenever the flow is broken off.
        :raises DifyError: A failure that no other try can mend.
        """
        for start in range(0, len(ids), self.batch_size):
            yield from self._send_batch(action, ids[start : start + self.batch_size], names, result)
            if result.error:
                return
            if start + self.batch_size < len(ids):
                yield from progress.note(f"Sent '{action.value}' for", len(result.taken), len(ids))

    def _send_batch(self, action: Action, ids: Sequence[str], names: Mapping[str, str], result: Pass) -> Flow[None]:
        parts = deque([list(ids)])
        refusals = 0
        while parts:
            part = parts.popleft()
            try:
                yield from self._request(action, part, result)
            except DifyDocumentBusyError as error:
                refusals += 1
                busy, rest = _take_out_busy(part, busy_name(error), names)
                result.busy += busy
                parts.extendleft(reversed(rest))
                if refusals >= _MOST_REFUSALS:
                    result.put_off += [document_id for part in parts for document_id in part]
                    return
            except DifyError as error:
                if not error.retryable:
                    raise
                result.error = error
                return

    def _request(self, action: Action, ids: list[str], result: Pass) -> Flow[None]:
        named = [*ids, ids[0]] if self.clears_lock(action) else ids
        try:
            yield from api.change_status(self.dataset_id, action, named)
        except BaseException as error:
            if may_be_carried_out(error):
                result.unsure += ids
            raise
        result.taken += ids


def _take_out_busy(ids: list[str], name: str | None, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return which documents are busy for certain, and the parts to try next."""
    if len(ids) == 1:
        return ids, []
    blamed = [document_id for document_id in ids if names.get(document_id) == name]
    others = [document_id for document_id in ids if names.get(document_id) != name]
    if len(blamed) == 1:
        return blamed, [others]
    if blamed and others:
        return [], [others, blamed]
    # Namesakes, or a name that has changed since it was read.
    half = len(ids) // 2
    return [], [ids[:half], ids[half:]]
