"""The facts that are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fabgate.rules.vocabulary.causes import Cause
from fabgate.rules.vocabulary.machine_rules import Mode
from fabgate.rules.vocabulary.people import Basis


class EndReason(StrEnum):
    """The reason why a session ended."""

    BADGE = "badge"
    BUTTON = "button"
    REMOVED = "removed"
    HANDOVER = "handover"
    LIMIT = "limit"
    IDLE = "idle"
    REVOKED = "revoked"
    LOCK = "lock"
    REMOTE = "remote"
    FAULT = "fault"
    RESTART = "restart"
    POWER_LOSS = "power-loss"
    JOURNAL_LOST = "journal-lost"  # set only by a collector
    CANCELLED = "cancelled"
    START_TIMEOUT = "start-timeout"


class FlagKind(StrEnum):
    """How bad a reported defect is."""

    REPORT = "report"  # informs the maintainers
    DANGER = "danger"  # also blocks the machine once the session has ended


@dataclass(frozen=True, slots=True)
class Started:
    """A session begins; power follows once this is on disk. `energised_from_ms` is set where power is already on."""

    session: str
    member: str
    badge: str
    basis: Basis
    mode: Mode
    supervisor: str | None = None
    continues: str | None = None
    energised_from_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The counters of a long session (``meter``)."""

    session: str
    member: str
    badge: str
    energised_ms: int
    running_ms: int
    energy_wh: int | None = None
    running_unknown_ms: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A session is over. `energy_wh` is None where it is not known.

    The machine worked for `running_ms` at least, and for `running_unknown_ms` more at most: its meter was broken.
    """

    session: str
    member: str
    badge: str
    reason: EndReason
    energised_ms: int
    running_ms: int
    actor: str | None = None
    energy_wh: int | None = None
    running_unknown_ms: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A badge was refused, with all reasons, the worst first."""

    badge: str
    member: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """A cause arose."""

    cause: Cause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cleared:
    """A cause or a reported defect is gone; `member` cleared it on site, if it was a person."""

    cause: Cause | FlagKind
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Flagged:
    """A member reports a defect."""

    kind: FlagKind
    member: str
    badge: str


Fact = Started | Progress | Ended | Refused | Blocked | Cleared | Flagged
