"""How soon is an event on every page, and do other pages suffer? 100 gates, 50 event streams and one browser.

Each pass is quiet for a while, then has 25 events a second, then is quiet again, so that a change in the computer's pace
(pace.py) affects both. Two other pages are requested all the time; each is compared with itself. The delay of an event is
from a gate's publish until a page receives the pulse of its transaction.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import requests

from bench.collector import Child, Gates, Home, broker, empty, ingest, web
from bench.gates import BenchError
from bench.harness import PASSES, Figure, Run, percentile
from bench.ingesting import backlog
from bench.light_gates import Outcome, Workload
from fabgate.demo.processes.ports import free_port

GATES, LISTENERS, RATE, ENTRIES = 100, 50, 25.0, 3
#: How long it is quiet, before and after.
QUIET_S, ASK_EVERY_S = 4.0, 0.1
#: They show the same rows throughout: no event here concerns a person or ends a session.
OTHERS = ("/people", "/use/usage")


def measure(run: Run) -> list[Figure]:
    heard_ms, drawn_ms, slowed = [], [], []
    for number in range(1, PASSES + 1):
        one = _pass(run)
        heard_ms.append(one.heard_ms)
        drawn_ms.append(one.drawn_ms)
        slowed.append(one.slowed)
        run.log(
            f"pass {number}: heard p99 {one.heard_ms:.0f} ms, drawn p99 {one.drawn_ms:.0f} ms, other pages:"
            f" {', '.join(f'{quiet:.0f} ms and {busy:.0f} ms' for quiet, busy in one.others_ms)}"
        )
    return [
        run.figure("event to each of 50 pages, p99", "ms", heard_ms, 500),
        run.figure("event to what a browser has drawn, p99", "ms", drawn_ms, 500),
        run.figure("other pages meanwhile, against a quiet floor", "ratio", slowed, 1.2),
    ]


@dataclass(frozen=True)
class Pass:
    """The figures of one collector: delays at the 99th percentile; the median of each other page while quiet, and busy."""

    heard_ms: float
    drawn_ms: float
    others_ms: list[tuple[float, float]]

    @property
    def slowed(self) -> float:
        """Return the slowdown of the other pages while it was busy."""
        return mean(busy / quiet for quiet, busy in self.others_ms)


def _pass(run: Run) -> Pass:
    """Measure with a new collector: the floor of the last one would have twice as many gates."""
    home, web_port = empty(run), free_port()
    manager = Child("bench.manager", home, FABGATE_WEB_PORT=web_port)
    manager.ready()
    manager.ask(
        f"gates {' '.join(f'b-{number}' for number in range(GATES))}"
    )  # each at a machine, or no floor shows it
    signed_in = manager.ask(f"cookies {LISTENERS + 2}")
    manager.kill()
    *cookies, browsing, asking = signed_in["cookies"]
    with broker(run) as port, ingest(home, port), web(home, port, web_port):
        backlog(port, "earlier", gates=10, entries=100)  # something to add up
        listeners = Child("bench.listeners", None, str(web_port))
        browser = Child("bench.browser", None, str(web_port))
        try:
            listeners.send(json.dumps(cookies))
            browser.send(browsing)
            listeners.ready()
            browser.ready()
            return _watched(home, port, Pages(web_port, asking), listeners, browser)
        finally:
            listeners.kill()
            browser.kill()


class Pages:
    """Requests other pages over one open connection."""

    def __init__(self, port: int, cookie: str) -> None:
        self._session = requests.Session()
        self._session.headers["Cookie"] = cookie
        self._origin = f"http://127.0.0.1:{port}"

    def ms(self, path: str) -> float:
        """Return how long an answer took."""
        began_s = time.perf_counter()
        answer = self._session.get(self._origin + path, allow_redirects=False, timeout=30)
        if answer.status_code != 200:
            raise BenchError(f"{path} was answered with {answer.status_code}")
        return (time.perf_counter() - began_s) * 1000

    def during(self, seconds: float) -> dict[str, list[float]]:
        """Return how long each takes during the next `seconds`."""
        until, found = time.monotonic() + seconds, {path: list[float]() for path in OTHERS}
        for path in itertools.cycle(OTHERS):
            if time.monotonic() >= until:
                return found
            found[path].append(self.ms(path))
            time.sleep(ASK_EVERY_S)
        raise AssertionError


def _watched(home: Home, port: int, pages: Pages, listeners: Child, browser: Child) -> Pass:
    workload = Workload(port=port, prefix="b", gates=GATES, entries=ENTRIES, again=False, rate=RATE, states=True)
    gates = Gates(workload)
    try:
        pages.during(1)  # until the pulses of connecting are over
        listeners.ask("clear")
        browser.ask("clear")
        before = pages.during(QUIET_S)
        gates.go()
        busy = pages.during(GATES * (ENTRIES - 1) / RATE - 0.5)
        outcome = gates.outcome()
        pages.during(1)  # until the pulses of the last events are over
        after = pages.during(QUIET_S)
    finally:
        gates.kill()
    pulses = _pulses(home, outcome)
    return Pass(
        heard_ms=percentile(_waits(pulses, listeners.ask("heard")), 0.99),
        drawn_ms=percentile(_waits(pulses, [browser.ask("drawn")]), 0.99),
        others_ms=[(median(before[path] + after[path]), median(busy[path])) for path in OTHERS],
    )


def _pulses(home: Home, outcome: Outcome) -> list[tuple[float, int]]:
    """Return for each event when it was published, and the first pulse of the transaction that stored it."""
    first = dict(home.rows("SELECT at, min(id) FROM collector_pulse GROUP BY at"))
    rows = home.rows(
        "SELECT j.name, e.seq, e.arrived_at FROM collector_entry e JOIN collector_journal j ON j.id = e.journal_id"
    )
    found = []
    for journal, seq, arrived_at in rows:
        sent_at = outcome.sent_at.get(f"{journal}/{seq}")
        if sent_at is not None:
            found.append((sent_at, int(first[arrived_at])))
    return found


def _waits(pulses: list[tuple[float, int]], pages: list[list[Any]]) -> list[float]:
    """Return the milliseconds of each event on each page. Raises BenchError if one never arrived."""
    found = []
    for heard in pages:
        for sent_at, pulse in pulses:
            moment = min((at for at, newest in heard if newest >= pulse), default=None)
            if moment is None:
                raise BenchError(f"a page never received pulse {pulse}")
            found.append((moment - sent_at) * 1000)
    return found
