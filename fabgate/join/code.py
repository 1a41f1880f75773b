"""The code that a person reads on a page and types at the gate, such as ``K7QF-2M9X-4T``.

The first two characters are its *name*, which travels in the clear. The other eight are its *secret*, 40 bits, which never
leave either side. The alphabet is Crockford's base 32 (https://www.crockford.com/base32.html): no I, L, O and U.
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from fabgate.errors import UsageError

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NAME_LENGTH: Final = 2
SECRET_LENGTH: Final = 8
_LENGTH: Final = NAME_LENGTH + SECRET_LENGTH
#: What people type for the character that they see.
_MEANT: Final = str.maketrans("OILU", "011V")
_EXAMPLE: Final = "such as K7QF-2M9X-4T"


@dataclass(frozen=True, slots=True)
class Code:
    """A code; its text is not shown by accident."""

    name: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """Return the code as people read it."""
        whole = self.name + self.secret
        return "-".join((whole[:4], whole[4:8], whole[8:]))


def new_name() -> str:
    """Return a name by chance; the caller sees to it that no other code has it."""
    return _by_chance(NAME_LENGTH)


def new_secret() -> str:
    """Return a secret by chance."""
    return _by_chance(SECRET_LENGTH)


def parse(text: str) -> Code:
    """Return the code that a person typed. Small letters, blanks, any dashes and look-alikes are forgiven.

    Raises UsageError, which does not repeat what was typed: it may be most of a secret.
    """
    typed = [sign for sign in text.strip() if not sign.isspace() and unicodedata.category(sign) != "Pd"]
    meant = "".join(typed).upper().translate(_MEANT)
    strange = [sign for sign in meant if sign not in ALPHABET]
    if strange:
        raise UsageError(f"found the character {strange[0]!r} in the code, wanted letters and digits only, {_EXAMPLE}")
    if len(meant) != _LENGTH:
        raise UsageError(f"found a code of {len(meant)} characters, wanted {_LENGTH}, {_EXAMPLE}")
    return Code(meant[:NAME_LENGTH], meant[NAME_LENGTH:])


def _by_chance(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
