"""Metadata values as Dify stores them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.knowledge.metadata.fields import native, same
from tests.unit.metadata.describing import SEEN, SEEN_AT


@pytest.mark.parametrize(
    ("kind", "wanted", "present", "is_same"),
    [
        ("string", "7", "7", True),
        ("string", "7", 7, True),
        ("number", 7, "7", True),
        ("number", 7, 7.0, True),
        ("number", 7, "7.0", True),
        ("number", 0.1, "0.1", True),
        ("number", 2**70, str(2**70), True),
        ("number", 7, "seven", False),
        ("number", 7, "nan", False),
        ("number", 7, None, False),
        ("number", None, None, True),
        ("number", None, "7", False),
        ("time", SEEN, str(SEEN_AT), True),
        ("time", SEEN, f"{SEEN_AT}.0", True),
        ("time", SEEN, SEEN_AT + 1, False),
    ],
)
def test_same(kind: str, wanted: Any, present: Any, is_same: bool) -> None:
    assert same(kind, wanted, present) is is_same


@pytest.mark.parametrize(
    ("kind", "present", "value"),
    [("number", "7", 7), ("number", "0.5", 0.5), ("number", "seven", "seven"), ("number", "inf", "inf"),
     ("time", "1769859000.0", 1769859000.0), ("string", "7", "7"), ("number", 7, 7)],
)  # fmt: skip
def test_native(kind: str, present: Any, value: Any) -> None:
    assert native(kind, present) == value
    assert type(native(kind, present)) is type(value)
