"""How fast does a gate deliver a backlog? 20,000 entries to Mosquitto, each acknowledged.

A real gate starts with the backlog in its journal. It is measured from the first entry that arrives at a light collector
until the gate's journal has the last acknowledgement. The peer is paho alone with a window of 20: it publishes the same
bytes to the same broker and subscriber, and waits for PUBACKs only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import people
from bench.gates import ROOT, GateProcess, boottime_ns, wait_for, write_config
from bench.harness import PASSES, Figure, Run
from bench.peers import broker, light_collector
from fabgate import wire
from fabgate.gate.clock import boot_id
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Draft, Journal

ENTRIES = 20_000


def measure(run: Run) -> list[Figure]:
    backlog = run.fresh("backlog") / "journal.db"
    _pile_up(backlog)
    stored = people.stored(run.folder / "1k.db", people.SMALL)
    run.log(f"{ENTRIES} entries are in a journal")
    ratios, rates, bares = [], [], []
    for number in range(1, PASSES + 1):
        rate = _flush(run, backlog, stored)
        bare = _bare(run, backlog)
        ratios.append(rate / bare)
        rates.append(rate)
        bares.append(bare)
        run.log(f"pass {number}: {rate:.0f} entries/s, bare {bare:.0f}/s, {rate / bare:.2f} x")
    return [
        run.figure("rate / bare paho, window 20", "ratio", ratios, 0.4, at_least=True),
        run.figure("rate", "1/s", rates),
        run.figure("bare rate", "1/s", bares, note="the peer: same bytes, broker and subscriber; PUBACKs only"),
    ]


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


def _flush(run: Run, backlog: Path, stored: Path) -> float:
    """Return how many entries a second a gate delivered."""
    folder = run.fresh("gate")
    with broker(run) as mqtt, light_collector(mqtt["port"]) as collector:
        config = write_config(folder, run.socket(), roster_db=stored, mqtt=mqtt)
        shutil.copy(backlog, folder / "state" / "journal.db")
        with GateProcess(config, run.socket()) as gate:
            gate.ready()
            assert collector.stdout
            began_s: float = json.loads(collector.stdout.readline())["at_s"]
            reader = JournalReader(folder / "state" / "journal.db")
            wait_for("the last acknowledgement", lambda: reader.bounds()[2] >= ENTRIES, timeout_s=120, look_s=0.02)
            took_s = time.monotonic() - began_s
            reader.close()
    return ENTRIES / took_s


def _bare(run: Run, backlog: Path) -> float:
    with broker(run) as mqtt, light_collector(mqtt["port"]):
        done = subprocess.run(
            [sys.executable, "-m", "bench.bare_publisher", str(mqtt["port"]), str(backlog), str(ENTRIES)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    return ENTRIES / float(done.stdout)
