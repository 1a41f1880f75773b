"""What readers have in common that only send: text that becomes a badge, and which frame of a poll counts."""

from __future__ import annotations

from fabgate.badge import RandomUidError, printed
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import UsageError


def card_of(text: str, format_name: str) -> Card | Misread:
    """Return the card of text in a format of ``fabgate.badge.printed``; a Misread for text that is not of this format."""
    try:
        return Card.of(printed.read(text, format_name))
    except RandomUidError:
        return Misread(MisreadReason.RANDOM_UID)
    except UsageError:
        return Misread(MisreadReason.TORN)


def newer(found: Card | Misread | None, later: Card | Misread | None) -> Card | Misread | None:
    """Return which of two frames of one poll counts: the later badge. Noise after a frame hides no badge."""
    return later if later is not None and not (isinstance(found, Card) and isinstance(later, Misread)) else found
