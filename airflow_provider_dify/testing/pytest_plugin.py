"""The pytest fixture ``dify``, registered by installing ``airflow-provider-dify[testing]``.

Importing this costs next to nothing, since pytest does so wherever the package is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_dify.testing.fake import FakeDify


@pytest.fixture
def dify(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDify]:
    """A running :class:`~airflow_provider_dify.testing.FakeDify` whose clock is this provider's clock.

    Waiting takes no time: what the provider sleeps is listed in ``dify.clock.slept``. The connection ``dify_default``
    leads to it, through the environment.
    """
    from airflow_provider_dify.testing.fake import FakeDify

    with FakeDify() as running:
        monkeypatch.setattr("airflow_provider_dify.transport.clock.clock", running.clock)
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", running.airflow_connection())
        yield running
