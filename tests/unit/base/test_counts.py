"""What logs and errors say is right for one item, too."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_dify import knowledge
from airflow_provider_dify.exceptions import DifyReportError
from airflow_provider_dify.knowledge.report import DocumentReport, Report
from airflow_provider_dify.knowledge.text.counts import duration, if_one, number_of, part_of

_THINGS = "documents|files|queries|inputs|settings|answers|chunks|steps|tokens|contents"
_WRONG = re.compile(rf"\b1 ({_THINGS})\b|\b(are|were|they|their)\b")


def reports(kind: type[Report[Any, Any]] = Report) -> Iterator[type[Report[Any, Any]]]:
    """Yield each class of reports."""
    for child in kind.__subclasses__():
        if hasattr(child, "kind"):
            yield child
        yield from reports(child)


for module in pkgutil.walk_packages(knowledge.__path__, f"{knowledge.__name__}."):
    importlib.import_module(module.name)
BAD = [(kind, outcome) for kind in reports() for outcome in kind.kind if not outcome.good]


@pytest.mark.parametrize(("kind", "outcome"), BAD, ids=lambda one: getattr(one, "__name__", None))
def test_the_error_of_one_item(kind: Any, outcome: Any) -> None:
    entry = SimpleNamespace(name="a.md", outcome=outcome, document_id="1", error=None)
    needed = [field for field in fields(kind) if field.default is field.default_factory is MISSING]
    given = {field.name: (entry,) if str(field.type).startswith("tuple") else "x" for field in needed}
    given |= {"outcome": outcome} if "outcome" in given else {}
    given |= {outcome.value: ("1",)} if issubclass(kind, DocumentReport) else {}
    with pytest.raises(DifyReportError) as caught:
        kind(**given).raise_for_outcomes()
    assert not _WRONG.search(str(caught.value))


def test_every_report_is_tested() -> None:
    assert len({kind for kind, _ in BAD}) > 8


def test_words_for_numbers() -> None:
    assert [number_of(n) for n in (0, 1, 2, 1000)] == ["0 documents", "1 document", "2 documents", "1,000 documents"]
    assert [number_of(n, "query", "queries") for n in (1, 2)] == ["1 query", "2 queries"]
    assert [part_of(1, n, "file") for n in (1, 3)] == ["1 of 1 file", "1 of 3 files"]
    assert [if_one(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]
    assert [duration(n) for n in (0.5, 900, 604_800, 604_799.5)] == ["0.5 s", "900 s", "7 days", "7 days"]
