"""The vocabulary of the rules: everything that goes into them and comes out of them, in one namespace.

=================  ==========================================================================================
``machine_rules``  how a machine behaves: its mode, its limits, its lock
``causes``         why a machine may not be used
``people``         who holds a badge, and by which right they use the machine
``events``         what happened: the input of ``gate.Gate.handle``
``facts``          what goes on record
``commands``       what the gate must do: the output of ``gate.Gate.handle``
=================  ==========================================================================================

Words of OCPP (transaction, stop reason, faulted) are used where they exist, because charging stations have the same
problems. Messages say "idle" in four meanings; here each has a word of its own:

==============  =============================================================================================
free            there is no session (the state ``idle`` of messages)
stands still    an input reports that the machine does no work
idle            it has stood still for the idle time of the rules (``idle_off_ms``, ``EndReason.IDLE``)
after the job   when a lock ends a session that it does not cut (the cause ``lock-idle`` of messages)
==============  =============================================================================================

All values are frozen dataclasses. Times are integer milliseconds of CLOCK_BOOTTIME unless a name says
otherwise.
"""

from fabgate.rules.vocabulary.causes import CUT, END_WITH_NOTICE, LATCHING, Cause
from fabgate.rules.vocabulary.commands import (
    ASKS_AGAIN,
    CLOSING,
    DEADLINE,
    LAST,
    LYING,
    MEMBER_FIRST,
    UNFELT,
    Checkpoint,
    ClearFault,
    Command,
    Record,
    SetPower,
    Shown,
    Signal,
    SignalKind,
)
from fabgate.rules.vocabulary.events import (
    CauseCleared,
    CauseRaised,
    CheckpointLate,
    Committed,
    EnergyCounted,
    Event,
    Extend,
    FlagPressed,
    Lying,
    MeterFailed,
    MeterWorks,
    Misread,
    Now,
    Presented,
    ReaderFailed,
    ReaderWorks,
    Removed,
    RosterChanged,
    Running,
    Stopping,
    StopPressed,
    Tick,
)
from fabgate.rules.vocabulary.facts import (
    Blocked,
    Cleared,
    Ended,
    EndReason,
    Fact,
    Flagged,
    FlagKind,
    Progress,
    Refused,
    Started,
)
from fabgate.rules.vocabulary.machine_rules import Lock, MachineRules, Mode, Supervision
from fabgate.rules.vocabulary.people import Barred, Basis, Emergency, Holder, Level, Member, Window

__all__ = [
    "ASKS_AGAIN",
    "CLOSING",
    "CUT",
    "DEADLINE",
    "END_WITH_NOTICE",
    "LAST",
    "LATCHING",
    "LYING",
    "MEMBER_FIRST",
    "UNFELT",
    "Barred",
    "Basis",
    "Blocked",
    "Cause",
    "CauseCleared",
    "CauseRaised",
    "Checkpoint",
    "CheckpointLate",
    "ClearFault",
    "Cleared",
    "Command",
    "Committed",
    "Emergency",
    "EndReason",
    "Ended",
    "EnergyCounted",
    "Event",
    "Extend",
    "Fact",
    "FlagKind",
    "FlagPressed",
    "Flagged",
    "Holder",
    "Level",
    "Lock",
    "Lying",
    "MachineRules",
    "Member",
    "MeterFailed",
    "MeterWorks",
    "Misread",
    "Mode",
    "Now",
    "Presented",
    "Progress",
    "ReaderFailed",
    "ReaderWorks",
    "Record",
    "Refused",
    "Removed",
    "RosterChanged",
    "Running",
    "SetPower",
    "Shown",
    "Signal",
    "SignalKind",
    "Started",
    "StopPressed",
    "Stopping",
    "Supervision",
    "Tick",
    "Window",
]
