"""Undoes a release that failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.documents import Flags
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note
from airflow_provider_dify.knowledge.release.known import Known
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.chunks import DisabledChunks


def undo(
    known: Known, previous: Mapping[str, Flags], chunks: DisabledChunks, deadline: Deadline, retries: Retries
) -> Flow[None]:
    """Give documents their previous flags: first those that belong in search, then the rest. Read them back.

    What could not be restored is in the errors of the documents.

    :param known: The documents.
    :param previous: The previous flags of each, by id.
    :param chunks: The chunks that were disabled in them.
    :param deadline: How long to wait. It starts again.
    :param retries: How failed requests are retried.
    """
    known.settle()
    deadline.restart()
    try:
        yield from known.read(previous)
        switch = known.switch_to(_to_undo(known, previous))
        # If this fails, the new version stays in search: both are better than none.
        yield from switch.bring_in(deadline, retries)
        yield from switch.take_out(deadline, retries)
        back = [i for i, flags in previous.items() if flags.in_search and i in known.documents]
        known.errors.update((yield from chunks.restore(back, deadline)))
        yield from known.read(previous)
    except DifyError as error:
        yield from _note_what_is_left(known, previous, error)
    known.errors.update({i: "It was deleted in the meantime." for i in previous if i not in known.documents})


def _to_undo(known: Known, previous: Mapping[str, Flags]) -> dict[str, Flags]:
    return {
        i: flags
        for i, flags in previous.items()
        if (document := known.documents.get(i)) and (document.indexed or document.flags != flags)
    }


def _note_what_is_left(known: Known, previous: Mapping[str, Flags], error: DifyError) -> Flow[None]:
    yield Note(f"Not everything could be undone: {error.message}", logging.ERROR)
    yield from known.read_after_failure(previous)
    now = known.flags()
    for document_id, flags in previous.items():
        if now.get(document_id, flags) != flags:
            known.errors.setdefault(document_id, f"It could not be restored: {error.message}")
    if not known.errors:
        # The flags are as before, as far as known, but that is not proven.
        known.errors.update(dict.fromkeys(previous, f"It was not read back: {error.message}"))
