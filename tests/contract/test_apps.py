"""The simulator runs apps as a real Dify did, exchange by exchange and at the same times."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from airflow_provider_dify.testing import FakeDify, Run, VirtualClock
from airflow_provider_dify.testing.text.uploads import Upload
from tests.contract.apps.timeline import FILES, Timeline
from tests.contract.coverage import reason_left_out
from tests.contract.recordings import UUID, Record, recorded

#: Seconds by which requests of file 41 come later: Q and W had another worker than the requests at the same time, and I
#: a process that took this long to start.
LATER = {r"^Q:": 20.0, r"^W:": 400.0, r"^I: blocking": 0.55}


def nothing(timeline: Timeline, record: Record) -> None:
    """Everything is as the earlier requests left it."""


def stops(timeline: Timeline, record: Record) -> None:
    """41: whose worker or process ended, and the limits of the processes that were started for it."""
    engine, case = timeline.dify.apps.engine, record.case
    engine.app_max_execution_time = 12.0 if case.startswith(("H:", "I:")) else 1200.0
    engine.workflow_max_execution_time = 8.0 if case.startswith(("M:", "S:", "T:", "U:")) else 1200.0
    engine.stops_by = "queue" if case.startswith("B: stop") else "engine"


def limits(timeline: Timeline, record: Record) -> None:
    """42: settings of apps."""
    apps = timeline.apps
    if record.case.startswith("limit"):
        apps["limited"].max_active_requests = 2 if "limit 2" in record.case else 1
    if "Too many requests" in record.answer:
        timeline.ids[re.findall(UUID, record.answer)[0]] = apps["limited"].id
    apps["echo"].api_enabled = "enable_api false" not in record.case


def files(timeline: Timeline, record: Record) -> None:
    """44: the image whose upload was not recorded."""
    if record.case == "an image called a document":
        [recorded_id] = timeline.unknown(record)
        dify, app = timeline.dify, timeline.apps["echo"]
        image = dify.apps.files.store(Upload("file", "a.png", b"", "image/png"), app.end_user("af-files"))
        timeline.ids[recorded_id] = image.id


def earlier_runs(timeline: Timeline, record: Record) -> None:
    """45: runs that are in other files."""
    if record.case.startswith("setup: run 0 of the user"):
        _run_before(timeline, "fail", 2, "airflow", text="x")
        _run_before(timeline, "echo", 15, "airflow", text="x")
    elif record.case == "created_at__after 30 s ago, naive":
        _run_before(timeline, "slow", 7, "u-V4", secs=0, secs2=0)


def _run_before(timeline: Timeline, name: str, number: int, user: str, **inputs: object) -> None:
    app = timeline.apps[name]
    runs = [Run(app, user=user, inputs={"tag": None, **inputs}, blocking=True) for _ in range(number)]
    for run in runs:
        app.engine.submit(run)
    timeline.pass_time(0.1)


SCENARIOS: dict[str, Callable[[Timeline, Record], None]] = {
    "41_workflow_stop_and_get": stops,
    "42_workflow_errors": limits,
    "44_files_and_app_info": files,
    "45_workflow_logs": earlier_runs,
}


def deaths(timeline: Timeline) -> None:
    """41: when workers and processes ended, and came back."""
    worker = timeline.dify.worker
    timeline.events += [
        (timeline.at("J: blocking") + 1.05, timeline.dify.restart),
        (timeline.at("K: streaming") + 1.2, worker.kill),
        (timeline.at("L: logs by user, a worker came back 30 s ago") + 7.6, worker.start),
        (timeline.at("Q: streaming") + 1.4, worker.stop),
        (timeline.at("Q: GET") + 0.1, worker.start),
        (timeline.at("W: streaming") - 1.0, worker.stop),
    ]


@pytest.mark.parametrize("file", FILES)
def test_recorded_exchanges_with_apps(file: str) -> None:
    records = recorded("1.16.0", file)
    clock = VirtualClock(start=min(record.at for record in records))
    with FakeDify(clock=clock, lock_race="never") as dify:
        dify.holds_clock = True
        timeline = Timeline(dify, file, LATER if file.startswith("41") else {})
        if file.startswith("41"):
            deaths(timeline)
        timeline.play(SCENARIOS.get(file, nothing))
    assert not timeline.problems, "\n".join(timeline.problems)
    assert timeline.sent == sum(reason_left_out(record) is None for record in records)
