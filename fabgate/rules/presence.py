"""Decides when a card on the reader counts as a tap.

A reader is polled about twenty times a second. Each poll reads one card, finds a card that it cannot read (a torn read,
two cards, a phone), or finds nothing. ``Presence`` turns polls into events. Two definitions decide:

* The field is *empty* once every poll for `empty_ms` found nothing. A pause between two polls counts as at most
  ``PAUSE_MS`` of that time: a delayed poll proves nothing about the time before it.
* A card *arrives* when it is read and was not read since the field was last empty. Only an arrival is ``Presented``.

Any other card that is read is ``Lying``: it was not tapped, and starts nothing. There are two kinds:

* Any card before the first empty field after a start or a fault of the reader, or after it was configured again.
* A card that is read again after a second card, a phone or a bad contact hid it.

A card that replaces another on the reader arrives like any other if it was not read before: a supervisor can put their
card in place of the member's.

A card in the field may be missed for a moment (a hand, a motor that starts). It is ``Removed`` when it was not read for
`absent_ms`, for whatever reason, or when another card is read.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.vocabulary import Event, Lying, Misread, Presented, Removed

#: A good reader needs 100 ms for a poll, and the gate waits 50 ms between two, so 600 ms are at least five polls.
PAUSE_MS: Final = 150
#: After this many different cards without an empty field, all further cards count as lying: this bounds the memory.
MAX_CARDS: Final = 32


class Presence:
    """Turns the polls of one reader into events. All times are boot milliseconds.

    `empty_ms` must not be shorter than `absent_ms`, because a card that still counts as present has not left.
    """

    def __init__(self, *, absent_ms: int = 600, misread_ms: int = 250, empty_ms: int = 600) -> None:
        self._absent_ms = absent_ms
        self._misread_ms = misread_ms
        self._empty_ms = empty_ms
        #: The card in the field, and when it was last read.
        self._badge: str | None = None
        self._read_at = 0
        #: The cards that were read since the field was last empty; None until it has been empty once.
        self._read: set[str] | None = None
        #: The current run of polls that found nothing: its newest poll (None without a run), and its length.
        self._nothing_at: int | None = None
        self._nothing_ms = 0
        self._misread_since: int | None = None
        self._misread_reported = False

    def saw(self, badge: str, at_ms: int) -> list[Event]:
        """Process a poll that read `badge`."""
        self._break_run()
        self._misread_since, self._misread_reported = None, False
        self._read_at = at_ms
        if badge == self._badge:
            return []
        gone, self._badge = self._badge, badge
        removed: list[Event] = [] if gone is None else [Removed(gone)]
        return [*removed, Presented(badge) if self._arrives(badge) else Lying(badge)]

    def misread(self, why: str, at_ms: int) -> list[Event]:
        """Process a poll that found a card but could not read it.

        A card that is arriving or leaving is unreadable for a poll or two, so only a card that stays unreadable is
        reported, once. For a known card that is present, such a poll counts as a miss.
        """
        self._break_run()
        if self._misread_since is None:
            self._misread_since = at_ms
        if self._badge is not None:
            return self._out_of_sight(at_ms)
        if self._misread_reported or at_ms - self._misread_since < self._misread_ms:
            return []
        self._misread_reported = True
        return [Misread(why)]

    def nothing(self, at_ms: int) -> list[Event]:
        """Process a poll that found no card."""
        if self._nothing_at is not None:
            self._nothing_ms += min(at_ms - self._nothing_at, PAUSE_MS)
        self._nothing_at = at_ms
        if self._nothing_ms >= self._empty_ms:
            self._read = set()
        if self._badge is not None:
            return self._out_of_sight(at_ms)
        self._misread_since, self._misread_reported = None, False
        return []

    def lost(self) -> list[Event]:
        """Process a failure of the reader: it no longer proves which card is on it, or that it is empty."""
        self.restarted()
        gone, self._badge = self._badge, None
        self._misread_since, self._misread_reported = None, False
        return [] if gone is None else [Removed(gone)]

    def restarted(self) -> None:
        """Process that the reader was opened or configured again, or that its poll hung.

        It may have read nothing at all before, so its empty polls prove nothing. The card that it read last stays
        present.
        """
        self._read = None
        self._break_run()

    def _break_run(self) -> None:
        self._nothing_at, self._nothing_ms = None, 0

    def _arrives(self, badge: str) -> bool:
        if self._read is None or badge in self._read:
            return False
        if len(self._read) == MAX_CARDS:
            self._read = None
            return False
        self._read.add(badge)
        return True

    def _out_of_sight(self, at_ms: int) -> list[Event]:
        if at_ms - self._read_at < self._absent_ms:
            return []
        gone, self._badge = self._badge, None
        return [] if gone is None else [Removed(gone)]
