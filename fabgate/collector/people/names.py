"""What may a name be, of a person, a machine, a group? One line of signs that people see, on pages, in lists and by command.

A sign that turns round what follows it, takes no room or moves a terminal makes one name look like another, and a name
that is found by nobody. Usually it came along with something that was copied.
"""

from __future__ import annotations

from typing import Final

#: Letters and symbols, as Unicode has them, that are drawn as nothing: Hangul's fillers, and Braille without a dot.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def line(text: str) -> str:
    """Return `text` on one line: whatever spaces, tabs and ends of lines stand in a row become one space."""
    return " ".join(text.split())


def unseen(text: str) -> str:
    """Return the first sign of a line that nobody sees, such as U+202E; nothing where each of them is seen."""
    return next((f"U+{ord(sign):04X}" for sign in text if sign in _BLANK or not sign.isprintable()), "")


def shown(text: str) -> str:
    """Return what was found as it can be shown: each sign that nobody sees by its number, such as [U+202E]."""
    return "".join(f"[{sign}]" if (sign := unseen(one)) else one for one in text)
