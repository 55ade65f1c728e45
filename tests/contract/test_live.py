"""The same contract with a real Dify, if ``DIFY_BASE_URL`` and ``DIFY_API_KEY`` are set.

``DIFY_BASE_URL`` ends in ``/v1``. The key must be allowed to create and delete knowledge bases.
"""

from __future__ import annotations

import os

import pytest

from airflow_provider_dify.testing import FakeDify, SystemClock
from tests.contract.live import Live, cases, files, recorded_version
from tests.contract.recordings import VERSIONS

URL, KEY = os.environ.get("DIFY_BASE_URL", ""), os.environ.get("DIFY_API_KEY", "")


@pytest.mark.skipif(not (URL and KEY), reason="DIFY_BASE_URL and DIFY_API_KEY lead to no Dify")
def test_a_live_dify_answers_as_recorded() -> None:
    live = Live(URL, KEY)
    live.play(recorded_version(URL))
    assert not live.problems, "\n".join(live.problems)
    assert live.sent > 60


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_asked_of_a_live_dify_holds_for_the_simulator(version: str) -> None:
    with FakeDify(version=version, clock=SystemClock(), lock_race="never") as dify:
        dify.worker.seconds_per_document = dify.worker.seconds_per_segment = 0.0
        assert recorded_version(dify.base_url) == version
        live = Live(dify.base_url, dify.api_key)
        live.play(version)
        assert not live.problems, "\n".join(live.problems)
        assert live.sent == sum(1 for file in files(version) for _ in cases(version, file)) > 60
        assert dify.world.datasets == {}
