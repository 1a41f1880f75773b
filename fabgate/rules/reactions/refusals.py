"""Decides whether a refused badge is answered and recorded: badges must not be guessed, nor the journal flooded.

An unknown badge may be sponsored: a supervisor's badge within 30 s opens a session for it, under the supervisor's
responsibility, and the guest can be named later. Five unknown badges within 60 s make the gate ignore *unknown* badges
for 30 s; known badges, and taps that end a session, always work.

A known badge that is refused is always answered, but recorded at most once a minute for the same reasons.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from fabgate.rules.intents import Intent, RecordFacts, Refuse
from fabgate.rules.vocabulary import Now, Refused, Signal, SignalKind

SPONSOR_MS: Final = 30_000
MAX_UNKNOWN: Final = 5
WITHIN_MS: Final = 60_000
PAUSE_MS: Final = 30_000
AGAIN_MS: Final = 60_000
#: How many known badges are remembered: more than are ever used at one machine.
MAX_KNOWN: Final = 64


class Refusals:
    """The badges that were refused recently. Times are boot milliseconds."""

    def __init__(self) -> None:
        self._unknown_at: deque[int] = deque(maxlen=MAX_UNKNOWN)
        self._pause_until = 0
        self._guest: tuple[str, int] | None = None
        self._known: dict[str, tuple[tuple[str, ...], int]] = {}

    def refuse(self, refusal: Refuse, at: Now) -> tuple[Intent, ...]:
        """Return what to do about a refused badge: record it, show why, or nothing."""
        if refusal.unknown and not self._answers(refusal.badge, at.boot_ms):
            return ()
        shown = Signal(SignalKind.REFUSED, lang=refusal.lang, reasons=refusal.reasons)
        if refusal.unknown or self.records(refusal.badge, refusal.reasons, at.boot_ms):
            return RecordFacts((Refused(refusal.badge, refusal.member, refusal.reasons),)), shown
        return (shown,)

    def take_guest(self, at_ms: int) -> str | None:
        """Return the unknown badge that waits for a sponsor, and forget it: any next badge ends the wait."""
        guest, self._guest = self._guest, None
        return guest[0] if guest is not None and at_ms < guest[1] else None

    def records(self, badge: str, reasons: tuple[str, ...], at_ms: int) -> bool:
        """Note that a known badge was refused; return whether to record it."""
        before, until = self._known.get(badge, ((), 0))
        if before == reasons and at_ms < until:
            return False
        self._known.pop(badge, None)
        self._known[badge] = (reasons, at_ms + AGAIN_MS)
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return True

    def _answers(self, badge: str, at_ms: int) -> bool:
        """Note an unknown badge; return whether to answer and record it."""
        if at_ms < self._pause_until:
            return False
        self._guest = (badge, at_ms + SPONSOR_MS)
        self._unknown_at.append(at_ms)
        if len(self._unknown_at) == MAX_UNKNOWN and at_ms - self._unknown_at[0] <= WITHIN_MS:
            self._pause_until = at_ms + PAUSE_MS
            self._unknown_at.clear()
        return True
