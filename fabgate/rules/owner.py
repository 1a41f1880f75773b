"""Who owns the machine's power, who waits for it, and how far have they come?"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fabgate.rules import vocabulary as w
from fabgate.rules.meter import Meter
from fabgate.rules.term import Term


class Phase(StrEnum):
    """Where a session stands. ``STATE_OF`` folds the phases into the four states that others see."""

    IDLE = "idle"
    AWAIT_SUPERVISOR = "await-supervisor"
    AWAIT_JOURNAL = "await-journal"
    ACTIVE = "active"
    HANDING_OVER = "handing-over"
    FINISHING_JOB = "finishing-job"
    RUN_ON = "run-on"


STATE_OF: Final = {
    Phase.IDLE: "idle",
    Phase.AWAIT_SUPERVISOR: "starting",
    Phase.AWAIT_JOURNAL: "starting",
    Phase.ACTIVE: "active",
    Phase.HANDING_OVER: "active",
    Phase.FINISHING_JOB: "finishing",
    Phase.RUN_ON: "finishing",
}


@dataclass(slots=True)
class Session:
    """One use of the machine, its member, its counters and its term."""

    id: str
    member: str
    name: str
    lang: str
    badge: str
    basis: w.Basis
    term: Term
    meter: Meter = field(default_factory=Meter)
    supervisor: str | None = None
    supervisor_badge: str | None = None
    #: Whether the card was last seen in its holder. Only hold mode asks.
    present: bool = True
    end_reason: w.EndReason = w.EndReason.BADGE
    end_actor: str | None = None
    checkpoint_at: int = 0
    progress_at: int = 0

    @property
    def sponsored(self) -> bool:
        """Whether a supervisor answers for a badge that nobody knows."""
        return self.supervisor == self.member


@dataclass(slots=True)
class Pending:
    """A session that waits: for a supervisor (no token yet), or for the journal to confirm `token`."""

    session: Session
    until_ms: int
    token: int | None = None
