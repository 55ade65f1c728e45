"""The names of a task's tries in Dify.

Dify stores the ``user`` of a request with its run, unchanged (1.16.0, file 42: at most 255 characters, 300 are an
internal error). So a try can find its own runs, and those of earlier tries, if their names can be computed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs

LONGEST_USER = 255
#: How many earlier tries are looked up, with one request for each.
_MOST_TRIES = 20
_HASH = 32


@dataclass(frozen=True)
class Tries:
    """The current try of a task, and earlier ones.

    :param user: The name of the current try.
    :param earlier: Those of earlier tries, the latest first.
    """

    user: str
    earlier: tuple[str, ...] = ()


def tries_of(prefix: str, dag_id: str, task_id: str, run_id: str, map_index: int, number: int) -> Tries:
    """Return the names of the tries of a task.

    :param prefix: Their prefix: it distinguishes Airflows that use the same app.
    :param map_index: -1 if the task is not mapped.
    :param number: Number of the current try, from 1.
    """
    mapped = "" if map_index < 0 else f"[{map_index}]"
    task = "/".join(part for part in (prefix, dag_id, task_id, run_id + mapped) if part).replace("\0", "")
    first = max(1, number - _MOST_TRIES)
    return Tries(_name(task, number), tuple(_name(task, one) for one in range(number - 1, first - 1, -1)))


def single_try(user: object) -> Tries:
    """Return the only try of something that is not a task.

    :param user: Its name.
    :raises DifyInputError: It is not text, or too long.
    """
    return Tries(checked_user(user))


def checked_user(user: object) -> str:
    """Return the name of a user of an app.

    :raises DifyInputError: It is not text, or too long.
    """
    name = inputs.text(user, "user")
    if len(name) > LONGEST_USER:
        raise DifyInputError(f"user has {len(name)} characters; Dify accepts at most {LONGEST_USER}.")
    return name


def _name(task: str, number: int) -> str:
    end = f"/try-{number}"
    if len(task) + len(end) <= LONGEST_USER:
        return task + end
    digest = hashlib.sha256(task.encode(errors="replace")).hexdigest()[:_HASH]
    return f"{task[: LONGEST_USER - len(end) - _HASH - 1]}/{digest}{end}"
