"""Turns the rules' facts into journal entries.

``rules`` knows nothing of messages and files. Only this module turns its dataclasses into ``wire`` messages, and
decides which facts open and close the durable checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from fabgate import wire
from fabgate.gate.journal.writer import Change, Draft, OpenSession
from fabgate.rules import vocabulary

#: What a power cut adds to the uncertainty of a session, besides the time since its checkpoint.
POWER_LOSS_SLACK_MS: Final = 60_000
#: The length to which texts and lists are cut in an entry that would be too large.
CUT_LETTERS: Final = 200
CUT_ITEMS: Final = 15


class FactWriter:
    """Turns facts into drafts. `boot` is the boot id; `roster` returns the version in force; `new_uid` makes an id.

    `bounds` returns the least and the most time with power (ms) for what the rules counted, and whether the machine was
    handed over. The rules count from order to order, which is exact where the output is a line of this computer.
    """

    def __init__(
        self,
        *,
        boot: str,
        new_uid: Callable[[], str],
        checkpoint_ms: int,
        roster: Callable[[], int] = lambda: 0,
        bounds: Callable[[int, bool], tuple[int, int]] = lambda counted_ms, _goes_on: (counted_ms, counted_ms),
    ) -> None:
        self._bounds = bounds
        self._boot = boot
        self._new_uid = new_uid
        self._checkpoint_ms = checkpoint_ms
        self._roster = roster

    def clock(self, at: vocabulary.Now) -> wire.Clock:
        """Return the wire form of a time."""
        return wire.Clock(boot=self._boot, boottime_ms=at.boot_ms, synced=at.synced)

    def draft(self, event_type: str, data: wire.Data, at: vocabulary.Now) -> Draft:
        """Return a draft. It has no time while the wall clock is not synchronised, and its longest texts are cut.

        An entry that is too large could never be written, and all later ones would wait for it.
        """
        time = at.local.astimezone(UTC) if at.synced and at.local else None
        return Draft(self._new_uid(), event_type, cut_to_fit(data), time)

    def drafts(
        self, facts: Sequence[vocabulary.Fact], at: vocabulary.Now, rules: vocabulary.MachineRules
    ) -> tuple[list[Draft], Change]:
        """Return the drafts of one record, in order, and what else its transaction changes."""
        drafts = [self.draft(*self._message(fact, at), at) for fact in facts]
        started = [fact for fact in facts if isinstance(fact, vocabulary.Started)]
        closed = frozenset(fact.session for fact in facts if isinstance(fact, vocabulary.Ended))
        opens = self._checkpoint_of(started[-1], at, rules) if started and started[-1].session not in closed else None
        return drafts, Change(opens=opens, closes=closed, latch=_latched(facts), unlatch=_unlatched(facts))

    def _checkpoint_of(
        self, fact: vocabulary.Started, at: vocabulary.Now, rules: vocabulary.MachineRules
    ) -> OpenSession:
        # Where a session waits for its job, power may have stayed on long after the last checkpoint.
        finish_ms = rules.finish_max_ms + rules.run_on_ms if rules.finishes_jobs else rules.run_on_ms
        return OpenSession(
            session=fact.session,
            member=fact.member,
            badge=fact.badge,
            roster=self._roster(),
            energised_ms=0,
            running_ms=0,
            boot=self._boot,
            boot_ms=at.boot_ms if fact.energised_from_ms is None else fact.energised_from_ms,
            slack_ms=self._checkpoint_ms + POWER_LOSS_SLACK_MS + finish_ms,
        )

    def _message(self, fact: vocabulary.Fact, at: vocabulary.Now) -> tuple[str, wire.Data]:
        clock, roster = self.clock(at), self._roster()
        match fact:
            case vocabulary.Started():
                basis = wire.Basis(
                    kind=fact.basis.kind,
                    grant=fact.basis.grant,
                    stale_roster=fact.basis.stale_roster,
                    would_refuse=list(fact.basis.would_refuse),
                )
                return "session.started", wire.SessionStarted(
                    clock=clock,
                    session=fact.session,
                    member=fact.member,
                    badge=fact.badge,
                    basis=basis,
                    mode=fact.mode,
                    roster=roster,
                    supervisor=fact.supervisor,
                    continues=fact.continues,
                    energised_from_ms=fact.energised_from_ms,
                )
            case vocabulary.Ended():
                least_ms, most_ms = self._bounds(fact.energised_ms, fact.reason is vocabulary.EndReason.HANDOVER)
                return "session.ended", wire.SessionEnded(
                    clock=clock,
                    session=fact.session,
                    member=fact.member,
                    badge=fact.badge,
                    reason=fact.reason,
                    energised_ms=least_ms,
                    running_ms=min(fact.running_ms, least_ms),
                    roster=roster,
                    energy_wh=_energy(fact.energy_wh),
                    uncertainty_ms=min(most_ms - least_ms, wire.MAX_DURATION_MS),
                    running_unknown_ms=fact.running_unknown_ms or UNSET,
                    actor=fact.actor,
                )
            case vocabulary.Progress():
                least_ms, _ = self._bounds(fact.energised_ms, True)
                return "session.progress", wire.SessionProgress(
                    clock=clock,
                    session=fact.session,
                    member=fact.member,
                    badge=fact.badge,
                    energised_ms=least_ms,
                    running_ms=min(fact.running_ms, least_ms),
                    roster=roster,
                    energy_wh=_energy(fact.energy_wh),
                    running_unknown_ms=fact.running_unknown_ms or UNSET,
                )
            case vocabulary.Refused():
                return "access.refused", wire.AccessRefused(
                    clock=clock, badge=fact.badge, member=fact.member, reasons=list(fact.reasons), roster=roster
                )
            case vocabulary.Blocked():
                level = "cut" if fact.cause in vocabulary.CUT else "hold"
                return "machine.blocked", wire.MachineBlocked(
                    clock=clock, cause=fact.cause, level=level, detail=fact.detail or None
                )
            case vocabulary.Cleared():
                return "machine.cleared", wire.MachineCleared(clock=clock, cause=fact.cause, member=fact.member)
            case vocabulary.Flagged():
                return "machine.flagged", wire.MachineFlagged(
                    clock=clock, kind=fact.kind, member=fact.member, badge=fact.badge
                )


def _energy(energy_wh: int | None) -> int | msgspec.UnsetType:
    """Return what an entry tells of energy: nothing where it is unknown, or more than any machine can take."""
    return UNSET if energy_wh is None or energy_wh > wire.MAX_ENERGY_WH else energy_wh


def since_checkpoint(session: OpenSession, started: wire.Entry, now: vocabulary.Now) -> int | None:
    """Return how many milliseconds ago, by the wall clock, the checkpoint was; None where that is unknown.

    `started` is the first entry of the session: it ties the clock of that boot to wall time.
    """
    data = wire.decode_data(started)
    if not isinstance(data, wire.SessionStarted) or data.session != session.session or data.clock.boot != session.boot:
        return None
    if not isinstance(started.time, datetime) or not now.synced or now.local is None:
        return None
    at = started.time + timedelta(milliseconds=session.boot_ms - data.clock.boottime_ms)
    ago_ms = round((now.local - at) / timedelta(milliseconds=1))
    return ago_ms if ago_ms >= 0 else None


def close_unfinished(
    session: OpenSession,
    *,
    boot: str,
    boot_ms: int,
    clock: wire.Clock,
    checkpoint_ms: int,
    since_ms: int | None,
    stays_on_ms: int = 0,
) -> wire.SessionEnded:
    """Return the end of a session that this start found open, with its uncertainty.

    The true time is in [energised_ms, energised_ms + uncertainty_ms]. Within one boot the pin may have stayed high until
    now. After another boot it is unknown when the power failed, but it was soon after the checkpoint, or after the rules'
    longest wait for a job, which may be hours. Where it is known that the checkpoint was written `since_ms` ago, the
    uncertainty is at most that, plus one interval of checkpoints: wall time may be slightly wrong. `stays_on_ms` is for how
    long the output stays on by itself after the gate's last order.
    """
    same_boot = session.boot == boot
    slack_ms = session.slack_ms
    if since_ms is not None:
        slack_ms = min(slack_ms, checkpoint_ms + POWER_LOSS_SLACK_MS + since_ms)
    return wire.SessionEnded(
        clock=clock,
        session=session.session,
        member=session.member,
        badge=session.badge,
        reason=vocabulary.EndReason.RESTART if same_boot else vocabulary.EndReason.POWER_LOSS,
        energised_ms=session.energised_ms,
        running_ms=session.running_ms,
        roster=session.roster,
        # Limited for a gate that was not started for a year within one boot.
        uncertainty_ms=min(
            (max(0, boot_ms - session.boot_ms) if same_boot else slack_ms) + stays_on_ms, wire.MAX_DURATION_MS
        ),
    )


D = TypeVar("D", bound=wire.Data)


def cut_to_fit(data: D) -> D:
    """Return `data`, with its texts and lists cut if it would be too large for an entry."""
    if len(wire.encode(data)) <= wire.MAX_ENTRY_BYTES // 2:
        return data
    return msgspec.convert(_cut(msgspec.to_builtins(data)), type(data))


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= CUT_LETTERS else f"{value[: CUT_LETTERS - 1]}…"
    if isinstance(value, list):
        return [_cut(item) for item in value[:CUT_ITEMS]]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return value


def describe(fact: vocabulary.Fact) -> str:
    """Return one line for the log: who, what, why, how long; never a badge in full."""
    match fact:
        case vocabulary.Started():
            return f"session {fact.session[-6:]} of {fact.member} starts ({fact.basis.kind}, badge …{fact.badge[-6:]})"
        case vocabulary.Ended():
            return f"session {fact.session[-6:]} of {fact.member} ends ({fact.reason}) after {fact.energised_ms} ms{_told(fact.energy_wh)}"
        case vocabulary.Progress():
            return (
                f"session {fact.session[-6:]} of {fact.member} continues: {fact.energised_ms} ms{_told(fact.energy_wh)}"
            )
        case vocabulary.Refused():
            return f"refused {fact.member or 'an unknown person'} (badge …{fact.badge[-6:]}): {', '.join(fact.reasons)}"
        case vocabulary.Blocked():
            return f"blocked: {fact.cause} {fact.detail}".strip()
        case vocabulary.Cleared():
            return f"cleared: {fact.cause}{f' by {fact.member}' if fact.member else ''}"
        case vocabulary.Flagged():
            return f"flagged by {fact.member}: {fact.kind}"


def _told(energy_wh: int | None) -> str:
    return "" if energy_wh is None else f", {energy_wh} Wh"


def wall_floor(last_ms: int | None) -> datetime | None:
    """Return the last wall time known to a journal."""
    return None if last_ms is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=last_ms)


def _latched(facts: Sequence[vocabulary.Fact]) -> frozenset[str]:
    causes = {
        fact.cause.value for fact in facts if isinstance(fact, vocabulary.Blocked) and fact.cause in vocabulary.LATCHING
    }
    return frozenset(causes | {fact.kind.value for fact in facts if isinstance(fact, vocabulary.Flagged)})


def _unlatched(facts: Sequence[vocabulary.Fact]) -> frozenset[str]:
    causes = {fact.cause.value for fact in facts if isinstance(fact, vocabulary.Cleared)}
    return frozenset(causes | {vocabulary.FlagKind.DANGER.value} if vocabulary.Cause.FLAG in causes else causes)
