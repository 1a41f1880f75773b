"""Checks names of people, machines and groups: one line of visible characters.

Characters that reverse the following text, have no width or move a terminal's cursor make different names look the
same, and names impossible to find. They usually come from copied text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

#: letters and symbols that Unicode draws as nothing: the Hangul fillers, and Braille without dots
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def line(text: str) -> str:
    """Return `text` on one line: each run of spaces, tabs and line breaks becomes one space."""
    return " ".join(text.split())


def unseen(text: str) -> str:
    """Return the first invisible character in `text`, such as U+202E; "" if there is none."""
    return next((f"U+{ord(sign):04X}" for sign in text if sign in _BLANK or not sign.isprintable()), "")


def shown(text: str) -> str:
    """Return the text with each invisible character replaced by its number, such as [U+202E]."""
    return "".join(f"[{sign}]" if (sign := unseen(one)) else one for one in text)


def similar_ids(typed: str, known: Iterable[str], most: int) -> list[str]:
    """Return at most `most` ids, or names, that look like `typed` and have its digits: another number is another person."""
    return difflib.get_close_matches(typed, [one for one in known if _digits(one) == _digits(typed)], most)


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))
