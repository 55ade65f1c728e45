"""The tries of a task on an app; loaded when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps.tries import Tries, tries_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def tries_in(context: Context, prefix: object) -> Tries:
    """Return the names of the tries of a task in Dify.

    :raises DifyInputError: The prefix is not text.
    """
    task = context["ti"]
    place = getattr(task, "map_index", -1)
    user = "" if prefix == "" else inputs.text(prefix, "user")
    return tries_of(user, task.dag_id, task.task_id, task.run_id, -1 if place is None else place, task.try_number)
