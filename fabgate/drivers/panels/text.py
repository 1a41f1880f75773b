"""How is text shown on a display without accents?"""

from __future__ import annotations

import unicodedata
from typing import Final

from fabgate.display import COLUMNS, clean

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


def transliterate(text: str, columns: int = COLUMNS) -> str:
    """Return `text` in plain ASCII for a display without accents, in at most `columns` characters."""
    plain = unicodedata.normalize("NFKD", clean(text).translate(_BY_HAND))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return plain.encode("ascii", "replace").decode()[:columns]
