"""Every text of an error, in one table: ``error_texts.txt``.

Each block there is an example of one: its class, its cause, and what to do and details. A sentence of the source that
is in no block fails a test, and so does a block that the source no longer says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_dify import exceptions
from airflow_provider_dify.exceptions import DifyError
from tests.unit.base import wording

TABLE = Path(__file__).with_name("error_texts.txt")
#: The class of what is not raised by itself: the reason of one document, which reports and their errors quote.
REASON = "reason"
LONGEST_CAUSE = 200
#: Sentences of the source that are never part of an error: they are for logs and pages, or for programmers.
NOT_ERRORS = frozenset(
    {
    }
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """An error as a user sees it."""

    kind: str
    lines: tuple[str, ...]

    @property
    def cause(self) -> str:
        return self.lines[0]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


def read_table() -> list[Example]:
    blocks = TABLE.read_text().split("\n\n")
    found = [block.strip().splitlines() for block in blocks if block.strip() and not block.startswith("#")]
    return [Example(kind, tuple(line.strip() for line in lines)) for kind, *lines in found]


EXAMPLES = read_table()
SENTENCES = wording.sentences()


@pytest.mark.parametrize("sentence", [one for one in SENTENCES if one not in NOT_ERRORS])
def test_the_table_shows_each_sentence(sentence: str) -> None:
    shown = any(wording.says(example.text, sentence) for example in EXAMPLES)
    assert shown, f"{SENTENCES[sentence]} may say this, and no block of {TABLE.name} shows it: {sentence}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.cause[:50])
def test_each_starts_with_a_short_cause(example: Example) -> None:
    assert len(example.cause) < LONGEST_CAUSE
    assert example.kind == REASON or issubclass(getattr(exceptions, example.kind), DifyError)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.cause[:50])
def test_the_source_says_each_line(example: Example) -> None:
    said = [one for one in SENTENCES if one not in NOT_ERRORS and wording.says(example.text, one)]
    parts = [max(one.split("{}"), key=len).strip() for one in said]
    for line in example.lines:
        assert any(part in line or line in part for part in parts)


def test_what_is_no_error_is_in_the_source() -> None:
    assert set(SENTENCES) >= NOT_ERRORS


def test_each_class_that_is_raised_is_shown() -> None:
    shown = {example.kind for example in EXAMPLES} - {REASON}
    abstract = {"DifyError", "DifyRequestError"}
    kinds = {name for name, kind in vars(exceptions).items() if isinstance(kind, type) and issubclass(kind, DifyError)}
    assert kinds - shown - abstract == set()
