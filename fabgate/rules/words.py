"""Which words do the rules speak? What can happen to a machine, what the rules order, and what they put on record.

The words are OCPP's where it has one (transaction, stop reason, faulted): it named the same problem for charging cars.
Everything is a value (a frozen dataclass); times are integer milliseconds of CLOCK_BOOTTIME unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Now:
    """The time of one event.

    `boot_ms` is CLOCK_BOOTTIME and never jumps. `local` is the best known wall time in the site's zone, or None when
    no time has ever been known; `synced` says whether it can be trusted.
    """

    boot_ms: int
    local: datetime | None = None
    synced: bool = False


# --- the machine ------------------------------------------------------------------------------------------------------


class Mode(StrEnum):
    """How a badge uses the machine."""

    TAP = "tap"  # tap on, tap off
    HOLD = "hold"  # the card stays in its holder
    TIMED = "timed"  # so many minutes a tap
    AUDIT = "audit"  # nothing is switched; taps record who uses it


class Supervision(StrEnum):
    """Who needs a supervisor's badge beside the own one."""

    NEVER = "never"  # the same as `minors`: older configurations and rosters say it
    MINORS = "minors"  # members whom the roster marks `supervised`
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Lock:
    """A manager's lock. `now` cuts power; otherwise it waits until the machine is idle."""

    id: str
    now: bool
    reason: str = ""
    back: str | None = None


@dataclass(frozen=True, slots=True)
class MachineRules:
    """How the machine behaves. All durations are milliseconds."""

    mode: Mode = Mode.TAP
    limit_ms: int = 12 * 3_600_000
    max_ms: int = 24 * 3_600_000
    idle_off_ms: int | None = None
    warn_ms: int = 120_000
    grace_ms: int = 10_000
    finish_wait: bool = True
    finish_max_ms: int = 4 * 3_600_000
    run_on_ms: int = 0
    warm_up_ms: int = 0
    handover: bool = False
    supervision: Supervision = Supervision.MINORS
    sponsor: bool = False
    deny_when_stale: bool = False
    observe_until: datetime | None = None
    lock: Lock | None = None


class Cause(StrEnum):
    """Why the machine may not be used, worst first."""

    ESTOP = "estop"
    OUTPUT = "output"
    LOCK_NOW = "lock-now"
    LOCK_IDLE = "lock-idle"
    FLAG = "flag"
    JOURNAL = "journal"
    JOURNAL_FULL = "journal-full"
    READER = "reader"
    STALE = "stale"


#: These take power away at once, from every state. The others forbid a new session.
CUT = frozenset({Cause.ESTOP, Cause.OUTPUT, Cause.LOCK_NOW})
#: These outlive a restart: only a person on site clears them.
LATCHING = frozenset({Cause.OUTPUT, Cause.FLAG})
#: These also end a running session, once its job is done.
END_WHEN_IDLE = frozenset({Cause.LOCK_IDLE})


# --- people -----------------------------------------------------------------------------------------------------------


class Level(StrEnum):
    """What a member may do at the machine beyond using it."""

    USER = "user"
    SUPERVISOR = "supervisor"
    MAINTAINER = "maintainer"

    @property
    def supervises(self) -> bool:
        """Whether this level opens sessions for others and clears reports."""
        return self is not Level.USER


@dataclass(frozen=True, slots=True)
class Window:
    """When a member may start: ISO weekdays, and minutes of the local day. `to_min` ≤ `from_min` wraps midnight."""

    days: frozenset[int]
    from_min: int
    to_min: int


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody whom the roster admits."""

    id: str
    name: str = ""
    lang: str = "en"
    level: Level = Level.USER
    grant: str | None = None
    valid_until: date | None = None
    grace_days: int = 0
    windows: tuple[Window, ...] = ()
    limit_ms: int | None = None
    supervised: bool = False

    @property
    def rank(self) -> Level:
        """What they may do here beyond using the machine: nothing where they need a supervisor themselves."""
        return Level.USER if self.supervised else self.level


@dataclass(frozen=True, slots=True)
class Barred:
    """Somebody whom the roster knows and refuses, with every reason. `id` is None where only the badge is known."""

    reasons: tuple[str, ...]
    id: str | None = None
    lang: str = "en"
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Emergency:
    """A badge of the gate's own configuration that needs no roster."""

    label: str

    @property
    def id(self) -> str:
        """Return the member id under which its use is recorded."""
        return f"emergency:{self.label}"


Holder = Member | Barred | Emergency


@dataclass(frozen=True, slots=True)
class Basis:
    """Why a session was allowed. `kind` is grant, emergency, maintainer, sponsor, observe or continued."""

    kind: str
    grant: str | None = None
    stale_roster: bool = False
    would_refuse: tuple[str, ...] = ()


# --- events: what happened --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Presented:
    """A badge arrived at the reader: somebody tapped it (``presence`` says when). `badge` is its digest."""

    badge: str


