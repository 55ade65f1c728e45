"""Workers are killed at random points of their code: still each item runs exactly once."""

from __future__ import annotations

import pytest

from airflow_provider_dify.testing import FakeDify
from tests.unit.apps.sigkills import GREEN, assert_each_once, kill_and_retry


@pytest.mark.program
def test_killed_workers_start_no_second_run() -> None:
    with FakeDify() as dify:
        app, tally = kill_and_retry(dify, items=3, kills=6, seed=7, workers=1)
        assert_each_once(app, 3)
    assert tally.killed >= 1
    assert tally.ended[GREEN] == 3
