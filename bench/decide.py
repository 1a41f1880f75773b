"""How long do the rules take for a badge? From the event to the order to record a session, look-up included.

Two gates take turns, tap by tap: one whose stored roster has 1,000 members, one with 100,000. Each tap is another
member's. No thread, no disk write, no output: only the look-up in SQLite and the rules.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

from bench import people
from bench.gates import write_config
from bench.harness import PASSES, Figure, Run, percentile
from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate

TAPS = 4_000


class Rules:
    """The rules over a stored roster, without the daemon around them."""

    def __init__(self, folder: Path, control_socket: str, size: int) -> None:
        folder.mkdir()
        config = write_config(folder, control_socket, roster_db=people.stored(folder / "roster.db", size))
        standing = RosterInForce(gate_config.load(config))
        self._gate = Gate(
            standing.look_up,
            standing.rules(),
            new_id=uuid7,
            run_sense=False,
            checkpoint_ms=30_000,
            latched=frozenset(),
        )
        self._boot_ms = 0
        self._size = size

    def tap(self, choose: random.Random) -> float:
        """Let a member start a session, and end it again; return the microseconds of the first tap."""
        badge = people.badge(choose.randrange(self._size))
        self._boot_ms += 60_000
        now, event = vocabulary.Now(self._boot_ms), vocabulary.Presented(badge)
        began_ns = time.perf_counter_ns()
        commands = self._gate.handle(event, now)
        took_ns = time.perf_counter_ns() - began_ns
        token = next(one.token for one in commands if isinstance(one, vocabulary.Record))
        on = self._gate.handle(vocabulary.Committed(token), now)
        assert any(isinstance(one, vocabulary.SetPower) for one in on)
        self._gate.handle(vocabulary.StopPressed(), now)
        return took_ns / 1000


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("rosters")
    small = Rules(folder / "small", run.socket(), people.SMALL)
    large = Rules(folder / "large", run.socket(), people.LARGE)
    run.log("two rosters are stored")
    choose = random.Random(1)  # the same in each run
    p50s, ratios, p99s = [], [], []
    for number in range(1, PASSES + 1):
        pairs = [(small.tap(choose), large.tap(choose)) for _ in range(TAPS)]
        at_small, at_large = (statistics.median(side) for side in zip(*pairs, strict=True))
        p50s.append(at_large)
        ratios.append(at_large / at_small)
        p99s.append(percentile([one for _, one in pairs], 0.99))
        run.log(f"pass {number}: p50 {at_large:.1f} us at 100,000, {at_small:.1f} us at 1,000; p99 {p99s[-1]:.1f} us")
    return [
        run.figure("p50 at 100,000 badges", "us", p50s, 40),
        run.figure("p50 at 100,000 / p50 at 1,000", "ratio", ratios, 1.3),
        run.figure("p99 at 100,000 badges", "us", p99s),
    ]
