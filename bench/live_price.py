"""How long does it take a gate to say what a session cost? From the counters to the amount, with a prepared tariff.

Sessions of up to eight hours on any day of a year, under a plain tariff and under one with peak hours. Beside it the price
that explains each step, which the collector stores: the first session of a day takes it longer.
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
from fabgate.pricing.live import LiveTariff
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
        live = LiveTariff(tariff, ZONE, 2)
        p50s, p99s, explained = [], [], []
        for number in range(1, PASSES + 1):
            took, amounts = zip(*(_timed(live, use) for use in uses), strict=True)
            p50s.append(statistics.median(took))
            p99s.append(percentile(took, 0.99))
            began_ns = time.perf_counter_ns()
            wanted = [pricing.minor_units(pricing.price(tariff, use, ZONE).amount, 2) for use in uses]
            explained.append((time.perf_counter_ns() - began_ns) / 1000 / SESSIONS)
            assert list(amounts) == wanted
            run.log(
                f"pass {number}, {name}: p50 {p50s[-1]:.1f} us, p99 {p99s[-1]:.1f} us; explained {explained[-1]:.1f}"
            )
        figures += [
            run.figure(f"p50, {name}", "us", p50s, 10),
            run.figure(f"p99, {name}", "us", p99s),
            run.figure(f"mean of the explained price, {name}", "us", explained),
        ]
    return figures


def _timed(live: LiveTariff, use: Use) -> tuple[float, int]:
    """Return the microseconds that it took, and the amount."""
    began_ns = time.perf_counter_ns()
    amount = live.cost(use.counted_ms, use.running_ms, use.start)
    return (time.perf_counter_ns() - began_ns) / 1000, amount
