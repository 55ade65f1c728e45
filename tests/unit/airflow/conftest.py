"""A Dify on which a task of every kind works."""

from __future__ import annotations

import pytest

from airflow_provider_dify.testing import FakeDify
from airflow_provider_dify.testing.pytest_plugin import DifyFactory


@pytest.fixture
def dify(dify_factory: DifyFactory) -> FakeDify:
    return dify_factory(version="1.18.0")
