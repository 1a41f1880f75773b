"""How is a name written so that whoever types it without accents finds it, and lists are in the order people expect?"""

from __future__ import annotations

import unicodedata
from typing import Final

#: Letters that are no letter with a mark, as Unicode sees them; the last two are the dotless i and the apostrophe.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "\u2019": "'"}
)


def folded(text: str) -> str:
    """Return `text` in small letters without accents: ``Zoé Müller-Østergård`` is ``zoe muller-ostergard``.

    At most 300 letters: a sign can become eighteen of them.
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(bare.translate(_PLAIN).split())[:300]
