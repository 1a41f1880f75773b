"""What should happen next: the answers of ``taps``, ``causes``, ``in_session``, ``starts``, ``flags`` and ``refusals``.

An intent is a plain value. ``power.Power`` carries intents out in their order, each on the state that the one before
it left, and it alone turns them into commands. The commands ``Signal`` and ``ClearFault`` are intents as they are.
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

    `sponsor_badge` is set where `holder` opens the session for an unknown `badge`.
    """

    badge: str
    holder: Holder
    basis: Basis
    sponsor_badge: str | None = None


@dataclass(frozen=True, slots=True)
class AskSupervisor:
    """Let a session of `holder` wait for a supervisor's badge; nothing is recorded yet."""

    badge: str
    holder: Holder
    basis: Basis


@dataclass(frozen=True, slots=True)
class AcceptSupervisor:
    """Record the start of the session that waits, with this supervisor, if it may still begin."""

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
    """Give up the session that waits, if one does. If its start is recorded, it ends for `reason` after 0 ms."""

    reason: EndReason = EndReason.CANCELLED


@dataclass(frozen=True, slots=True)
class TapAgain:
    """Decide afresh on this tap, on the state that the intents before this one left."""

    badge: str
    guest: str | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse a badge; ``refusals`` decides whether that is recorded, and whether an unknown badge gets an answer."""

    badge: str
    reasons: tuple[str, ...]
    member: str | None = None
    lang: str | None = None
    unknown: bool = False


# --- a session ends ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndByRules:
    """End the session in order: a running job is finished, then the fan runs on, then power goes off."""

    reason: EndReason
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class EndJob:
    """The job is done: the fan runs on, then power goes off."""


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """The machine works again while the fan runs on."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Power off now; then end the session, or cancel the start; then record `facts`.

    `reason` is None where the session is ending already, for a reason that is known.
    """

    reason: EndReason | None = None
    facts: tuple[Fact, ...] = ()


# --- the record, and the flag -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """Put facts on record."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class AnswerFlag:
    """A known badge answers the open question of the flag button (see ``flags``)."""

    badge: str
    member: str
    rank: Level
    lang: str | None


@dataclass(frozen=True, slots=True)
class TimeBadge:
    """Count how long the badge that ends a session stays on the reader (see ``flags``)."""

    badge: str


# --- what is known: ``bookkeeping`` carries these out, and none of them touches power ------------------------------------


@dataclass(frozen=True, slots=True)
class GiveTime:
    """Move the session's limit, and the time from which it idles."""

    limit_at: int
    idle_since: int


@dataclass(frozen=True, slots=True)
class SeeCard:
    """The card of a session is in its holder, or out of it. A card that is in ends the grace time."""

    badge: str
    present: bool


@dataclass(frozen=True, slots=True)
class SetGrace:
    """The session ends at `until_ms` unless its card is back by then; None: no grace time runs."""

    until_ms: int | None


@dataclass(frozen=True, slots=True)
class CountWork:
    """The machine started or stopped working."""

    on: bool


@dataclass(frozen=True, slots=True)
class AddCause:
    """A cause forbids new sessions. One that is known gets the new detail."""

    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class RemoveCause:
    """A cause is gone."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class AdoptRules:
    """A roster brought these rules, or grew stale."""

    rules: MachineRules
    stale: bool


Bookkeeping = GiveTime | SeeCard | SetGrace | CountWork | AddCause | RemoveCause | AdoptRules
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
