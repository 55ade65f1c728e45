"""The same contract with a Dify that really runs, where ``DIFY_BASE_URL`` and ``DIFY_API_KEY`` lead to one.

``DIFY_BASE_URL`` ends in ``/v1``. The key needs the right to create and delete knowledge bases.
"""

from __future__ import annotations

import os

import pytest

from airflow_provider_dify.testing import FakeDify, SystemClock
from tests.contract.live import CASES, Live, cases

URL, KEY = os.environ.get("DIFY_BASE_URL", ""), os.environ.get("DIFY_API_KEY", "")


@pytest.mark.skipif(not (URL and KEY), reason="DIFY_BASE_URL and DIFY_API_KEY lead to no Dify")
def test_a_live_dify_answers_as_recorded() -> None:
    live = Live(URL, KEY)
    live.play("1.14.1")
    assert not live.problems, "\n".join(live.problems)


def test_what_is_asked_of_a_live_dify_holds_for_the_simulator() -> None:
    with FakeDify(version="1.14.1", clock=SystemClock(), lock_race="never") as dify:
        dify.worker.seconds_per_document = dify.worker.seconds_per_segment = 0.0
        live = Live(dify.base_url, dify.api_key)
        live.play("1.14.1")
        assert not live.problems, "\n".join(live.problems)
        assert live.sent == sum(1 for file in CASES for _ in cases("1.14.1", file)) > 80
        assert dify.world.datasets == {}
