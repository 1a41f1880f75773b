"""The commands that ``gate.Gate.handle`` returns, and what the panel shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fabgate.rules.vocabulary.events import Now
from fabgate.rules.vocabulary.facts import Fact


@dataclass(frozen=True, slots=True)
class SetPower:
    """Switch the machine's power on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Write facts to disk in one transaction, after all earlier records; the answer is ``Committed(token)``."""

    token: int
    facts: tuple[Fact, ...]
    at: Now


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Replace the durable checkpoint of the running session: its counters, in case power fails now."""

    session: str
    energised_ms: int
    running_ms: int
    at: Now


@dataclass(frozen=True, slots=True)
class ClearFault:
    """Clear the output fault, as a maintainer on site asks.

    The answer is ``CauseCleared`` if the hardware agrees; otherwise show the refusal in their language `lang`.
    """

    member: str
    lang: str | None = None


class SignalKind(StrEnum):
    """What light, sound and display report: the state (`Shown`), or what has just happened (`Signal`)."""

    FREE = "free"
    WAIT = "wait"
    SUPERVISOR = "supervisor-needed"
    GO = "go"
    ENDED = "ended"
    REFUSED = "refused"
    MISREAD = "misread"
    BLOCKED = "blocked"
    WARNING = "warning"
    EXTENDED = "extended"
    GRACE = "grace"
    FINISHING = "finishing"
    RUN_ON = "run-on"
    FLAG_ASK = "flag-ask"
    FLAGGED = "flagged"
    UNFLAGGED = "unflagged"
    IDENTIFY = "identify"  # a manager asks which machine this is


#: The detail of ``SignalKind.FINISHING`` if no input reports whether a job runs: the member's tap ends the wait.
UNFELT: Final = "unfelt"
#: The detail of ``SignalKind.FINISHING`` if a meter is broken and an input reports work: a second tap ends the wait.
ASKS_AGAIN: Final = "asks-again"
#: The detail of ``SignalKind.WARNING`` if no tap gives more time.
LAST: Final = "last"
#: The same until opening hours or a membership end; the reason says which.
CLOSING: Final = "closing"
#: The same until the deadline that such an end or a lock has set; the reason says why. A tap ends the session.
DEADLINE: Final = "deadline"
#: The detail of ``SignalKind.GO`` for a supervisor's own session where all members need one: who wants to let a member begin
#: has to end it, because the member taps first.
MEMBER_FIRST: Final = "member-first"
#: The detail of ``SignalKind.MISREAD`` for a badge that has to be lifted before it can tap.
LYING: Final = "lying"


@dataclass(frozen=True, slots=True)
class Signal:
    """Show the person at the machine what has just happened. `ms` is the time used or left, depending on the kind."""

    kind: SignalKind
    name: str = ""
    lang: str | None = None
    reasons: tuple[str, ...] = ()
    ms: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the panel shows while the state stays the same (see ``panel``).

    `until_ms` is the boot time at which this ends without any event, or None.
    """

    kind: SignalKind
    name: str = ""
    lang: str | None = None
    reasons: tuple[str, ...] = ()
    until_ms: int | None = None
    detail: str = ""

    def at(self, boot_ms: int) -> Signal:
        """Return what the panel shows at `boot_ms`, with the time left."""
        ms = 0 if self.until_ms is None else max(0, self.until_ms - boot_ms)
        return Signal(self.kind, self.name, self.lang, self.reasons, ms, self.detail)


Command = SetPower | Record | Checkpoint | ClearFault | Signal
