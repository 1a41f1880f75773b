"""Makes search keys of names: they are found without accents, and sorted as people expect."""

from __future__ import annotations

import unicodedata
from typing import Final

#: Letters that Unicode does not decompose; the last two are the dotless i and the apostrophe.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "\u2019": "'"}
)


def folded(text: str) -> str:
    """Return `text` in lower case without accents: ``Zoé Müller-Østergård`` becomes ``zoe muller-ostergard``.

    The result is cut to 300 characters: one character may become eighteen.
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(bare.translate(_PLAIN).split())[:300]
