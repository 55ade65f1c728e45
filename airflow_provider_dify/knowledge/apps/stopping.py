"""Stops a run. Dify always answers "success", so the run itself is read."""

from __future__ import annotations

import logging

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import AppRun
from airflow_provider_dify.knowledge.flow import Flow, Note, Pause

#: How often a run is read after its stop, once a second: it stops when its nodes notice.
STOP_CHECKS = 30


def stopped(run_id: str, task_id: str, user: str, *, checks: int = STOP_CHECKS) -> Flow[AppRun]:
    """Stop a run, and return it: check its status.

    :param task_id: Id for stopping it; empty: it is read from the run's events.
    :param user: Its name in Dify.
    :param checks: How often to check, once a second, whether it has stopped.
    :raises DifyError: A request to Dify failed.
    """
    task_id = task_id or (yield from _task_of(run_id, user))
    if not task_id:
        yield Note(f"Run {run_id} cannot be stopped, because Dify does not tell the id for it.", logging.WARNING)
        return (yield from api.get_run(run_id))
    yield from api.stop_task(task_id, user)
    return (yield from ended(run_id, checks))


def ended(run_id: str, checks: int = STOP_CHECKS) -> Flow[AppRun]:
    """Return a run that was told to stop, once it has stopped: check its status.

    :param checks: How often to check, once a second, whether it has stopped.
    :raises DifyError: A request to Dify failed.
    """
    run = yield from api.get_run(run_id)
    while not run.is_final and run.status != api.PAUSED and checks > 0:
        checks -= 1
        yield Pause(1.0, "")
        run = yield from api.get_run(run_id)
    if not run.is_final:
        yield Note(f"Run {run_id} was asked to stop, but is still {run.status}.", logging.WARNING)
    return run


def _task_of(run_id: str, user: str) -> Flow[str]:
    try:
        return (yield from api.find_task(run_id, user))
    except DifyError:  # it has ended, or there are no events
        return ""
