"""Badges: their kinds, their canonical form, all spellings, and the keyed digest that is used instead of the badge.

``kinds`` says what a badge is, ``spelling`` how people and programs write it, ``short_forms`` what some readers make of it,
and ``wiegand_frames`` the bits on a line. A gate that needs neither of the last two does not import them.
"""

from __future__ import annotations

from fabgate.badge.kinds import (
    CASCADE_TAG,
    DIGEST_BYTES,
    NUMBERS,
    UID_LENGTHS,
    WIEGAND_PAYLOAD_BITS,
    Badge,
    Kind,
    NumberFormat,
    RandomUidError,
    digest,
    from_uid,
    key_mark,
    number,
    wiegand,
)
from fabgate.badge.spelling import PREFIXES, AmbiguousError, example, parse, spellings

__all__ = [
    "CASCADE_TAG",
    "DIGEST_BYTES",
    "NUMBERS",
    "PREFIXES",
    "UID_LENGTHS",
    "WIEGAND_PAYLOAD_BITS",
    "AmbiguousError",
    "Badge",
    "Kind",
    "NumberFormat",
    "RandomUidError",
    "digest",
    "example",
    "from_uid",
    "key_mark",
    "number",
    "parse",
    "spellings",
    "wiegand",
]