@dataclass(frozen=True, slots=True)
class Lying:
    """A badge is on the reader and did not arrive: nobody tapped it, so it starts and ends nothing."""

    badge: str


@dataclass(frozen=True, slots=True)
class Removed:
    """The badge left the field. Only readers that prove presence say so."""

    badge: str


@dataclass(frozen=True, slots=True)
class Misread:
    """A card is there and could not be read."""

    why: str


@dataclass(frozen=True, slots=True)
class StopPressed:
    """The stop button, or a remote stop when `actor` is set."""

    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The machine began or ceased to do its work (the run-sense input)."""

    on: bool


@dataclass(frozen=True, slots=True)
class FlagPressed:
    """The flag button went down or up."""

    down: bool


@dataclass(frozen=True, slots=True)
class CauseRaised:
    """Something forbids use."""

    cause: Cause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CauseCleared:
    """It no longer does; `member` cleared it on site where one did."""

    cause: Cause
    member: str | None = None


@dataclass(frozen=True, slots=True)
class CheckpointLate:
    """No checkpoint of the running session has reached the disk for so long that its minutes are in doubt."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """New rules, new members, or another age. The look-up answers from the new members already."""

    rules: MachineRules
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Extend:
    """A manager gives the running session more time."""

    by_ms: int
    actor: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The journal confirms that a `Record` is on disk."""

    token: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed: a deadline came."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon is about to end."""


Event = (
    Presented
    | Lying
    | Removed
    | Misread
    | StopPressed
    | Running
    | FlagPressed
    | CauseRaised
    | CauseCleared
    | CheckpointLate
    | RosterChanged
    | Extend
    | Committed
    | Tick
    | Stopping
)


# --- facts: what is put on record -------------------------------------------------------------------------------------


class EndReason(StrEnum):
    """Why a session ended."""

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
    JOURNAL_LOST = "journal-lost"  # only a collector says this
    CANCELLED = "cancelled"
    START_TIMEOUT = "start-timeout"


class FlagKind(StrEnum):
    """How bad a reported defect is."""

    REPORT = "report"  # tells the maintainers
    DANGER = "danger"  # also blocks once the session has ended


@dataclass(frozen=True, slots=True)
class Started:
    """A session begins; power follows once this is on disk. `energised_from_ms` is set where power is on already."""

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
    """How far a long session has come."""

    session: str
    member: str
    badge: str
    energised_ms: int
    running_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A session is over."""

    session: str
    member: str
    badge: str
    reason: EndReason
    energised_ms: int
    running_ms: int
    actor: str | None = None


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
    """A cause or a reported defect is gone; `member` cleared it on site where one did."""

    cause: Cause | FlagKind
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Flagged:
    """A member reports a defect."""

    kind: FlagKind
    member: str
    badge: str


Fact = Started | Progress | Ended | Refused | Blocked | Cleared | Flagged


# --- commands: what is ordered ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetPower:
    """Switch the machine's power."""

    on: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Put facts on disk in one transaction, in order after all records before, and answer ``Committed(token)``."""

    token: int
    facts: tuple[Fact, ...]
    at: Now


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Replace the durable checkpoint of the running session: what it is worth should power fail now."""

    session: str
    energised_ms: int
    running_ms: int
    at: Now


@dataclass(frozen=True, slots=True)
class ClearFault:
    """A maintainer on site asks to clear the output fault; answer ``CauseCleared`` when the hardware agrees.

    Else tell them, in their language `lang`.
    """

    member: str
    lang: str | None = None


class SignalKind(StrEnum):
    """What people are told, by light, sound and words: what is (`Shown`), or what has just happened (`Signal`)."""

    IDLE = "idle"
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
    IDENTIFY = "identify"  # a manager asks: which machine is this?


#: The detail of ``SignalKind.FINISHING`` where no input says whether a job runs: its member says when it is done.
UNFELT: Final = "unfelt"
#: The detail of ``SignalKind.WARNING`` where no tap gives more time.
LAST: Final = "last"


@dataclass(frozen=True, slots=True)
class Signal:
    """Tell the person at the machine what has just happened. `ms` is time used or time left, as the kind has it."""

    kind: SignalKind
    name: str = ""
    lang: str | None = None
    reasons: tuple[str, ...] = ()
    ms: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the panel shows for as long as the state stays as it is; ``panel`` says what that is for each state.

    `until_ms` is the boot time at which what is shown ends by itself, where it does.
    """

    kind: SignalKind
    name: str = ""
    lang: str | None = None
    reasons: tuple[str, ...] = ()
    until_ms: int | None = None
    detail: str = ""

    def at(self, boot_ms: int) -> Signal:
        """Return it as it reads at `boot_ms`."""
        ms = 0 if self.until_ms is None else max(0, self.until_ms - boot_ms)
        return Signal(self.kind, self.name, self.lang, self.reasons, ms, self.detail)


Command = SetPower | Record | Checkpoint | ClearFault | Signal
