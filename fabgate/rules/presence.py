"""What counts as a tap? Many looks of a reader go in, one event a presentation comes out.

A reader looks some twenty times a second and may miss a card for a moment (a hand, a motor starting). So a card is
*presented* at its first good reading and *removed* only after it has been out of sight for `absent_ms`; in between it
is there. A card that lies there when the reader begins to see (after a start, or a fault) was tapped by nobody: it is
only *lying* until the field was seen empty. Another card in sight means that the first one has gone. A card that cannot be read is told once until the
field is empty again or a card is read.
"""

from __future__ import annotations

from fabgate.rules.words import Event, Lying, Misread, Presented, Removed


class Presence:
    """Turns looks into events for one reader. `absent_ms` is how long a card may be out of sight; times are boot ms."""

    def __init__(self, *, absent_ms: int = 600, misread_ms: int = 250, empty_ms: int = 100) -> None:
        self._absent_ms = absent_ms
        self._misread_ms = misread_ms
        self._empty_ms = empty_ms
        self._badge: str | None = None
        self._seen_at = 0
        self._misread_since: int | None = None
        self._misread_told = False
        #: Whether the field was seen empty, so that a card in it has come; since when it is seen empty.
        self._was_empty = False
        self._empty_since: int | None = None

    def saw(self, badge: str, at_ms: int) -> list[Event]:
        """Take a look that read `badge`."""
        self._misread_since, self._misread_told = None, False
        self._seen_at = at_ms
        if badge == self._badge:
            return []
        gone, self._badge = self._badge, badge
        if gone is not None:
            return [Removed(gone), Presented(badge)]
        return [Presented(badge) if self._was_empty else Lying(badge)]

    def misread(self, why: str, at_ms: int) -> list[Event]:
        """Take a look that found a card and could not read it.

        A card on its way in or out is torn for a look or two; only one that stays so is worth telling. And while a
        known card lies there, a bad look is a miss, not a new card.
        """
        self._empty_since = None
        if self._misread_since is None:
            self._misread_since = at_ms
        if self._badge is not None:
            return self.nothing(at_ms)
        if self._misread_told or at_ms - self._misread_since < self._misread_ms:
            return []
        self._misread_told = True
        return [Misread(why)]

    def nothing(self, at_ms: int) -> list[Event]:
        """Take a look that found no card."""
        if self._badge is None:
            self._misread_since, self._misread_told = None, False
            if self._empty_since is None:
                self._empty_since = at_ms
            self._was_empty = self._was_empty or at_ms - self._empty_since >= self._empty_ms
            return []
        if at_ms - self._seen_at < self._absent_ms:
            return []
        gone, self._badge = self._badge, None
        self._was_empty = True
        return [Removed(gone)]

    def lost(self) -> list[Event]:
        """Take the loss of the reader: what lay there can no longer be proven."""
        gone, self._badge = self._badge, None
        self._misread_since, self._misread_told = None, False
        self._was_empty, self._empty_since = False, None
        return [] if gone is None else [Removed(gone)]
