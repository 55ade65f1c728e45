"""The keyword table of an economy knowledge base: which words of a text find it, and how search ranks them."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

#: Maximum number of keywords of a segment, and of a query.
MOST_KEYWORDS = 10

#: Words that are never keywords; the real list is longer.
_STOP_WORDS = frozenset(
    {
        "the",
        "of",
        "is",
        "and",
        "to",
        "in",
        "that",
        "we",
        "for",
        "an",
        "are",
        "by",
        "be",
        "as",
        "on",
        "with",
        "can",
        "if",
        "from",
        "which",
        "you",
        "it",
        "this",
        "then",
        "at",
        "have",
        "all",
        "not",
        "one",
        "has",
        "or",
        "its",
    }
)
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])\w)+")


@lru_cache(maxsize=4096)
def keywords(text: str) -> tuple[str, ...]:
    """The words that find a text: its ten most frequent ones; the earlier one comes first if they are equally frequent.

    Dify uses jieba. The same are: words of one character and stop words do not count, case matters, and the limit is
    ten. Different are: jieba weighs Chinese words by how rare they are and splits them with its dictionary, while this
    uses every pair of neighbouring characters; jieba splits words at letters such as ``ü`` (recorded: ``Gr``, ``ln`` of
    ``Grüße aus Köln``), while this does not.
    """
    counts: Counter[str] = Counter()
    for token in _TOKEN.findall(text):
        counts.update(_words(token))
    return tuple(word for word, _ in counts.most_common(MOST_KEYWORDS))


def _words(token: str) -> list[str]:
    if re.match(rf"[{_CJK}]", token):
        return [token[index : index + 2] for index in range(len(token) - 1)]
    return [] if len(token) < 2 or token.lower() in _STOP_WORDS else [token]
