"""How a machine behaves, according to its roster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """How a badge uses the machine."""

    TAP = "tap"  # tap on, tap off
    HOLD = "hold"  # the card stays in its holder
    TIMED = "timed"  # each tap buys a fixed time
    AUDIT = "audit"  # nothing is switched; taps record who uses the machine


class Supervision(StrEnum):
    """Who needs a supervisor's badge as well as their own."""

    NEVER = "never"  # the same as `minors`, in older configurations and rosters
    MINORS = "minors"  # members whom the roster marks `supervised`
    ALWAYS = "always"  # everyone but supervisors


@dataclass(frozen=True, slots=True)
class Lock:
    """A manager's lock. `now` cuts power; otherwise a running job is finished, or the session ends after a notice."""

    id: str
    now: bool
    reason: str = ""
    back: str | None = None


@dataclass(frozen=True, slots=True)
class MachineRules:
    """The rules of one machine. All durations are milliseconds; docs/reference.md explains each.

    `finishes_jobs` lets a running job finish when its session ends (``finish: wait``). `refuses_when_stale` refuses all
    but emergency badges by a roster that is too old, and members while the time is not known (``on_stale: deny``).
    """

    mode: Mode = Mode.TAP
    limit_ms: int = 12 * 3_600_000
    max_ms: int = 24 * 3_600_000
    idle_off_ms: int | None = None
    warn_ms: int = 120_000
    grace_ms: int = 10_000
    finishes_jobs: bool = True
    finish_max_ms: int = 4 * 3_600_000
    run_on_ms: int = 0
    warm_up_ms: int = 0
    handover: bool = False
    supervision: Supervision = Supervision.MINORS
    sponsor: bool = False
    refuses_when_stale: bool = False
    observe_until: datetime | None = None
    lock: Lock | None = None
