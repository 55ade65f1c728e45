"""Plain words: the glossary of this project, and the pages that keep to it.

Code is left out: blocks, `names` and what a page includes from docstrings.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages

#: What to find (a regular expression), and what to write instead.
INSTEAD = {
    r"mend(s|ed|ing)?": "fix",
    r"shall": "should, must, or the present tense",
    r"that there (is|are) not": "unknown, missing",
    r"such an? one": "it, one like that",
    r"in vain": "without effect",
    r"spends? no": "does not use",
    r"bears?|borne": "has, contains, tolerates",
    r"(switched|switches|switch|switching) (on|off)": "enabled, disabled",
    r"(a|the|each|every|first|last|next|newest|two|one|no) looks?": "check, read",
    r"(looked|looks|look) at first": "read first",
    r"(is|are) so already|they are so": "already is in the requested state",
    r"for ever": "forever",
    r"(yes|all|every\w*|nothing|none|no|unchanged), but for": "except",
    r"told (from|apart)": "distinguished from",
    r"what (came|comes|has come|becomes|became) of": "what happened to",
    r"in step with|(keep|keeps|kept|brought|brings?) in step": "in sync",
    r"namesakes?": "a document with the same name",
    r"anew": "again",
    r"wholly": "completely",
    r"side by side": "in parallel",
    r"where (nothing|none|nobody|no \w+) (is|are|was|were|has|have)": "if",
    r"stands? in the way": "is in the way",
    r"as a rule": "usually",
    r"thereof|therein|whereby|hence|thus": "a plainer sentence",
}
#: The changelog keeps the words in which a change was announced, and the results of the benchmark are generated.
#: Others have pages of their own to rewrite.
LATER = {"docs/benchmarks/results.md", "docs/changelog.md", "docs/architecture.md", "CONTRIBUTING.md"}
PAGES = [page for page in pages() if str(page.relative_to(ROOT)) not in LATER]


def prose(text: str) -> str:
    """The text without blocks and names of code, on one line for each paragraph."""
    text = re.sub(r"^ *(```+)[^\n]*\n.*?^ *\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", "`", text)
    return re.sub(r"(?<!\n)\n(?!\n|[#|*-]|\d\.)", " ", text)


def found(text: str) -> list[str]:
    """What should be written in another way, with the words around it."""
    return [
        f"…{text[max(0, match.start() - 30) : match.end() + 30]}… -> {better}"
        for pattern, better in INSTEAD.items()
        for match in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_plain_words(page: Path) -> None:
    assert found(prose(page.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "An error that no retry can mend.",
        "A field that there is not is created.",
        "It is switched\noff.",
        "The next\nlook is in 0.5 s.",
    ],
)
def test_a_word_of_the_glossary_is_found(text: str) -> None:
    assert found(prose(text))


def test_code_is_left_out() -> None:
    assert found(prose("Call `shall()`.\n\n```python\nshall = 1\n```\n\n  ```sh\n  mend\n  ```\n")) == []
