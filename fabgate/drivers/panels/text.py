"""Converts text for a display without accents."""

from __future__ import annotations

import unicodedata
from typing import Final

from fabgate.display import COLUMNS, clean

#: Characters that Unicode does not decompose, with what a person would write instead.
_REPLACEMENTS: Final = str.maketrans(
    {
        "œ": "oe",
        "Œ": "OE",
        "æ": "ae",
        "Æ": "AE",
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "€": "EUR",
        "£": "GBP",
        "’": "'",  # noqa: RUF001 - the apostrophe that phones write
        "‘": "'",  # noqa: RUF001
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "–": "-",  # noqa: RUF001
        "—": "-",
        "×": "x",  # noqa: RUF001
        "…": ".",  # one character, like the ellipsis
    }
)


def transliterate(text: str, columns: int = COLUMNS) -> str:
    """Return `text` in plain ASCII for a display without accents, in at most `columns` characters."""
    plain = unicodedata.normalize("NFKD", clean(text).translate(_REPLACEMENTS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return plain.encode("ascii", "replace").decode()[:columns]


def apart(line: str) -> tuple[str, str]:
    """Return the two parts of a line that have more than one space between them: the second one ends at the right edge."""
    left, _, right = line.partition("  ")
    return left, right.strip()
