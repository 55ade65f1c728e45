"""A parameter has one default: that of the options, which the hook uses."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from tests.docs.test_completeness import operators

#: Operators with options.
KINDS = [kind for kind in operators() if any(map(is_dataclass, getattr(kind, "described_by", ())))]

#: What they only describe with the words of options: a change of metadata and a rollback have no options of their own.
OWN = {"DifyDocumentMetadataOperator": {"timeout", "batch_size"}, "DifyRollbackOperator": {"timeout"}}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_operator_has_the_defaults_of_its_options(kind: Any) -> None:
    given = {name: one.default for name, one in inspect.signature(kind).parameters.items()}
    options = {field.name: field.default for each in kind.described_by if is_dataclass(each) for field in fields(each)}
    shared = (given.keys() & options.keys()) - OWN.get(kind.__name__, set())
    assert shared
    assert {name: given[name] for name in shared} == {name: options[name] for name in shared}
