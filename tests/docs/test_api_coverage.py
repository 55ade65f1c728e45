"""The page that says which operations of Dify's API the hook uses: complete, and true.

``operations.txt`` lists the operations of the Knowledge API, as Dify's reference has them.
"""

from __future__ import annotations

import re

import pytest

from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing.api.routes import ROUTES
from tests.docs.blocks import ROOT

OPERATIONS = (ROOT / "tests" / "docs" / "operations.txt").read_text().splitlines()
ROWS = re.findall(
    r"^\| `([A-Z]+ /\S+)` \| [^|]+ \| (.+) \|$", (ROOT / "docs" / "api-coverage.md").read_text(), re.MULTILINE
)
METHOD = re.compile(r"\{py:meth\}`DifyHook\.(\w+)`")
USED = [(operation, METHOD.findall(what)) for operation, what in ROWS if METHOD.search(what)]
TESTS = "".join(path.read_text() for path in (ROOT / "tests" / "unit").rglob("*.py"))
UUID = "5cd7dc6a-e446-4696-ad00-30036e58194e"


def test_every_operation_has_one_row() -> None:
    assert OPERATIONS
    assert sorted(operation for operation, _ in ROWS) == sorted(OPERATIONS)


@pytest.mark.parametrize(("operation", "what"), ROWS, ids=[operation for operation, _ in ROWS])
def test_each_is_used_or_left_out_for_a_reason(operation: str, what: str) -> None:
    rest = METHOD.sub("", what).replace(",", "").strip()
    assert not rest if METHOD.search(what) else rest == "not yet" or re.match(r"no: \w.{20,}", rest), operation


@pytest.mark.parametrize(("operation", "methods"), USED, ids=[operation for operation, _ in USED])
def test_what_is_used_exists_and_is_tested(operation: str, methods: list[str]) -> None:
    for method in methods:
        assert callable(getattr(DifyHook, method)), operation
        assert re.search(rf"\.{method}\b", TESTS), f"no test calls {method}"


@pytest.mark.parametrize("operation", [operation for operation, _ in USED])
def test_the_built_in_dify_answers_what_is_used(operation: str) -> None:
    method, path = operation.split()
    path = re.sub(r"\{(\w+)\}", lambda part: UUID if part[1].endswith("_id") else "text-embedding", path)
    fitting = [route for route in ROUTES if route.pattern.fullmatch("/v1" + path)]
    assert any(method in route.handlers for route in fitting)
