"""Guesses why a value is invalid: a sentence for the end of an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

#: Maximum length of a text that is compared with known names.
_LONGEST = 60
_NOTHING = frozenset({"none", "null"})
_SPECIAL = re.compile(r"[/\\:{}*?\[\]]|\*\*\*")
#: Looks like an id with missing or additional characters.
_NEARLY_AN_ID = re.compile(r"[0-9a-f{}-]{20,}|.*[0-9a-f]{8}-[0-9a-f]{4}-.*", re.IGNORECASE | re.DOTALL)


def why(value: object) -> str:
    """Guess what happened to a value, as a sentence after a blank; empty if there is no sign."""
    text = value.strip() if isinstance(value, str) else value
    if text is None or (isinstance(text, str) and text.lower() in _NOTHING):
        return " It is missing, or an upstream task returned nothing."
    if text == "":
        return " A template rendered to nothing, or an upstream task returned an empty text."
    if isinstance(text, str) and ("{{" in text or "{%" in text):
        return " A template was not rendered: Airflow renders only templated parameters, once."
    return ""


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """Suggest a similar name, as a sentence after a blank; empty if there is none."""
    if not isinstance(value, str) or not 1 < len(value) <= _LONGEST:
        return ""
    by_form = {name.casefold(): name for name in names}
    found = get_close_matches(value.strip().casefold(), by_form, n=1)
    return f" Did you mean '{by_form[found[0]]}'?" if found else ""


def is_a_name(text: str) -> bool:
    """Whether a text that is not an id is probably the name of something."""
    return 0 < len(text) <= _LONGEST and not _SPECIAL.search(text) and not _NEARLY_AN_ID.fullmatch(text)
