"""What readers have in common that only send: text that becomes a badge, and how long it counts as still there."""

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


class Afterglow:
    """Lets a badge count as there for a while after it was sent, so that its repetition is not another tap."""

    def __init__(self, gone_after_ms: int) -> None:
        self._gone_after_s = gone_after_ms / 1000
        self._last: Card | None = None
        self._last_at = 0.0

    def seen(self, found: Card | Misread | None, now: float) -> Card | Misread | None:
        """Return the result of a poll in which the reader sent `found`; `now` is in seconds."""
        if isinstance(found, Misread):
            return found
        if found is not None:
            self._last, self._last_at = found, now
        elif self._last is not None and now - self._last_at >= self._gone_after_s:
            self._last = None
        return self._last

    def forget(self) -> None:
        """Forget the badge: the reader was closed."""
        self._last = None
