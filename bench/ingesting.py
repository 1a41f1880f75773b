"""How fast is a backlog stored, compared with a paho subscriber that stores nothing? The sides take turns within a pass.

The peer reads message properties as the ingest does (decision 0027). A second subscriber uses paho's own reader: it is what
anyone gets who installs paho.

A pass: twenty gates deliver a thousand entries each, a tenth of them twice, from the moment they all start until each has
received the acknowledgement of its last one. Gates and broker are the same for all sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.collector import Child, Gates, Home, broker, check_stored_once, ingest
from bench.harness import PASSES, Figure, Run
from bench.light_gates import Outcome, Workload
from bench.usage import cpu_s

GATES, ENTRIES = 20, 1_000
SETTLE_GATES, SETTLE_ENTRIES = 4, 200


def backlog(port: int, prefix: str, gates: int = GATES, entries: int = ENTRIES) -> Outcome:
    """Deliver a backlog; return how it went."""
    made = Gates(Workload(port=port, prefix=prefix, gates=gates, entries=entries))
    try:
        made.go()
        return made.outcome()
    finally:
        made.kill()


@dataclass(frozen=True)
class Pace:
    """How fast a backlog was taken: entries a second, and microseconds of processor time for each."""

    rate: float
    cpu_us: float

    @classmethod
    def of(cls, pid: int, deliver: Callable[[], Outcome]) -> tuple[Pace, Outcome]:
        """Return the pace of the process that takes what `deliver` delivers, and the outcome."""
        before_s = cpu_s(pid)
        outcome = deliver()
        return cls(outcome.entries / outcome.took_s, (cpu_s(pid) - before_s) * 1e6 / outcome.entries), outcome


def peer(run: Run, *, tuned: bool, stock: bool = False) -> Pace:
    """Return the pace of the light collector; `stock`: with paho's own reader."""
    with broker(run, tuned=tuned) as port:
        light = Child("bench.light_collector", None, str(port), str(ENTRIES), *(["stock"] if stock else []))
        try:
            light.ready()
            return Pace.of(light.pid, lambda: backlog(port, "peer"))[0]
        finally:
            light.kill()


def ours(run: Run, home: Home, prefix: str, *, tuned: bool) -> Pace:
    """Return the pace of the ingest, which stores each entry once and acknowledges it."""
    Child("bench.books", home, "gates", prefix, str(GATES)).end()
    with broker(run, tuned=tuned) as port, ingest(home, port) as running:
        backlog(port, f"{prefix}w", SETTLE_GATES, SETTLE_ENTRIES)  # warms the cache of a million rows
        pace, outcome = Pace.of(running.pid, lambda: backlog(port, prefix))
    check_stored_once(home, prefix, outcome)
    return pace


def against_peer(run: Run, make: Callable[[int], Home], goal: float, what: str, *, tuned: bool = True) -> list[Figure]:
    """Return the figures of collectors that `make` returns, one a pass."""
    rates: list[Pace] = []
    peers: list[Pace] = []
    stocks: list[Pace] = []
    for number in range(1, PASSES + 1):
        home = make(number)
        sides: list[Callable[[], None]] = [
            lambda: peers.append(peer(run, tuned=tuned)),
            lambda: stocks.append(peer(run, tuned=tuned, stock=True)),
            lambda: rates.append(
                ours(run, home, f"p{number}", tuned=tuned)  # noqa: B023 (called in this very pass)
            ),
        ]
        for side in sides if number % 2 else sides[::-1]:
            side()
        run.log(
            f"pass {number}: {rates[-1].rate:.0f}/s stored, {peers[-1].rate:.0f}/s by the peer,"
            f" {stocks[-1].rate:.0f}/s by paho's own reader"
        )
    ratios = [mine.rate / other.rate for mine, other in zip(rates, peers, strict=True)]
    return [
        run.figure(f"{what}, against a subscriber that stores nothing", "ratio", ratios, goal, at_least=True),
        run.figure("entries stored", "1/s", [one.rate for one in rates]),
        run.figure("entries that the subscriber takes", "1/s", [one.rate for one in peers]),
        run.figure("entries that it takes with paho's own reader", "1/s", [one.rate for one in stocks]),
        run.figure("processor time for an entry", "us", [one.cpu_us for one in rates]),
        run.figure("processor time of the subscriber", "us", [one.cpu_us for one in peers]),
    ]
