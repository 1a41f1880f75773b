"""What is every message made of, and how does it become bytes?"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from fabgate.errors import UsageError

#: JSON readers and databases may not represent larger numbers.
MAX_NUMBER: Final = 1 << 53
#: No session takes more: 100 kW for a year.
MAX_ENERGY_WH: Final = 1_000_000_000
#: No session lasts longer than a year: the rules allow 31 days, and 31 more for a job to end (``MAX_SECONDS`` of
#: ``machine_rules``).
MAX_DURATION_MS: Final = 366 * 86_400_000
MAX_ID: Final = 64
MAX_TEXT: Final = 200
# The types of fields in a gate's messages, which decoding checks. A plain ``str`` is only shown.
Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
EnergyWh = Annotated[int, Meta(ge=0, le=MAX_ENERGY_WH)]
DurationMs = Annotated[int, Meta(ge=0, le=MAX_DURATION_MS)]
Id = Annotated[str, Meta(max_length=MAX_ID)]
SessionId = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]  # not empty: it is part of a page's address
JournalId = Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,64}$(?!\n)")]  # "$" would also match before a line end
Text = Annotated[str, Meta(max_length=MAX_TEXT)]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all messages: unknown fields are ignored, absent optional fields stay absent."""


_ENCODER = msgspec.json.Encoder()
_DECODERS: dict[type[Struct], msgspec.json.Decoder[Any]] = {}
S = TypeVar("S", bound=Struct)


def encode(message: Struct) -> bytes:
    """Return the JSON bytes of any message of this package."""
    return _ENCODER.encode(message)


def decode(body: bytes, kind: type[S]) -> S:
    """Decode a message. Raises UsageError naming what is wrong and where, and no other error."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        message: S = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"found a message that is not a valid {kind.__name__}: {error}") from None
    return message
