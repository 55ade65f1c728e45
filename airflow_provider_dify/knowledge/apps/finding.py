"""Finds the runs that the tries of a task have started, in the log of the app."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyNotFoundError
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import LogRow
from airflow_provider_dify.knowledge.flow import Flow

_FAILED = frozenset({"failed", "stopped"})
#: Which of several runs counts: a result first, then what may still become one.
_RANKS = {"succeeded": 0, "partial-succeeded": 1}
_LIVE = 2


@dataclass(frozen=True)
class FoundRun:
    """A run of a try.

    :param user: The name of the try in Dify.
    :param row: The run.
    """

    user: str
    row: LogRow

    @property
    def failed(self) -> bool:
        """Whether it has no result and never will."""
        return self.row.status in _FAILED


def runs_of(users: Iterable[str]) -> Flow[tuple[FoundRun, ...]]:
    """Find the runs of some tries."""
    found: list[FoundRun] = []
    for user in users:
        rows = yield from api.runs_of(user)
        found += [FoundRun(user, row) for row in rows]
    return tuple(found)


def run_of(user: str, run_id: str) -> Flow[tuple[FoundRun, ...]]:
    """Find a run by its id; empty if there is no such run."""
    try:
        run = yield from api.get_run(run_id)
    except DifyNotFoundError:
        return ()
    return (FoundRun(user, LogRow(run.id, run.status, run.created_at or 0.0, user)),)


def best_of(runs: Iterable[FoundRun]) -> FoundRun | None:
    """Return the run that counts: the first one that succeeded, otherwise the first one that may."""
    good = [run for run in runs if not run.failed]
    return min(good, key=lambda run: (_RANKS.get(run.row.status, _LIVE), run.row.created_at), default=None)


def latest_of(runs: Iterable[FoundRun]) -> FoundRun | None:
    """Return the run that was started last."""
    return max(runs, key=lambda run: run.row.created_at, default=None)
