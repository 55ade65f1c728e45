"""The simulator responds as a real Dify did, exchange by exchange."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_dify.testing import FakeDify, VirtualClock
from tests.contract import scenarios, scenarios_documents, scenarios_recent
from tests.contract.apps.timeline import FILES as APP_FILES
from tests.contract.coverage import LEFT_OUT, reason_left_out
from tests.contract.recordings import VERSIONS, all_exchanges, files
from tests.contract.replay import Replay, Scenario

#: Files that the tests with a live server recorded.
LIVED = ("03_batches", "04_actions_ids_auth", "05_list_documents", "07_create_update_delete", "09_metadata")
#: Files of 1.16.0 that need something else than :class:`scenarios_recent.Recent`, which plays all others.
SPECIAL: list[tuple[tuple[str, ...], Callable[[str], Scenario]]] = [
    *(((file,), lambda _: scenarios_recent.Lived()) for file in LIVED),
    (("20_dataset_maintainer", "21_economy_keyword_table_race"), lambda _: scenarios_recent.KeywordRace()),
    (("22_hierarchical_automatic",), lambda _: scenarios_recent.Vectors()),
    (("23_high_quality_added_twice",), lambda _: scenarios_recent.Vectors()),
    (("24_high_quality_actions",), lambda _: scenarios_recent.Vectors()),
    (("30_settings",), lambda _: scenarios_recent.Settings()),
]
OTHERS = sorted({*files("1.16.0")} - {file for group, _ in SPECIAL for file in group} - {*APP_FILES})
RECENT = [*SPECIAL, *(((file,), lambda _: scenarios_recent.Recent()) for file in OTHERS)]
#: Files of the older versions that are played one after the other on one simulator, and how to create their states.
SCENARIOS: list[tuple[tuple[str, ...], Callable[[str], Scenario]]] = [
    (("01_actions",), lambda _: scenarios.Actions()),
    (("01_stale_lock",), lambda _: Scenario()),
    (("02_action_combinations",), lambda _: scenarios.Combinations()),
    (("02_not_completed",), lambda _: scenarios.NotCompleted()),
    (("03_batches", "03_poisoned_batches", "04_actions_ids_auth"), scenarios.Batches),
    (("05_list_documents",), lambda _: scenarios_documents.Lists()),
    (("06_indexing_errors",), lambda _: scenarios_documents.Errors()),
    (("06_indexing_status",), lambda _: scenarios_documents.Polling()),
    (("07_create_update_delete",), lambda _: scenarios_documents.Creation()),
    (("07_worker_killed",), lambda _: scenarios_documents.Creation()),
    (("08_namesakes_retrieve", "09_metadata"), lambda _: scenarios_documents.Metadata()),
    (("10_batch_sizes",), lambda _: scenarios.BatchSizes()),
    (("11_worker_or_broker_down",), lambda _: scenarios.Down()),
    (("12_nginx",), lambda _: scenarios.Nginx()),
    (("13_lock_expiry",), lambda _: scenarios.LockExpiry()),
    (("14_same_id_twice",), lambda _: scenarios.SameIdTwice()),
    (("15_connections",), lambda _: scenarios_documents.ReallyIndexing()),
]
PLAYS = [
    pytest.param(version, group, make, id=f"{version}-{group[0]}")
    for version in VERSIONS
    for group, make in (RECENT if version == "1.16.0" else SCENARIOS)
    if set(group) <= set(files(version))
]
#: The worker of the older recordings ran one job at a time, that of 1.16.0 four. In these two files an archiving
#: finished while a text was still being indexed.
JOBS = {"11_worker_or_broker_down": 2, "15_connections": 2}


@pytest.mark.parametrize(("version", "group", "make"), PLAYS)
def test_recorded_exchanges(version: str, group: tuple[str, ...], make: Callable[[str], Scenario]) -> None:
    race = "always" if group == ("13_lock_expiry",) else "never"
    jobs = JOBS.get(group[0], 4 if version == "1.16.0" else 1)
    with FakeDify(clock=VirtualClock(), version=version, lock_race=race, jobs=jobs) as dify:  # type: ignore[arg-type]
        replay, scenario = Replay(dify), make(version)
        for file in group:
            replay.play(version, file, scenario)
        replay.wire.close()
    expected = [one for one in all_exchanges() if (one.version, one.file) in {(version, file) for file in group}]
    assert not replay.problems, "\n".join(replay.problems)
    assert replay.sent == sum(reason_left_out(one) is None for one in expected)


def test_every_recorded_exchange_is_replayed_or_left_out_for_a_reason() -> None:
    played = {(param.values[0], file) for param in PLAYS for file in param.values[1]}  # type: ignore[union-attr]
    played |= {("1.16.0", file) for file in APP_FILES}
    lost = [str(one) for one in all_exchanges() if (one.version, one.file) not in played]
    assert lost == []


@pytest.mark.parametrize("rule", LEFT_OUT, ids=lambda rule: f"{rule.file} {rule.case}")
def test_no_reason_is_given_for_nothing(rule: object) -> None:
    assert any(rule.fits(one) for one in all_exchanges())  # type: ignore[attr-defined]
