"""How long does it take a gate to compute what a session cost? From the counters to the amount, once a second on a panel.

Sessions of up to eight hours on any day of a year, under a plain tariff and under one with peak hours.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from decimal import Decimal
from zoneinfo import ZoneInfo

from bench.harness import PASSES, Figure, Run, percentile
from fabgate.pricing import price as pricing
from fabgate.pricing.price import Use
from fabgate.pricing.tariffs import Peak, Tariff

SESSIONS = 10_000
ZONE = ZoneInfo("Europe/Paris")
WORKDAYS = frozenset(range(5))
PEAKS = (
    Peak(WORKDAYS, wall_time(12), wall_time(14), Decimal("0.20")),
    Peak(WORKDAYS, wall_time(17), wall_time(22), Decimal("0.25")),
)
PLAIN = Tariff(Decimal("0.10"), session_fee=Decimal("0.50"), minimum=Decimal(1), grace_s=30, step_s=60)
PEAK = Tariff(Decimal("0.10"), peaks=PEAKS, minimum=Decimal(1), grace_s=30, step_s=60)
TARIFFS = {"a plain tariff": PLAIN, "two peak windows": PEAK}


def measure(run: Run) -> list[Figure]:
    choose = random.Random(1)  # the same in each run
    first = datetime(2026, 1, 1, tzinfo=UTC)
    uses = [
        Use(choose.randrange(8 * 3_600_000), 0, first + timedelta(seconds=choose.randrange(365 * 86_400)))
        for _ in range(SESSIONS)
    ]
    figures = []
    for name, tariff in TARIFFS.items():
        p50s, p99s = [], []
        for number in range(1, PASSES + 1):
            took = [_timed_us(tariff, use) for use in uses]
            p50s.append(statistics.median(took))
            p99s.append(percentile(took, 0.99))
            run.log(f"pass {number}, {name}: p50 {p50s[-1]:.1f} us, p99 {p99s[-1]:.1f} us")
        figures += [
            run.figure(f"p50, {name}", "us", p50s, 40),
            run.figure(f"p99, {name}", "us", p99s),
        ]
    return figures


def _timed_us(tariff: Tariff, use: Use) -> float:
    began_ns = time.perf_counter_ns()
    pricing.minor_units(pricing.price(tariff, use, ZONE).amount, 2)
    return (time.perf_counter_ns() - began_ns) / 1000
