"""Chunks (segments) that a person disabled in a document that is in use.

Dify enables them again with every change that brings their document into search (recording 1.16.0/28), and does not
know afterwards which ones they were. To restore them, they have to be remembered first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_provider_dify.exceptions import DifyInputError, DifyNotFoundError, DifyRequestError
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.status.segments import Segment, segment_page, update_segment
from airflow_provider_dify.knowledge.text.counts import number_of


class DisabledChunks:
    """The chunks that were disabled in documents in use, and how to disable them again.

    :param dataset_id: The knowledge base.
    :param noted: Ids of disabled chunks by document id, if already known.
    """

    def __init__(self, dataset_id: str, noted: Mapping[str, Sequence[str]] | None = None) -> None:
        #: Ids of the chunks by document id; only documents that have some.
        self.noted: dict[str, tuple[str, ...]] = {i: tuple(ids) for i, ids in (noted or {}).items()}
        self._dataset_id = dataset_id

    def to_json(self) -> dict[str, list[str]]:
        """Return the remembered chunks as plain JSON."""
        return {document_id: list(ids) for document_id, ids in self.noted.items()}

    def note(self, document_ids: Sequence[str], progress: Progress) -> Flow[None]:
        """Remember the disabled chunks of documents in search: one read for each 100 chunks of a document."""
        for number, document_id in enumerate(document_ids):
            segments = yield from _read_all(self._dataset_id, document_id)
            disabled = tuple(one.id for one in segments if not one.enabled)
            # If all are disabled, the worker has not brought the document into search yet.
            if disabled and len(disabled) < len(segments):
                self.noted[document_id] = disabled
            yield from progress.note("Read the chunks of", number + 1, len(document_ids))
        if self.noted:
            count = sum(map(len, self.noted.values()))
            found = f"{number_of(count, 'disabled chunk')} in {number_of(len(self.noted))}"
            yield Note(f"Found {found}, to be disabled again at the end.")

    def restore(self, document_ids: Iterable[str], deadline: Deadline) -> Flow[dict[str, str]]:
        """Disable the remembered chunks of documents that are back in search, and verify it.

        :return: What could not be restored, by document id.
        """
        errors: dict[str, str] = {}
        for document_id in document_ids:
            wanted = self.noted.get(document_id, ())
            if not wanted:
                continue
            left = yield from self._enabled(document_id, wanted)
            for segment in left:
                yield from self._disable(document_id, segment, deadline)
            there = {one.id: one.enabled for one in (yield from _read_all(self._dataset_id, document_id))}
            if bad := [i for i in wanted if there.get(i, True)]:
                shown = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
                errors[document_id] = f"{number_of(len(bad), 'disabled chunk')} could not be disabled again: {shown}."
        return errors

    def _enabled(self, document_id: str, wanted: Sequence[str]) -> Flow[list[Segment]]:
        segments = yield from _read_all(self._dataset_id, document_id)
        return [one for one in segments if one.enabled and one.id in wanted]

    def _disable(self, document_id: str, segment: Segment, deadline: Deadline) -> Flow[None]:
        parts: dict[str, JSON] = {"content": segment.content, "enabled": False}
        try:
            yield from update_segment(self._dataset_id, document_id, segment.id, parts, deadline)
        except DifyRequestError as error:
            # It is gone, or Dify still works on it: then it is reported as not restored.
            if not isinstance(error, DifyNotFoundError) and error.status != 400:
                raise


def chunks_from(data: object, parameter: str) -> dict[str, tuple[str, ...]]:
    """Return the remembered chunks of a report.

    :raises DifyInputError: The value is something else.
    """
    if not isinstance(data, Mapping):
        raise DifyInputError(f"{parameter} must map ids of documents to ids of chunks, not {inputs.show(data)}.")
    return {
        inputs.canonical_id(i, f"An id of {parameter}"): inputs.canonical_ids(ids, f"{parameter}[{inputs.show(i)}]")
        for i, ids in data.items()
    }


def _read_all(dataset_id: str, document_id: str) -> Flow[list[Segment]]:
    segments: list[Segment] = []
    page, number = None, 0
    try:
        while page is None or (page.full and len(segments) < page.total):
            number += 1
            page = yield from segment_page(dataset_id, document_id, number)
            segments += page.items
    except DifyNotFoundError as error:
        if not api.document_is_missing(error):
            raise
        return []
    return segments
