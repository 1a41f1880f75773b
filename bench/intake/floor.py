"""Events on pages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from statistics import mean, median

import requests

from bench.collector.home import Home, empty, ingest, web
from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.intake.backlog import backlog
from bench.peers.broker import broker
from bench.peers.light_gates import LightGates, Outcome, Workload
from bench.process import BenchError, calling
from bench.run import Run
from fabgate.demo.processes.ports import free_port

GATES, LISTENERS, RATE, ENTRIES = 100, 50, 25.0, 3
#: How long it is quiet, before and after.
QUIET_S, ASK_EVERY_S = 4.0, 0.1
#: They show the same rows throughout: no event here concerns a person or ends a session.
OTHERS = ("/people", "/use/usage")


@measures(
    Figure("event to each of 50 pages, p99", "ms", 500),
    Figure("event to what a browser has drawn, p99", "ms", 500),
    Figure("other pages meanwhile, against a quiet floor", "ratio", 1.2),
)
def floor(run: Run) -> Passes:
    """How soon is an event on every page, and do other pages suffer? 100 gates, 50 event streams and one browser.

    Each pass is quiet for a while, then has 25 events a second, then is quiet again, so that a change in the computer's pace
    (collector/pace.py) affects both. Two other pages are requested all the time; each is compared with itself. The delay of
    an event is from a gate's publish until a page receives the pulse of its transaction. Each pass has a new collector: the
    floor of the last one would have twice as many gates.
    """
    for _ in range(PASSES):
        home, web_port = empty(run), free_port()
        with home.calling("manager", FABGATE_WEB_PORT=web_port) as manager:
            manager.call("gates", [f"b-{number}" for number in range(GATES)])  # each at a machine, or no floor shows it
            (*cookies, browsing, asking), _ = manager.call("cookies", LISTENERS + 2)
        with broker(run) as port, ingest(home, port), web(home, port, web_port):
            backlog(port, "earlier", gates=10, entries=100)  # something to add up
            with calling("bench.peers.listeners") as listeners, calling("bench.peers.browser") as browser:
                listeners.call("listen", web_port, cookies)
                browser.call("watch", web_port, browsing)
                others = Others(web_port, asking)
                workload = Workload(port=port, prefix="b", gates=GATES, entries=ENTRIES, rate=RATE, states=True)
                with LightGates(workload) as gates:
                    others.during(1)  # until the pulses of connecting are over
                    listeners.call("heard")
                    browser.call("drawn")
                    before = others.during(QUIET_S)
                    gates.send("run")
                    busy = others.during(GATES * (ENTRIES - 1) / RATE - 0.5)
                    outcome = gates.outcome()
                    others.during(1)  # until the pulses of the last events are over
                    after = others.during(QUIET_S)
                pulses = _pulses(home, outcome)
                yield (
                    percentile(waits_ms(pulses, listeners.call("heard")), 0.99),
                    percentile(waits_ms(pulses, [browser.call("drawn")]), 0.99),
                    mean(median(busy[path]) / median(before[path] + after[path]) for path in OTHERS),
                )


class Others:
    """Requests other pages over one open connection."""

    def __init__(self, port: int, cookie: str) -> None:
        self._session = requests.Session()
        self._session.headers["Cookie"] = cookie
        self._origin = f"http://127.0.0.1:{port}"

    def during(self, seconds: float) -> dict[str, list[float]]:
        """Return how many milliseconds each takes during the next `seconds`."""
        until, found = time.monotonic() + seconds, {path: list[float]() for path in OTHERS}
        for path in itertools.cycle(OTHERS):
            if time.monotonic() >= until:
                break
            began_s = time.perf_counter()
            answer = self._session.get(self._origin + path, allow_redirects=False, timeout=30)
            if answer.status_code != 200:
                raise BenchError(f"{path} was answered with {answer.status_code}")
            found[path].append((time.perf_counter() - began_s) * 1000)
            time.sleep(ASK_EVERY_S)
        return found


def _pulses(home: Home, outcome: Outcome) -> list[tuple[float, int]]:
    """Return for each event when it was published, and the first pulse of the transaction that stored it."""
    first = dict(home.rows("SELECT at, min(id) FROM collector_pulse GROUP BY at"))
    rows = home.rows(
        "SELECT j.name, e.seq, e.arrived_at FROM collector_entry e JOIN collector_journal j ON j.id = e.journal_id"
    )
    sent_at = outcome.sent_at
    return [(sent_at[f"{name}/{seq}"], int(first[at])) for name, seq, at in rows if f"{name}/{seq}" in sent_at]


def waits_ms(pulses: Sequence[tuple[float, int]], pages: Sequence[Sequence[tuple[float, int]]]) -> list[float]:
    """Return the milliseconds of each event on each page. Raises BenchError if one never arrived."""
    found = []
    for heard in pages:
        for sent_at, pulse in pulses:
            moment = min((at for at, newest in heard if newest >= pulse), default=None)
            if moment is None:
                raise BenchError(f"a page never received pulse {pulse}")
            found.append((moment - sent_at) * 1000)
    return found
