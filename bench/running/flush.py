"""The way of a gate's entries to the broker."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import PASSES, Figure, Passes, measures
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.process import GateProcess, boottime_ns, uplink
from bench.process import calling, wait_for
from bench.run import Run
from fabgate import wire
from fabgate.gate.clock import boot_id
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Draft, Journal

ENTRIES = 20_000


@measures(
    Figure("rate / bare paho, window 20", "ratio", 0.4, at_least=True),
    Figure("rate", "1/s"),
    Figure("bare rate", "1/s", note="the peer: same bytes, broker and subscriber; PUBACKs only"),
)
def flush(run: Run) -> Passes:
    """How fast does a gate deliver a backlog? 20,000 entries to Mosquitto, each acknowledged.

    A real gate starts with the backlog in its journal. It is measured from the first entry that arrives at a light collector
    until the gate's journal has the last acknowledgement. The peer is paho alone with a window of 20: it publishes the same
    bytes to the same broker and subscriber, and waits for PUBACKs only.
    """
    backlog = run.fresh("backlog") / "journal.db"
    _pile_up(backlog)
    run.log(f"{ENTRIES} entries are in a journal")
    for _ in range(PASSES):
        rate = ENTRIES / _gate_s(run, backlog)
        with uplink(run) as (mqtt, _light), calling("bench.peers.bare_client") as peer:
            bare = ENTRIES / peer.call("publish", mqtt["port"], str(backlog), ENTRIES)
        yield rate / bare, rate, bare


def _pile_up(path: Path) -> None:
    """Write a journal as 10,000 sessions leave it."""
    journal = Journal(path, wire.GateTopics(people.SITE, people.GATE))
    journal.open()
    clock = wire.Clock(boot=boot_id(), boottime_ms=boottime_ns() // 1_000_000, synced=True)
    now = datetime.now(UTC)
    for first in range(0, ENTRIES, 1000):
        drafts: list[Draft] = []
        for number in range(first, first + 1000, 2):
            session, badge = uuid7(), people.badge(number)
            started = wire.SessionStarted(
                clock=clock,
                session=session,
                member=f"m-{number:06d}",
                badge=badge,
                basis=wire.Basis(kind="grant", grant="training-1"),
                mode="tap",
                roster=1,
            )
            ended = wire.SessionEnded(
                clock=clock,
                session=session,
                member=f"m-{number:06d}",
                badge=badge,
                energised_ms=60_000,
                running_ms=30_000,
                uncertainty_ms=0,
                reason="button",
            )
            drafts += [Draft(uuid7(), "session.started", started, now), Draft(uuid7(), "session.ended", ended, now)]
        journal.append(drafts)
    journal.close()


def _gate_s(run: Run, backlog: Path) -> float:
    """Return the seconds in which a gate delivers the backlog."""
    with uplink(run) as (mqtt, light):
        config = write_config(run.fresh("gate"), run.socket(), people.SMALL, mqtt=mqtt)
        journal = config.parent / "state" / "journal.db"
        shutil.copy(backlog, journal)
        with GateProcess(config) as gate:
            gate.ready()
            began_s = light.call("first_entry_s")
            reader = JournalReader(journal)
            wait_for("the last acknowledgement", lambda: reader.bounds()[2] >= ENTRIES, timeout_s=120, look_s=0.02)
            took_s = time.monotonic() - float(began_s)
            reader.close()
    return took_s
