"""How does text fit a small display? Cleaned, cut with an ellipsis, and without accents where it has none."""

from __future__ import annotations

import unicodedata
from typing import Final

from fabgate.drivers.panels import COLUMNS

ELLIPSIS: Final = "…"
#: What no decomposition of Unicode gives; each is what a person would write by hand.
_BY_HAND: Final = str.maketrans(
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
        "’": "'",  # noqa: RUF001 - the apostrophe that phones write
        "‘": "'",  # noqa: RUF001
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "–": "-",  # noqa: RUF001
        "—": "-",
        "×": "x",  # noqa: RUF001
        "…": ".",  # one place on the display, like the ellipsis
    }
)


def clean(text: str) -> str:
    """Return `text` on one line, composed, without what no display shows (controls, joiners, direction marks)."""
    shown = "".join(" " if char.isspace() else char for char in unicodedata.normalize("NFC", text))
    return " ".join("".join(char for char in shown if unicodedata.category(char)[0] != "C").split())


def cut(text: str, columns: int = COLUMNS) -> str:
    """Return `text`, cleaned, in at most `columns` characters; what is longer ends in an ellipsis."""
    text = clean(text)
    if len(text) <= columns:
        return text
    return text[: columns - 1].rstrip() + ELLIPSIS if columns > 0 else ""


def transliterate(text: str, columns: int = COLUMNS) -> str:
    """Return `text` in plain ASCII for a display without accents, in at most `columns` characters."""
    plain = unicodedata.normalize("NFKD", clean(text).translate(_BY_HAND))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return plain.encode("ascii", "replace").decode()[:columns]
