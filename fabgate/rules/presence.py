"""Decides when a card on the reader counts as a tap.

A reader is polled about twenty times a second. Each poll reads one card, finds a card that it cannot read (a torn read,
two cards, a phone), or finds nothing. ``Presence`` turns polls into events. Two definitions decide:

* The field is *empty* once polls found nothing for long enough. A pause between two polls counts as at most ``PAUSE_MS``
  of that time: a delayed poll proves nothing about the time before it.
* A card *arrives* when it is read and was not read since the field was last empty. Only an arrival is ``Presented``.

Any other card that is read is ``Lying``: it was not tapped, and starts nothing. There are two kinds:

* Any card before the first empty field after a start or a fault of the reader, or after it was configured again.
* A card that is read again after a second card, a phone or a bad contact hid it.

A card that replaces another on the reader arrives like any other if it was not read before: a supervisor can put their
card in place of the member's.

How long is long enough? There are two kinds of readers:

* One that *proves presence* reads a card that stays in every poll: 600 ms without one are an empty field. A card may be
  missed for a moment (a hand, a motor that starts). It is ``Removed`` when it was not read for 600 ms, for whatever
  reason, or when another card is read.
* One that *only sends* is silent between two repetitions of a card that stays. So its field is empty only after a silence
  that is longer than its `gone_after_ms`, and than 600 ms, counted from the last thing that it sent. It is also silent
  while it starts: the first `start_up_ms` prove nothing. A torn repetition is one too, so it ends a silence like a whole
  one; but more than ``MOST_TORN`` of them, less those after which a whole one came, are *noise*: a fault of the reader, and
  no longer a card. The fault lasts until the reader is silent. Nothing starts then, and a tap still ends a session.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.vocabulary import Event, Lying, Misread, Presented, Removed

#: A good reader needs 100 ms for a poll, and the gate waits 50 ms between two, so 600 ms are at least five polls.
PAUSE_MS: Final = 150
EMPTY_MS: Final = 600
#: A card that cannot be read for this long is reported: one that is arriving or leaving is unreadable for a poll or two.
MISREAD_MS: Final = 250
#: After this many different cards without an empty field, all further cards count as lying: this bounds the memory.
MAX_CARDS: Final = 32
#: How many torn frames can be repetitions of a card; each whole frame makes up for one.
MOST_TORN: Final = 3


class Presence:
    """Turns the polls of one reader into events. All times are boot milliseconds.

    Without `continuous` the reader only sends. `gone_after_ms` and `start_up_ms` are how long it may be silent although a
    card is on it: between two repetitions, and after it was opened.
    """

    def __init__(self, *, continuous: bool = True, gone_after_ms: int = 0, start_up_ms: int = 0) -> None:
        self._continuous = continuous
        self._empty_ms = EMPTY_MS if continuous else max(EMPTY_MS, gone_after_ms + 1)
        self._start_up_ms = start_up_ms
        #: The card in the field, and when it was last read.
        self._badge: str | None = None
        self._read_at = 0
        #: The cards that were read since the field was last empty; None until it has been empty once.
        self._read: set[str] | None = None
        #: From when on silence proves something; None until the first poll.
        self._settled_at: int | None = None
        #: The newest moment that was silent (None without one), and how long it has been silent.
        self._silent_at: int | None = None
        self._silent_ms = 0
        #: The first poll of a card that cannot be read, why that is, and whether it was reported.
        self._misread_since: int | None = None
        self._misread_why = ""
        self._misread_reported = False
        #: How many torn frames came in a row from a reader that only sends; whether they are noise, and how long it has
        #: been silent since.
        self._torn = 0
        self._quiet_ms = 0
        self.is_noisy = False
        #: The last pause between two repetitions, and the longest one that came twice in a row.
        self._pause_ms: int | None = None
        self.longest_pause_ms = 0

    def saw(self, badge: str, at_ms: int) -> list[Event]:
        """Process a poll that read `badge`."""
        self._settle(at_ms)
        self._note_pause(badge, at_ms)
        self._end_silence(at_ms)
        self._torn = max(0, self._torn - 1)  # to 0, and taps in noise would keep it from ever being taken for noise
        self._misread_since, self._misread_reported = None, False
        self._read_at = at_ms
        if badge == self._badge:
            return []
        gone, self._badge = self._badge, badge
        removed: list[Event] = [] if gone is None else [Removed(gone)]
        is_first = self._read is None
        return [*removed, Presented(badge) if self._arrives(badge) else Lying(badge, before_empty=is_first)]

    def misread(self, why: str, at_ms: int, *, whole: bool = False) -> list[Event]:
        """Process a poll that found a card but could not read it, or read it `whole` and found no badge.

        Only a card that stays unreadable is reported, once. For a known card that is present, such a poll of a reader that
        proves presence counts as a miss; one that only sends may have repeated the card.
        """
        self._settle(at_ms)
        if self._misread_since is None:
            self._misread_since, self._misread_why = at_ms, why
        self._pause_ms = None
        if not self._continuous:
            return self._sent_what_is_no_badge(at_ms, whole=whole)
        self._end_silence(at_ms)
        return self._unread(at_ms)

    def nothing(self, at_ms: int) -> list[Event]:
        """Process a poll that found no card."""
        if at_ms < self._settle(at_ms):
            return self._unread(at_ms)
        self._be_silent(at_ms)
        if self._continuous and self._badge is None:
            self._misread_since, self._misread_reported = None, False
        return self._unread(at_ms)

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
        self._read = self._settled_at = self._silent_at = self._pause_ms = None
        self._silent_ms = self._quiet_ms = self._torn = 0

    def _settle(self, at_ms: int) -> int:
        if self._settled_at is None:
            self._settled_at = at_ms + self._start_up_ms
        return self._settled_at

    def _be_silent(self, at_ms: int, *, noise: bool = False) -> None:
        """Count the time since the last moment that was silent; empty the field once it is long enough.

        `noise`: this moment is not quiet, so the reader keeps its fault.
        """
        if self._silent_at is not None:
            passed_ms = min(at_ms - max(self._silent_at, self._settle(at_ms)), PAUSE_MS)
            self._silent_ms += passed_ms
            self._quiet_ms += passed_ms
        self._silent_at = at_ms
        if noise:
            self._quiet_ms = 0
        if self._quiet_ms >= self._empty_ms:
            self.is_noisy = False
        if self._silent_ms >= self._empty_ms:
            self._read, self._torn, self._pause_ms = set(), 0, None
            self._misread_since, self._misread_reported = None, False

    def _end_silence(self, at_ms: int) -> None:
        # What a reader sends has ended when the poll finds it; a card in the field is still there.
        self._silent_at = None if self._continuous else at_ms
        self._silent_ms = self._quiet_ms = 0

    def _sent_what_is_no_badge(self, at_ms: int, *, whole: bool) -> list[Event]:
        if self._read != set() and not whole:
            self._torn += 1
        if self._torn <= MOST_TORN:
            self._end_silence(at_ms)
            self._read_at = at_ms
            return self._unread(at_ms)
        self.is_noisy = True
        if at_ms >= self._settle(at_ms):
            self._be_silent(at_ms, noise=True)
        self._quiet_ms = 0
        return self._unread(at_ms)

    def _note_pause(self, badge: str, at_ms: int) -> None:
        # A tap that followed soon is one long pause; what repeats a card has two that are alike.
        last_ms, self._pause_ms = self._pause_ms, at_ms - self._read_at if badge == self._badge else None
        if last_ms is not None and self._pause_ms is not None:
            self.longest_pause_ms = max(self.longest_pause_ms, min(last_ms, self._pause_ms))

    def _arrives(self, badge: str) -> bool:
        if self._read is None or badge in self._read:
            return False
        if len(self._read) == MAX_CARDS:
            self._read = None
            return False
        self._read.add(badge)
        return True

    def _unread(self, at_ms: int) -> list[Event]:
        """Process that no badge was read until now: the card may have left, or be one that cannot be read."""
        if self._badge is not None:
            if at_ms - self._read_at < self._empty_ms:
                return []
            gone, self._badge = self._badge, None
            if not self._continuous:
                self._misread_since = None  # it was a repetition
            return [Removed(gone)]
        if self._misread_since is None or self._misread_reported or at_ms - self._misread_since < MISREAD_MS:
            return []
        self._misread_reported = True
        return [Misread(self._misread_why)]
