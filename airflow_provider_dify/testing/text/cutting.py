"""Splits a content into segments by a process rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What ``automatic`` stands for (1.16.0, file 27).
AUTOMATIC: Mapping[str, Any] = {
    "pre_processing_rules": [
        {"id": "remove_extra_spaces", "enabled": True},
        {"id": "remove_urls_emails", "enabled": False},
    ],
    "segmentation": {"delimiter": "\n", "max_tokens": 500, "chunk_overlap": 50},
}
#: Ends of sentences, at which a piece that is too long is split.
_SENTENCE_ENDS = ("\n", ". ", "! ", "? ", "。")


@dataclass(frozen=True)
class Rule:
    """A process rule.

    :param id: Id of its row in the database: documents that share a rule show the same one.
    :param mode: ``automatic``, ``custom`` or ``hierarchical``.
    :param rules: As Dify shows them.
    """

    id: str
    mode: str
    rules: Mapping[str, Any]

    @classmethod
    def of(cls, rule_id: str, given: Mapping[str, Any]) -> Rule:
        """The rule of a request, with Dify's defaults."""
        mode = str(given.get("mode", "automatic"))
        if mode == "automatic":
            return cls(rule_id, mode, AUTOMATIC)
        rules: dict[str, Any] = {"parent_mode": None, "subchunk_segmentation": None, **(given.get("rules") or {})}
        for name in ("segmentation", "subchunk_segmentation"):
            if isinstance(rules.get(name), dict):
                rules[name] = {"chunk_overlap": 0, **rules[name]}
        return cls(rule_id, mode, rules)

    @property
    def makes_parents(self) -> bool:
        """Whether it defines parents; otherwise a parent-child knowledge base gets no segments at all."""
        return bool(self.rules.get("parent_mode"))

    def cut(self, text: str, doc_form: str) -> list[str]:
        """The segments of a text: none if it is empty.

        A custom rule keeps the parts between its separators; the automatic one joins short paragraphs.
        """
        if not has_text(text) or (doc_form == "hierarchical_model" and not self.makes_parents):
            return []
        segmentation = self.rules.get("segmentation") or {}
        longest = int(segmentation.get("max_tokens") or 500)
        if self.rules.get("parent_mode") == "full-doc":
            return [text.strip()]
        if self.mode == "automatic":
            return _together(_short(text.split("\n\n"), longest), "\n\n", longest)
        separator = str(segmentation.get("separator") or segmentation.get("delimiter") or "\n\n")
        # In a JSON text people write the line break as two characters, which Dify corrects.
        parts = text.split(separator.replace("\\n", "\n"))
        return _short(parts, longest)

    def children(self, text: str) -> list[str]:
        """The child chunks of one parent."""
        segmentation = self.rules.get("subchunk_segmentation") or {}
        separator = str(segmentation.get("separator") or "\n").replace("\\n", "\n")
        return [part.strip() for part in text.split(separator) if part.strip()]


def has_text(text: str) -> bool:
    """Whether a text contains anything visible."""
    return re.search(r"[^\s\u200b-\u200f\u2060\ufeff]", text) is not None


def _short(parts: list[str], longest: int) -> list[str]:
    """The parts that contain text, each split into pieces that are short enough."""
    return [piece for part in parts for piece in _pieces(part.strip(), longest) if has_text(piece)]


def _pieces(text: str, longest: int) -> Iterator[str]:
    """Split a text after the last sentence that fits, otherwise after the last word, otherwise anywhere."""
    at = 0
    while len(text) - at > longest:
        window = text[at : at + longest + 1]
        end = max(window.rfind(end) + len(end) - 1 for end in _SENTENCE_ENDS)
        end = end if end > 0 else window.rfind(" ")
        size = end if end > 0 else longest
        yield text[at : at + size].strip()
        at += size
        while at < len(text) and text[at].isspace():
            at += 1
    yield text[at:]


def _together(parts: list[str], between: str, longest: int) -> list[str]:
    """Join neighbours as long as the result is short enough."""
    found: list[list[str]] = []
    size = 0
    for part in parts:
        size += len(between) + len(part)
        if found and size <= longest:
            found[-1].append(part)
        else:
            found.append([part])
            size = len(part)
    return [between.join(some) for some in found]
