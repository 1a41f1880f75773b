"""Badges: their kinds, their canonical form, all spellings, and the keyed digest that is used instead of the badge.

``kinds`` says what a badge is, ``spelling`` how people and programs write it, ``short_forms`` what some readers make of it.
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
    number,
    wiegand,
)
from fabgate.badge.short_forms import SHORT_FORMS, ShortForm, read_names, short_digests
from fabgate.badge.spelling import PREFIXES, AmbiguousError, example, parse, spellings
from fabgate.badge.wiegand_frames import from_wiegand_frame, wiegand_frame

__all__ = [
    "CASCADE_TAG",
    "DIGEST_BYTES",
    "NUMBERS",
    "PREFIXES",
    "SHORT_FORMS",
    "UID_LENGTHS",
    "WIEGAND_PAYLOAD_BITS",
    "AmbiguousError",
    "Badge",
    "Kind",
    "NumberFormat",
    "RandomUidError",
    "ShortForm",
    "digest",
    "example",
    "from_uid",
    "from_wiegand_frame",
    "number",
    "parse",
    "read_names",
    "short_digests",
    "spellings",
    "wiegand",
    "wiegand_frame",
]
