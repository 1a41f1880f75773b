"""Which facts does a gate record, and with which data?"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from fabgate.wire.messages import Count, DurationMs, EnergyWh, Id, JournalId, Message, SessionId, Text

END_REASONS: Final = (
    "badge",  # the member's own tap, another badge of the same member, or the supervisor who opened it (`actor`)
    "button",
    "removed",  # hold mode: the card left and the grace time passed
    "handover",
    "limit",
    "idle",
    "revoked",
    "lock",
    "remote",
    "fault",
    "restart",
    "power-loss",
    "journal-lost",
    "cancelled",
    "start-timeout",
)


class Clock(Message, frozen=True, kw_only=True, omit_defaults=False):
    """When a fact happened: boot id, CLOCK_BOOTTIME milliseconds, and whether the wall clock was synchronised."""

    boot: Id
    boottime_ms: Count
    synced: bool = False


class Data(Message, frozen=True, kw_only=True, omit_defaults=False):
    """Base of every entry's ``data``."""

    clock: Clock


class PacedData(Data, frozen=True, kw_only=True, omit_defaults=False):
    """Base of entries that a broken part may repeat: `unrecorded` of the same source were omitted before this one."""

    unrecorded: Count | UnsetType = UNSET


class GateStarted(PacedData, frozen=True, kw_only=True):
    """``fabgate.gate.started.v1``: the daemon is ready; `replaces` names a journal that this new one follows."""

    version: str
    replaces: JournalId | None = None


class GateStopping(PacedData, frozen=True, kw_only=True):
    """``fabgate.gate.stopping.v1``: an orderly stop."""

    reason: str


class ClockSynced(PacedData, frozen=True, kw_only=True):
    """``fabgate.clock.synced.v1``: ties a boot's clock to wall time; again after each wall step above 1 s."""

    step_ms: int | None = None


class Basis(Message, frozen=True, kw_only=True):
    """Why the session was allowed. `kind` is grant, emergency, maintainer, sponsor, observe or continued."""

    kind: Text
    grant: Text | None = None
    stale_roster: bool = False
    would_refuse: list[str] = []


class SessionStarted(Data, frozen=True, kw_only=True):
    """``fabgate.session.started.v1``: a session began; power follows once this entry is durable.

    `energised_from_ms` (CLOCK_BOOTTIME) is set where power was on already: after a handover, or where the session
    continues because the disk delayed a handover too long.
    """

    session: SessionId
    member: Text
    badge: Text
    basis: Basis
    mode: Text
    roster: Count = 0
    supervisor: Text | None = None
    purpose: str | None = None
    continues: Text | None = None
    energised_from_ms: Count | None = None


class SessionCounters(Data, frozen=True, kw_only=True):
    """Base of progress and end. Counters are cumulative milliseconds of CLOCK_BOOTTIME, and watt-hours.

    `energy_wh` is absent where the gate has no energy meter, or does not know what the session took; that is never 0.
    `running_unknown_ms` is for how long it is not known whether the machine worked, because its meter was broken: the true
    running time lies in [running_ms, running_ms + running_unknown_ms].
    """

    session: SessionId
    member: Text
    badge: Text
    energised_ms: DurationMs
    running_ms: DurationMs
    roster: Count = 0
    energy_wh: EnergyWh | UnsetType = UNSET
    running_unknown_ms: DurationMs | UnsetType = UNSET


class SessionProgress(SessionCounters, frozen=True, kw_only=True):
    """``fabgate.session.progress.v1``: every 15 minutes of a session."""


class SessionEnded(SessionCounters, frozen=True, kw_only=True):
    """``fabgate.session.ended.v1``: the true time lies in [energised_ms, energised_ms + uncertainty_ms]."""

    reason: Text
    uncertainty_ms: DurationMs = 0
    actor: Text | None = None


class AccessRefused(PacedData, frozen=True, kw_only=True):
    """``fabgate.access.refused.v1``: **all** reasons at once, the worst first."""

    badge: Text
    reasons: list[str]
    member: Text | None = None
    roster: Count = 0


class MachineBlocked(PacedData, frozen=True, kw_only=True):
    """``fabgate.machine.blocked.v1``: `level` is cut (power off at once) or hold (no new session)."""

    cause: Text
    level: Text
    detail: str | None = None


class MachineCleared(PacedData, frozen=True, kw_only=True):
    """``fabgate.machine.cleared.v1``: the cause is gone; `member` is who cleared it on site, if it was a member."""

    cause: Text
    member: Text | None = None


class MachineFlagged(Data, frozen=True, kw_only=True):
    """``fabgate.machine.flagged.v1``: a member reports a defect (`kind` is report or danger)."""

    kind: Text
    member: Text
    badge: Text


class Fault(PacedData, frozen=True, kw_only=True):
    """``fabgate.output.fault.v1``."""

    detail: str


class ReaderFault(Fault, frozen=True, kw_only=True):
    """``fabgate.reader.fault.v1``, ``…reader.recovered.v1``: `reader` is its number, from 1, at a gate that has several."""

    reader: Count | UnsetType = UNSET


class RosterReplaced(PacedData, frozen=True, kw_only=True):
    """``fabgate.roster.replaced.v1``; `adopted` where a person on the gate allowed it (``fabgate roster adopt``)."""

    version: Count
    members: Count
    adopted: bool = False


class RosterRejected(PacedData, frozen=True, kw_only=True):
    """``fabgate.roster.rejected.v1``: why the gate keeps its last good roster."""

    reason: str
    version: Count | None = None


class CommandExecuted(PacedData, frozen=True, kw_only=True):
    """``fabgate.command.executed.v1``."""

    command: Text
    verb: Text
    outcome: Text
    actor: Text | None = None
    reason: str | None = None


class JournalForked(Data, frozen=True, kw_only=True):
    """``fabgate.journal.forked.v1``: first entry of the journal that a restored image opens; names the old one."""

    journal: JournalId
    floor: Count
    head: Count
    mark: Count


#: Every entry type that this version writes, without prefix and suffix, and the type of its data.
ENTRY_TYPES: Final[dict[str, type[Data]]] = {
    "gate.started": GateStarted,
    "gate.stopping": GateStopping,
    "clock.synced": ClockSynced,
    "session.started": SessionStarted,
    "session.progress": SessionProgress,
    "session.ended": SessionEnded,
    "access.refused": AccessRefused,
    "machine.blocked": MachineBlocked,
    "machine.cleared": MachineCleared,
    "machine.flagged": MachineFlagged,
    "reader.fault": ReaderFault,
    "reader.recovered": ReaderFault,
    "output.fault": Fault,
    "roster.replaced": RosterReplaced,
    "roster.rejected": RosterRejected,
    "command.executed": CommandExecuted,
    "journal.forked": JournalForked,
}
