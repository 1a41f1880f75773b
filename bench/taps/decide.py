"""The rules and the price, without the daemon around them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from decimal import Decimal
from zoneinfo import ZoneInfo

from bench.figures import PASSES, Figure, Passes, measures, percentile, turns
from bench.gates import people
from bench.gates.config import write_config
from bench.run import Run
from fabgate.gate.config import gate_yaml
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.pricing import price as pricing
from fabgate.pricing.price import Use
from fabgate.pricing.tariffs import Peak, Tariff
from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate

TAPS = 4_000
SESSIONS = 10_000
ZONE = ZoneInfo("Europe/Paris")
WORKDAYS = frozenset(range(5))
PEAKS = (
    Peak(WORKDAYS, wall_time(12), wall_time(14), Decimal("0.20")),
    Peak(WORKDAYS, wall_time(17), wall_time(22), Decimal("0.25")),
)
PLAIN = Tariff(Decimal("0.10"), session_fee=Decimal("0.50"), minimum=Decimal(1), grace_s=30, step_s=60)
PEAK = Tariff(Decimal("0.10"), peaks=PEAKS, minimum=Decimal(1), grace_s=30, step_s=60)


@measures(
    Figure("p50 at 100,000 badges", "us", 40),
    Figure("p50 at 100,000 / p50 at 1,000", "ratio", 1.3),
    Figure("p99 at 100,000 badges", "us"),
)
def decide(run: Run) -> Passes:
    """How long do the rules take for a badge? From the event to the order to record a session, look-up included.

    Two gates take turns, tap by tap: one whose stored roster has 1,000 members, one with 100,000. Each tap is another
    member's. No thread, no disk write, no output: only the look-up in SQLite and the rules.
    """
    choose = random.Random(1)  # the same in each run
    small, large = _taps(run, choose, people.SMALL), _taps(run, choose, people.LARGE)
    for _ in range(PASSES):
        at_small, at_large = turns(TAPS, small, large)
        p50 = statistics.median(at_large)
        yield p50, p50 / statistics.median(at_small), percentile(at_large, 0.99)


def _taps(run: Run, choose: random.Random, size: int) -> Callable[[], float]:
    """Return what lets a member start a session, and end it again, and returns the microseconds of the first tap."""
    in_force = RosterInForce(gate_yaml.load(write_config(run.fresh("gate"), run.socket(), size)))
    gate = Gate(
        in_force.look_up,
        in_force.rules(),
        new_id=uuid7,
        run_sense=False,
        checkpoint_ms=30_000,
        latched=frozenset(),
    )
    boot_ms = 0

    def tap() -> float:
        nonlocal boot_ms
        badge = people.badge(choose.randrange(size))
        boot_ms += 60_000
        now, event = vocabulary.Now(boot_ms), vocabulary.Presented(badge)
        began_ns = time.perf_counter_ns()
        commands = gate.handle(event, now)
        took_ns = time.perf_counter_ns() - began_ns
        token = next(one.token for one in commands if isinstance(one, vocabulary.Record))
        on = gate.handle(vocabulary.Committed(token), now)
        assert any(isinstance(one, vocabulary.SetPower) for one in on)
        gate.handle(vocabulary.StopPressed(), now)
        return took_ns / 1000

    return tap


@measures(
    Figure("p50, a plain tariff", "us", 40),
    Figure("p99, a plain tariff", "us"),
    Figure("p50, two peak windows", "us", 40),
    Figure("p99, two peak windows", "us"),
)
def live_price(_run: Run) -> Passes:
    """How long does it take a gate to compute what a session cost? From the counters to the amount, once a second on a panel.

    Sessions of up to eight hours on any day of a year, under a plain tariff and under one with peak hours.
    """
    choose = random.Random(1)  # the same in each run
    first = datetime(2026, 1, 1, tzinfo=UTC)
    uses = [
        Use(choose.randrange(8 * 3_600_000), 0, first + timedelta(seconds=choose.randrange(365 * 86_400)))
        for _ in range(SESSIONS)
    ]
    for _ in range(PASSES):
        values: list[float] = []
        for tariff in (PLAIN, PEAK):
            took_us = [_price_us(tariff, use) for use in uses]
            values += statistics.median(took_us), percentile(took_us, 0.99)
        yield values


def _price_us(tariff: Tariff, use: Use) -> float:
    began_ns = time.perf_counter_ns()
    pricing.minor_units(pricing.price(tariff, use, ZONE).amount, 2)
    return (time.perf_counter_ns() - began_ns) / 1000
