"""Every error text, in one table: ``error_texts.txt``.

Each block in it is an example of an error: its class, its cause, and advice and details. A sentence of the source that
is in no block fails a test, and so does a block that the source no longer contains.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_dify import exceptions
from airflow_provider_dify.exceptions import DifyError
from tests.unit.base import wording

TABLE = Path(__file__).with_name("error_texts.txt")
#: The class of texts that are not raised by themselves: the reason of one document, which reports and their errors
#: quote.
REASON = "reason"
LONGEST_CAUSE = 200
#: Sentences of the source that are never part of an error: they are for logs and pages, or for programmers.
NOT_ERRORS = frozenset(
    {
        "A request must be answered with a response.",
        "Killed. What is with Dify already stays there.",
        "Killed. What was changed so far stays as it is.",
        "Killed. What was changed so far stays as it is; a retry continues from there.",
        "Killed. What was changed so far stays; run the task again to continue from there.",
        "Killed. What was exported so far stays; run the task again to continue from there.",
        "Killed. No more questions are asked.",
        "Killed. Stopping the answer in Dify.",
        "Killed. Stopping the run in Dify.",
        "Killed. What was deleted so far stays deleted.",
        "the change of metadata",
        "str | int | float | datetime | None",
        "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None",
        "gets the new content, if it differs",
        "is in the way, and the content is refused",
        "stays, and a new version is created next to it",
        "stays, and a new version is created next to it, unless it exists, even disabled or archived",
        (
            "Knowledge base {} was created by a knowledge pipeline. Documents that are sent through the API bypass the "
            "pipeline: Dify splits them by its process rule instead."
        ),
        "{} could not be disabled again: {}.",
        "it is {}, and its content is the same",
        "document {} is {}, and its content differs",
        "its file is gone",
        "its flags or its metadata differ",
        "its content or its name differs",
        "it is not in the export",
        "Dry run: would delete",
        "Dry run: would index",
        "Dry run: would release",
        "Dry run: would sync",
        "another document stands for its file",
        "its indexing is paused",
        "{}; {}, so Dify cannot {} it",
        "it is out of use; an earlier run did not check search",
        "{} of unknown origin appeared after a run of this sync was interrupted, and will stay: {}{}.",
        "Knowledge base in Dify",
        " (a dry run: nothing was changed)",
        "{{ run_id }}{{ ' [%d]' % ti.map_index if ti.map_index >= 0 else '' }}",
        "DifyAgentHook needs apache-airflow-providers-common-ai. Install it.",
        "Use it as a context manager: 'async with DifyAsyncAppHook(...) as hook'.",
        "There is no manifest: the task to roll back has not run.",
        "Dify asked for {} s. {}",
        "A worker sends and receives files: that would hold up the event loop.",
        "hostname mismatch|doesn't match|not valid for",
        "certificate has expired|not yet valid",
        "failed to resolve|name or service|name resolution|nodename nor servname|getaddrinfo|no address associated",
        "connection refused|connection attempts failed",
        "tuple[asyncio.AbstractEventLoop, str, str, bool | str, frozenset[tuple[str, str]], Certificate | None]",
        "Settings hold the API key, and are never pickled. Read the connection again.",
        "DifyDocumentsAvailableTrigger is for asset watchers, which Airflow has since 3.0.",
        "What fired for Dify knowledge base %s cannot be kept, and nothing fires until it can: %s",
        "Equal triggers watch for several assets, so what fired is not kept over a restart (%s).",
        "the key can access the app '{}'",
        "Log of the app in Dify",
        "A start needs its inputs.",
        "is JSON that fits the schema",
    }
)


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
def test_the_source_still_says_it(example: Example) -> None:
    assert any(wording.says(example.text, one) for one in SENTENCES if one not in NOT_ERRORS)


def test_what_is_no_error_is_in_the_source() -> None:
    assert set(SENTENCES) >= NOT_ERRORS


def test_each_class_that_is_raised_is_shown() -> None:
    shown = {example.kind for example in EXAMPLES} - {REASON}
    abstract = {"DifyError", "DifyReportError", "DifyRequestError"}
    kinds = {name for name, kind in vars(exceptions).items() if isinstance(kind, type) and issubclass(kind, DifyError)}
    assert kinds - shown - abstract == set()
