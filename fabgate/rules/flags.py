"""How does a member report that something is wrong with the machine, and who takes the report back?

The flag button for 3 s, or the badge that just ended a session held for 5 s, asks for a badge; any known badge within
30 s completes it. A short press meanwhile changes between `report` (tells the maintainers) and `danger` (also blocks,
once the session has ended). The same gesture clears: where that flag is raised already, a supervisor's badge takes a
report back and a maintainer's a danger. A question nobody answers ends by itself, or it would swallow the next
person's tap.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.vocabulary import (
    Blocked,
    Cause,
    Cleared,
    Fact,
    Flagged,
    FlagKind,
    Level,
    SignalKind,
)

PRESS_MS: Final = 3_000
HOLD_MS: Final = 5_000
ASK_MS: Final = 30_000


class Flags:
    """The flags of one machine. Times are boot milliseconds; `reported` is a report kept over a restart.

    Whether a danger stands is the cause ``flag`` and nothing beside it: two truths could come apart, and then a gesture
    that means to clear a block would raise one.
    """

    def __init__(self, *, reported: bool, continuous: bool) -> None:
        self._reported = reported
        self._continuous = continuous
        self._pressed_at: int | None = None
        self._held: tuple[str, int] | None = None
        self._ask_until: int | None = None
        self._kind = FlagKind.REPORT

    @property
    def asking(self) -> bool:
        """Whether the next known badge raises or clears a flag."""
        return self._ask_until is not None

    @property
    def asked(self) -> FlagKind | None:
        """Which flag the next known badge raises or clears; None while no question is open."""
        return None if self._ask_until is None else self._kind

    def pressed(self, at_ms: int, *, down: bool) -> None:
        """Take the button: a short press while a question is open changes what it asks for."""
        if not down:
            self._pressed_at = None
        elif self.asking:
            self._kind = FlagKind.DANGER if self._kind is FlagKind.REPORT else FlagKind.REPORT
        else:
            self._pressed_at = at_ms

    def hold(self, badge: str, at_ms: int) -> None:
        """Begin to count how long the badge that ended a session stays; only a reader that proves presence can say."""
        if self._continuous:
            self._held = (badge, at_ms)

    def release(self, badge: str) -> None:
        """Stop counting: the badge left."""
        if self._held is not None and self._held[0] == badge:
            self._held = None

    def deadline(self) -> int | None:
        """Return when ``due`` wants to be called, or None."""
        if self._pressed_at is None and self._held is None and self._ask_until is None:
            return None  # nearly always, and asked with every event
        times = (
            None if self._pressed_at is None else self._pressed_at + PRESS_MS,
            None if self._held is None else self._held[1] + HOLD_MS,
            self._ask_until,
        )
        return min(at for at in times if at is not None)

    def due(self, at_ms: int) -> None:
        """Take that time passed: a question begins, or ends without an answer."""
        if self._ask_until is not None and at_ms >= self._ask_until:
            self._ask_until = None
        pressed = self._pressed_at is not None and at_ms >= self._pressed_at + PRESS_MS
        held = self._held is not None and at_ms >= self._held[1] + HOLD_MS
        if not pressed and not held:
            return
        self._pressed_at = self._held = None
        self._kind = FlagKind.REPORT
        self._ask_until = at_ms + ASK_MS

    def badge(self, badge: str, member: str, level: Level, *, danger: bool) -> tuple[tuple[Fact, ...], SignalKind]:
        """Answer the question with a known member's badge. Returns what goes on record, and what to tell.

        `level` is what the member may do beyond using the machine; `danger` whether the cause ``flag`` stands.
        """
        self._ask_until = None
        raised = Flagged(self._kind, member, badge)
        if self._kind is FlagKind.DANGER:
            if not danger:
                return (raised, Blocked(Cause.FLAG)), SignalKind.FLAGGED
            if level is not Level.MAINTAINER:
                return (), SignalKind.FLAGGED
            return (Cleared(Cause.FLAG, member),), SignalKind.UNFLAGGED
        if not self._reported:
            self._reported = True
            return (raised,), SignalKind.FLAGGED
        if not level.supervises:
            return (), SignalKind.FLAGGED
        self._reported = False
        return (Cleared(FlagKind.REPORT, member),), SignalKind.UNFLAGGED
