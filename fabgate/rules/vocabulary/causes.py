"""Causes: why a machine may not be used."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why the machine may not be used, worst first. Each cause forbids a new session; the sets below say what else."""

    ESTOP = "estop"
    OUTPUT = "output"
    OUTPUT_AWAY = "output-away"
    LOCK_NOW = "lock-now"
    LOCK_AFTER_JOB = "lock-idle"  # the wire's word, from when the machine was said to lock once it is idle
    FLAG = "flag"
    JOURNAL = "journal"
    JOURNAL_FULL = "journal-full"
    READER = "reader"
    STALE = "stale"


#: These causes switch power off at once, in every phase.
CUT = frozenset({Cause.ESTOP, Cause.OUTPUT, Cause.OUTPUT_AWAY, Cause.LOCK_NOW})
#: These causes end a running session: once its job is done, or after a notice if the machine stands still (``term``).
END_WITH_NOTICE = frozenset({Cause.LOCK_AFTER_JOB})
#: These causes outlive a restart: only a person on site clears them.
LATCHING = frozenset({Cause.OUTPUT, Cause.FLAG})
