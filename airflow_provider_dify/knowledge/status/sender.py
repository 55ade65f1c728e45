"""Sends a status change in batches, although one busy document refuses a whole batch."""

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

#: After this many refusals, the rest of a batch waits for the next pass: the worker is probably working on all of it.
_MOST_REFUSALS = 20


@dataclass
class PassResult:
    """The result of one pass over documents.

    :param taken: Dify accepted the change for these.
    :param busy: Dify holds its lock on these.
    :param put_off: Not tried in this pass because too many others of their batch were busy.
    :param under_way: The request for these was sent, and its response is not there yet.
    :param unsure: Sent, but the response was lost or an error: they may or may not be changed.
    :param error: What ended the pass early; worth another try.
    """

    taken: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    put_off: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    error: DifyError | None = None


@dataclass(frozen=True)
class Sender:
    """Sends the changes of one action to one knowledge base.

    :param dataset_id: The knowledge base.
    :param batch_size: Maximum number of documents in a request.
    :param clears_lock: Whether to repeat the first document of a request, which removes the lock that Dify may leave on
        it.
    """

    dataset_id: str
    batch_size: int
    clears_lock: Callable[[Action], bool]

    def send(
        self, action: Action, ids: Sequence[str], names: Mapping[str, str], result: PassResult, progress: Progress
    ) -> Flow[None]:
        """Send the change for documents, and record the result batch by batch.

        :param names: Dify names the busy document, so the names identify it.
        :param result: Filled on the way, so that it is correct whenever the flow is interrupted.
        :raises DifyError: A failure that a retry cannot fix.
        """
        for start in range(0, len(ids), self.batch_size):
            yield from self._send_batch(action, ids[start : start + self.batch_size], names, result)
            if result.error:
                return
            if start + self.batch_size < len(ids):
                yield from progress.note(f"Sent '{action.value}' for", len(result.taken), len(ids))

    def _send_batch(
        self, action: Action, ids: Sequence[str], names: Mapping[str, str], result: PassResult
    ) -> Flow[None]:
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

    def _request(self, action: Action, ids: list[str], result: PassResult) -> Flow[None]:
        named = [*ids, ids[0]] if self.clears_lock(action) else ids
        result.under_way = ids
        try:
            yield from api.change_status(self.dataset_id, action, named)
        except BaseException as error:
            if may_be_carried_out(error):
                result.unsure += ids
            raise
        finally:
            result.under_way = []
        result.taken += ids


def _take_out_busy(ids: list[str], name: str | None, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return which documents are certainly busy, and the parts to try next."""
    if len(ids) == 1:
        return ids, []
    blamed = [document_id for document_id in ids if names.get(document_id) == name]
    others = [document_id for document_id in ids if names.get(document_id) != name]
    if len(blamed) == 1:
        return blamed, [others]
    if blamed and others:
        return [], [others, blamed]
    # Several documents with the same name, or a name that has changed since it was read.
    half = len(ids) // 2
    return [], [ids[:half], ids[half:]]
