"""What all of it left behind in files and in the database: no key, and no word of a triggerer that was held up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.system.standalone import Airflow
from tests.system.tally import Tally

#: The assertion that a busy machine can break.
NOT_BLOCKED = "no trigger held up the triggerer"
#: Seconds for which Airflow lets a trigger block the event loop without a warning.
_ALLOWED = 0.2
_BLOCKED = re.compile(r"async thread was blocked for ([\d.]+) seconds")


def _files_with(airflow: Airflow, text: str) -> list[Path]:
    return [path for path in airflow.home.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def check_traces(tally: Tally, airflow: Airflow, key: str, known: str) -> None:
    """Search everything that is left of an Airflow that was stopped.

    :param key: What is to be nowhere.
    :param known: What is there for sure, to see that the search finds something.
    """
    tally.tell("What is left behind")
    with_key = _files_with(airflow, key)
    tally.check("the search finds what is there", bool(_files_with(airflow, known)))
    tally.check("no file holds the key, be it a log or the database", not with_key, with_key)
    tables = {table for table, text in airflow.database.texts() if key in text}
    tally.check("nor does any table, or the arguments of a trigger", not tables, tables)
    logs = {path: path.read_text(errors="replace") for path in airflow.logs()}
    tally.check("there are logs of triggers", any(".trigger." in path.name for path in logs), list(logs))
    blocked = [float(seconds) for text in logs.values() for seconds in _BLOCKED.findall(text)]
    collections = airflow.collections()
    by_triggers = _without_collections(blocked, collections)
    tally.check(
        NOT_BLOCKED, not by_triggers, f"blocked for {blocked} s, of which the garbage collector {collections} s"
    )


def _without_collections(blocked: Iterable[float], collections: Iterable[float]) -> list[float]:
    """Return the times that a run of the garbage collector does not explain; each run explains one of them.

    A full collection stops the event loop for as long as Airflow's own objects take to be visited, wherever it falls.
    """
    left, unexplained = sorted(collections), []
    for seconds in sorted(blocked, reverse=True):
        if left and seconds - left[-1] <= _ALLOWED:
            left.pop()
        else:
            unexplained.append(seconds)
    return unexplained
