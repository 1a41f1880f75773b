"""What happens to a badge that is refused? An unknown one may be sponsored, and cannot be used to guess badges.

A supervisor's badge within 30 s of an unknown one opens a session under the supervisor's responsibility, to be
attributed later. Five unknown badges within 60 s make the gate deaf to *unknown* badges for 30 s; known badges and
every ending tap always work.

A known badge that is refused is always answered, but written down once a minute for the same reasons: a card that is
tapped again and again must not fill the journal.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SPONSOR_MS: Final = 30_000
MOST: Final = 5
WITHIN_MS: Final = 60_000
PAUSE_MS: Final = 30_000
AGAIN_MS: Final = 60_000
#: So many known badges are remembered; each is a card in somebody's hand.
KNOWN_MOST: Final = 64


class Strangers:
    """Remembers the unknown badges of the last minute. Times are boot milliseconds."""

    def __init__(self) -> None:
        self._seen_at: deque[int] = deque(maxlen=MOST)
        self._pause_until = 0
        self._guest: tuple[str, int] | None = None
        self._refused: dict[str, tuple[tuple[str, ...], int]] = {}

    def unknown(self, badge: str, at_ms: int) -> bool:
        """Take an unknown badge; say whether it gets an answer."""
        if at_ms < self._pause_until:
            return False
        self._guest = (badge, at_ms + SPONSOR_MS)
        self._seen_at.append(at_ms)
        if len(self._seen_at) == MOST and at_ms - self._seen_at[0] <= WITHIN_MS:
            self._pause_until = at_ms + PAUSE_MS
            self._seen_at.clear()
        return True

    def known(self, badge: str, reasons: tuple[str, ...], at_ms: int) -> bool:
        """Take that a known badge is refused; say whether that is to be written down."""
        before, until = self._refused.get(badge, ((), 0))
        if before == reasons and at_ms < until:
            return False
        self._refused.pop(badge, None)
        self._refused[badge] = (reasons, at_ms + AGAIN_MS)
        if len(self._refused) > KNOWN_MOST:
            del self._refused[next(iter(self._refused))]
        return True

    def take_guest(self, at_ms: int) -> str | None:
        """Return the unknown badge that waits for a sponsor, once; whatever badge comes next ends the waiting."""
        guest, self._guest = self._guest, None
        return guest[0] if guest is not None and at_ms < guest[1] else None
