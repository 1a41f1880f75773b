"""The events that ``gate.Gate.handle`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fabgate.rules.vocabulary.causes import Cause
from fabgate.rules.vocabulary.machine_rules import MachineRules


@dataclass(frozen=True, slots=True)
class Now:
    """The time of one event.

    `boot_ms` is CLOCK_BOOTTIME and never jumps. `local` is the best known wall time in the site's zone, or None if no
    time was ever known; `synced` is whether it can be trusted.
    """

    boot_ms: int
    local: datetime | None = None
    synced: bool = False


@dataclass(frozen=True, slots=True)
class Presented:
    """A badge was tapped: it arrived at a reader (see ``presence``). `badge` is its digest."""

    badge: str
    reader: int = 0


@dataclass(frozen=True, slots=True)
class Lying:
    """A badge is on a reader but did not arrive there: it was not tapped, and neither starts nor ends anything.

    `before_empty` says that the reader has not been empty since its start or a fault: its member may just have tapped, and
    has to lift the badge first.
    """

    badge: str
    reader: int = 0
    before_empty: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """The badge left the field, or it is so long ago that the reader sent it that it counts as gone."""

    badge: str
    reader: int = 0


@dataclass(frozen=True, slots=True)
class Misread:
    """A card is there and could not be read."""

    why: str


@dataclass(frozen=True, slots=True)
class StopPressed:
    """The stop button was pressed, or a manager stopped the machine remotely (`actor`).

    `known` is False where the button could not be read: power goes as if it were pressed, but no person has said anything.
    """

    actor: str | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Running:
    """The machine started or stopped working, as a part reports it: the run-sense input, or the meter named `by`.

    `known` is False where the part could not be read: that counts as work, but no job begins by it.
    """

    on: bool
    by: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class MeterFailed:
    """A meter cannot be read. If it reports whether the machine works, ``Running(on=True)`` follows."""

    meter: str


@dataclass(frozen=True, slots=True)
class MeterWorks:
    """A meter can be read again."""

    meter: str


@dataclass(frozen=True, slots=True)
class EnergyCounted:
    """The energy meter's count in whole watt-hours, from any beginning; None where it is unknown, or begins anew."""

    wh: int | None


@dataclass(frozen=True, slots=True)
class FlagPressed:
    """The flag button went down or up."""

    down: bool


@dataclass(frozen=True, slots=True)
class CauseRaised:
    """A cause forbids use."""

    cause: Cause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CauseCleared:
    """A cause is gone; `member` cleared it on site, if it was a person."""

    cause: Cause
    member: str | None = None


@dataclass(frozen=True, slots=True)
class ReaderFailed:
    """A reader does not work; `detail` names it where there are several. Not each such fault forbids use (``readers``)."""

    reader: int
    detail: str


@dataclass(frozen=True, slots=True)
class ReaderWorks:
    """A reader works again."""

    reader: int


@dataclass(frozen=True, slots=True)
class CheckpointLate:
    """No checkpoint of the running session has reached the disk for so long that its minutes are in doubt."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """A roster brought new rules or members, or became stale. The look-up already knows the new members."""

    rules: MachineRules
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Extend:
    """A manager gives the running session more time."""

    by_ms: int
    actor: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The journal confirms that the ``Record`` with this token is on disk."""

    token: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline has come."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon is about to stop."""


Event = (
    Presented
    | Lying
    | Removed
    | Misread
    | StopPressed
    | Running
    | MeterFailed
    | MeterWorks
    | EnergyCounted
    | FlagPressed
    | CauseRaised
    | CauseCleared
    | ReaderFailed
    | ReaderWorks
    | CheckpointLate
    | RosterChanged
    | Extend
    | Committed
    | Tick
    | Stopping
)
