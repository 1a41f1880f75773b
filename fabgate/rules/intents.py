"""Intents: what should happen next.

The modules of ``reactions`` return them. An intent is a plain value. Only ``power.Power`` carries them out, in their
order, and turns them into commands. The commands ``Signal`` and ``ClearFault`` are also intents.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabgate.rules.vocabulary import (
    Basis,
    Cause,
    ClearFault,
    EndReason,
    Fact,
    Holder,
    Level,
    MachineRules,
    Signal,
)

# --- a session begins -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Record the start of a session of `holder`; power follows once the record is on disk.

    `sponsor_badge` is set if `holder` opens the session for an unknown `badge`.
    """

    badge: str
    holder: Holder
    basis: Basis
    sponsor_badge: str | None = None


@dataclass(frozen=True, slots=True)
class AskSupervisor:
    """Make a session of `holder` wait for a supervisor's badge; nothing is recorded yet."""

    badge: str
    holder: Holder
    basis: Basis


@dataclass(frozen=True, slots=True)
class AcceptSupervisor:
    """Record the start of the waiting session with this supervisor, if it may still begin."""

    member: str | None
    badge: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Record the end of the running session and the start of a session of `holder`; power stays on."""

    badge: str
    holder: Holder
    basis: Basis


@dataclass(frozen=True, slots=True)
class CancelStart:
    """Cancel the waiting session, if there is one.

    If its start is recorded, record that it ended for `reason` after 0 ms.
    """

    reason: EndReason = EndReason.CANCELLED


@dataclass(frozen=True, slots=True)
class TapAgain:
    """Decide on this tap again, after the intents before this one."""

    badge: str
    guest: str | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse a badge. ``refusals`` decides whether to record that, and whether an unknown badge gets an answer.

    `for_its_reader`: it was tapped on a reader where nothing can start; what they do next is to tap another one.
    """

    badge: str
    reasons: tuple[str, ...]
    member: str | None = None
    lang: str | None = None
    unknown: bool = False
    for_its_reader: bool = False


# --- a session ends ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndByRules:
    """End the session by the rules: a running job is finished, then the fan runs on, then power goes off.

    Where nothing reports work, some reasons assume a job (``Machine.job_may_run``); without `assumes_job` none does.
    """

    reason: EndReason
    actor: str | None = None
    assumes_job: bool = True


@dataclass(frozen=True, slots=True)
class EndJob:
    """End the job: the fan runs on, then power goes off.

    `resumes` is False if a person had to say twice that no job runs: the input that disagrees then resumes none.
    """

    resumes: bool = True


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """Return to the job: the machine works again during the fan's run-on."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Switch power off now; then end the session or cancel the start; then record `facts`.

    `reason` is None if the session is already ending, for a known reason.
    """

    reason: EndReason | None = None
    facts: tuple[Fact, ...] = ()


# --- the record, and the flag -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """Record facts."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class AnswerFlag:
    """Answer the open question of the flag button with a known badge (see ``flags``)."""

    badge: str
    member: str
    rank: Level
    lang: str | None


@dataclass(frozen=True, slots=True)
class TimeBadge:
    """Time how long the badge that ends a session stays on the reader (see ``flags``)."""

    badge: str


# --- what is known: ``bookkeeping`` carries these out, and none of them touches power ------------------------------------


@dataclass(frozen=True, slots=True)
class GiveTime:
    """Move the session's limit, and since when the machine counts as standing still."""

    limit_at: int
    still_since: int


@dataclass(frozen=True, slots=True)
class GiveNotice:
    """Set the deadline after which the session ends for `reason`; the panel says `why` (a cause, or a refusal's reason)."""

    reason: EndReason
    why: str


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask for a second tap of `badge`, or for a second press of the stop button (""), because the job may still run.

    `until_ms` is until when it counts. Without a badge nothing is asked any more.
    """

    badge: str | None
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class SeeCard:
    """Note that the session's card is in its holder, or out of it. Back in, it ends the grace time."""

    badge: str
    present: bool


@dataclass(frozen=True, slots=True)
class SetGrace:
    """Set when the session ends unless its card is back by then; None ends the grace time."""

    until_ms: int | None


@dataclass(frozen=True, slots=True)
class CountWork:
    """Note which parts report work, and which meters are broken (``machine.Machine``)."""

    at_work: frozenset[str]
    broken: frozenset[str]


@dataclass(frozen=True, slots=True)
class CountEnergy:
    """Note the count of the energy meter in Wh; None where it is unknown."""

    wh: int | None


@dataclass(frozen=True, slots=True)
class AddCause:
    """Add a cause that forbids new sessions, or replace its detail."""

    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class RemoveCause:
    """Remove a cause."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class AdoptRules:
    """Apply new rules from a roster, or its age."""

    rules: MachineRules
    stale: bool


Bookkeeping = (
    GiveTime
    | GiveNotice
    | AskAgain
    | SeeCard
    | SetGrace
    | CountWork
    | CountEnergy
    | AddCause
    | RemoveCause
    | AdoptRules
)
Intent = (
    Start
    | AskSupervisor
    | AcceptSupervisor
    | HandOver
    | CancelStart
    | TapAgain
    | Refuse
    | EndByRules
    | EndJob
    | ResumeJob
    | Cut
    | RecordFacts
    | AnswerFlag
    | TimeBadge
    | Bookkeeping
    | Signal
    | ClearFault
)
