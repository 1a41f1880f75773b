"""How fast is a backlog stored?

A pass: twenty gates deliver a thousand entries each, a tenth of them twice, from the moment they all start until each has
received the acknowledgement of its last one. Gates and broker are the same for all sides.

The peer is a paho subscriber that stores nothing. It reads message properties as the ingest does (decision 0027). A second
one uses paho's own reader: it is what anyone gets who installs paho. The sides take turns within a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from bench.collector.home import Home, cached, careful_postgresql, check_stored_once, empty
from bench.collector.home import ingest as run_ingest
from bench.figures import PASSES, Figure, Passes, in_turn, measures
from bench.peers.broker import TUNED, broker
from bench.peers.light_gates import Outcome, Workload, deliver
from bench.process import Process, calling
from bench.run import Run
from bench.usage import cpu_s

GATES, ENTRIES = 20, 1_000
LARGE = 1_000_000


class Pace(NamedTuple):
    """How fast a backlog was taken: entries a second, and microseconds of processor time for each."""

    rate: float
    cpu_us: float


def backlog(port: int, prefix: str, gates: int = GATES, entries: int = ENTRIES) -> Outcome:
    """Deliver a backlog; return how it went."""
    return deliver(Workload(port=port, prefix=prefix, gates=gates, entries=entries))


def settle(port: int, prefix: str) -> None:
    """Warm the cache of a million rows."""
    backlog(port, prefix, 4, 200)


def _against_peer(what: str, goal: float) -> tuple[Figure, ...]:
    return (
        Figure(f"{what}, against a subscriber that stores nothing", "ratio", goal, at_least=True),
        Figure("entries stored", "1/s"),
        Figure("entries that the subscriber takes", "1/s"),
        Figure("entries that it takes with paho's own reader", "1/s"),
        Figure("processor time for an entry", "us"),
        Figure("processor time of the subscriber", "us"),
    )


@measures(*_against_peer("20,000 entries", 0.42))
def ingest(run: Run) -> Passes:
    """In SQLite; each pass begins with an empty collector."""
    return _passes(run, lambda: empty(run))


@measures(*_against_peer("20,000 entries, broker untouched", 0.21))
def ingest_defaults(run: Run) -> Passes:
    """With Mosquitto's defaults, which drop what exceeds its small queues."""
    return _passes(run, lambda: empty(run), settings=())


@measures(*_against_peer("20,000 entries in PostgreSQL", 0.25))
def ingest_pg(run: Run) -> Passes:
    """In PostgreSQL, with durable commits, on this computer."""
    with careful_postgresql() as url:
        home = empty(run, database_url=url)
        yield from _passes(run, lambda: home)


@measures(
    Figure("20,000 entries with a million sessions, against an empty collector", "ratio", 0.4, at_least=True),
    Figure("entries stored with a million sessions", "1/s"),
    Figure("entries stored in an empty collector", "1/s"),
)
def ingest_history(run: Run) -> Passes:
    """Do a million stored sessions slow the ingest down? Compared with an empty collector, in turns within a pass."""
    full = cached(run, LARGE)
    for number in range(1, PASSES + 1):
        homes = empty(run), full
        fresh, old = in_turn(number, *(partial(_ours, run, home, f"p{number}") for home in homes))
        yield old.rate / fresh.rate, old.rate, fresh.rate


def _passes(run: Run, make: Callable[[], Home], settings: tuple[str, ...] = TUNED) -> Passes:
    """Yield the figures of collectors, one a pass, against both peers."""
    for number in range(1, PASSES + 1):
        home = make()
        peer, stock, ours = in_turn(
            number,
            partial(_peer, run, settings, stock=False),
            partial(_peer, run, settings, stock=True),
            partial(_ours, run, home, f"p{number}", settings),
        )
        yield ours.rate / peer.rate, ours.rate, peer.rate, stock.rate, ours.cpu_us, peer.cpu_us


def _peer(run: Run, settings: tuple[str, ...], *, stock: bool) -> Pace:
    with broker(run, settings) as port, calling("bench.peers.light_collector") as light:
        light.call("subscribe", port, ENTRIES, stock)
        return _pace(light, port, "peer")[0]


def _ours(run: Run, home: Home, prefix: str, settings: tuple[str, ...] = TUNED) -> Pace:
    """Return the pace of the ingest, which stores each entry once and acknowledges it."""
    home.call("books", "place", prefix, GATES)
    with broker(run, settings) as port, run_ingest(home, port) as running:
        settle(port, f"{prefix}w")
        pace, outcome = _pace(running, port, prefix)
    check_stored_once(home, prefix, outcome)
    return pace


def _pace(taker: Process, port: int, prefix: str) -> tuple[Pace, Outcome]:
    """Return the pace of the process that takes a backlog, and the outcome."""
    before_s = cpu_s(taker.pid)
    outcome = backlog(port, prefix)
    return Pace(outcome.entries / outcome.took_s, (cpu_s(taker.pid) - before_s) * 1e6 / outcome.entries), outcome
