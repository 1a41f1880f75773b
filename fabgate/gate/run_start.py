"""Records that a run of the gate begins, and ends the session that the last run left open."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

import msgspec

import fabgate
from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.clock import Clock
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.journal.facts import FactWriter, close_unfinished, since_checkpoint, wall_floor
from fabgate.gate.journal.throttle import CRASH_LOOP_ENTRIES, EntryThrottle, is_crash_loop
from fabgate.gate.journal.writer import Change, Journal, OpenSession
from fabgate.gate.roster.locks import Locks
from fabgate.gate.terminal.rename import previous_journal
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)

#: How many of the last executed commands are remembered.
COMMANDS_MOST = 1_000


class RunStart(msgspec.Struct, frozen=True):
    """What the journal gives a new run: the locks on record, and which entries may be written how often."""

    locks: Locks
    throttle: EntryThrottle


def record_start(
    journal: Journal,
    writer: FactWriter,
    config: Config,
    clock: Clock,
    *,
    session_was_cut: Callable[[], None],
    stays_on_ms: int = 0,
) -> RunStart:
    """Write ``gate.started`` and the end of an unfinished session in one transaction.

    `session_was_cut` is called where there was such a session. `stays_on_ms` is for how long the output stays on by itself
    after the gate's last order. Raises JournalError; then call it again.
    """
    clock.floor = wall_floor(journal.last_time_ms())
    locks = Locks.from_text(journal.lock())
    now = clock.now()
    wire_clock = writer.clock(now)
    replaces = previous_journal(config.state_dir) if journal.head == 0 else None
    started = wire.GateStarted(clock=wire_clock, version=fabgate.__version__, replaces=replaces)
    drafts = [writer.draft("gate.started", started, now)]
    unfinished = journal.open_session()
    closes: frozenset[str] = frozenset()
    if unfinished is not None:
        ended = close_unfinished(
            unfinished,
            boot=clock.boot,
            boot_ms=now.boot_ms,
            clock=wire_clock,
            checkpoint_ms=config.journal.checkpoint_s * 1000,
            since_ms=_since_checkpoint(journal, unfinished, now),
            stays_on_ms=stays_on_ms,
        )
        log.warning(
            "a session of %s was left open: closed as %s with %d ms and an uncertainty of %d ms",
            ended.member,
            ended.reason,
            ended.energised_ms,
            ended.uncertainty_ms,
        )
        drafts.append(writer.draft("session.ended", ended, now))
        closes = frozenset({unfinished.session})
        session_was_cut()
    throttle = EntryThrottle(crash_loop=is_crash_loop(journal.recent_types(most=CRASH_LOOP_ENTRIES)))
    admitted = throttle.admit(drafts, now.boot_ms)
    if admitted:
        journal.append(admitted, Change(closes=closes))
    return RunStart(locks, throttle)


def executed_commands(journal: Journal) -> set[str]:
    """Return the ids of the commands that were executed before: none is executed twice."""
    ids = set()
    for body in journal.recent("command.executed", most=COMMANDS_MOST):
        with contextlib.suppress(UsageError):  # an entry that cannot be read must not stop the start
            data = wire.decode_data(wire.decode_entry(body))
            if isinstance(data, wire.CommandExecuted):
                ids.add(data.command)
    return ids


def _since_checkpoint(journal: Journal, unfinished: OpenSession, now: vocabulary.Now) -> int | None:
    for body in journal.recent("session.started", most=1):
        with contextlib.suppress(UsageError):  # an entry that cannot be read ties no clock to wall time
            return since_checkpoint(unfinished, wire.decode_entry(body), now)
    return None
