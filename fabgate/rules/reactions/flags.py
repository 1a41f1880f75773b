"""How a member reports that something is wrong with the machine, and who may withdraw the report.

Holding the flag button for 3 s, or the badge that just ended a session for 5 s, asks for a badge; any known badge
answers within 30 s. Meanwhile a short press switches between `report` (informs the maintainers) and `danger` (also
blocks the machine once the session has ended). The same gesture clears a flag that is already raised: a supervisor's
badge withdraws a report, a maintainer's a danger. A question without an answer expires; otherwise the next person's tap
would answer it.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.intents import AddCause, AnswerFlag, Intent, RecordFacts, RemoveCause
from fabgate.rules.vocabulary import Blocked, Cause, Cleared, Flagged, FlagKind, Level, Signal, SignalKind

PRESS_MS: Final = 3_000
HOLD_MS: Final = 5_000
ASK_MS: Final = 30_000


class Flags:
    """The flags of one machine. Times are boot milliseconds; `reported` is whether a report outlived a restart.

    Only the cause ``flag`` tells whether a danger is raised: a second copy of this fact could be wrong, and a gesture
    that should clear a block would raise one.
    """

    def __init__(self, *, reported: bool) -> None:
        self._reported = reported
        self._pressed_at: int | None = None
        self._held: tuple[str, int] | None = None
        self._ask_until: int | None = None
        self._kind = FlagKind.REPORT

    @property
    def asking(self) -> bool:
        """Whether a question is open: the next known badge raises or clears a flag."""
        return self._ask_until is not None

    @property
    def asked(self) -> FlagKind | None:
        """The flag that the next known badge raises or clears; None if no question is open."""
        return None if self._ask_until is None else self._kind

    def pressed(self, at_ms: int, *, down: bool) -> None:
        """Process the button: a short press while a question is open switches the kind of flag."""
        if not down:
            self._pressed_at = None
        elif self.asking:
            self._kind = FlagKind.DANGER if self._kind is FlagKind.REPORT else FlagKind.REPORT
        else:
            self._pressed_at = at_ms

    def hold(self, badge: str, at_ms: int) -> None:
        """Begin to time the badge that ended a session, on a reader that proves presence."""
        self._held = (badge, at_ms)

    def release(self, badge: str) -> None:
        """Stop timing the badge: it left."""
        if self._held is not None and self._held[0] == badge:
            self._held = None

    def deadline(self) -> int | None:
        """Return when ``due`` must be called, or None."""
        if self._pressed_at is None and self._held is None and self._ask_until is None:
            return None  # the usual case first, because every event calls this
        times = (
            None if self._pressed_at is None else self._pressed_at + PRESS_MS,
            None if self._held is None else self._held[1] + HOLD_MS,
            self._ask_until,
        )
        return min(at for at in times if at is not None)

    def due(self, at_ms: int) -> None:
        """Act on a deadline: a question begins or expires."""
        if self._ask_until is not None and at_ms >= self._ask_until:
            self._ask_until = None
        pressed = self._pressed_at is not None and at_ms >= self._pressed_at + PRESS_MS
        held = self._held is not None and at_ms >= self._held[1] + HOLD_MS
        if not pressed and not held:
            return
        self._pressed_at = self._held = None
        self._kind = FlagKind.REPORT
        self._ask_until = at_ms + ASK_MS

    def answer(self, tap: AnswerFlag, *, danger: bool) -> tuple[Intent, ...]:
        """Process the answer of a known member's tap; `danger` is whether the cause ``flag`` exists."""
        self._ask_until = None
        raised = Flagged(self._kind, tap.member, tap.badge)
        flagged = Signal(SignalKind.FLAGGED, lang=tap.lang, detail=self._kind)
        unflagged = Signal(SignalKind.UNFLAGGED, lang=tap.lang)
        if self._kind is FlagKind.DANGER:
            if not danger:
                return AddCause(Cause.FLAG, ""), RecordFacts((raised, Blocked(Cause.FLAG))), flagged
            if tap.rank is not Level.MAINTAINER:
                return (flagged,)
            return RemoveCause(Cause.FLAG), RecordFacts((Cleared(Cause.FLAG, tap.member),)), unflagged
        if not self._reported:
            self._reported = True
            return RecordFacts((raised,)), flagged
        if not tap.rank.supervises:
            return (flagged,)
        self._reported = False
        return RecordFacts((Cleared(FlagKind.REPORT, tap.member),)), unflagged
