"""The list of sessions, among ten thousand and a million."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import parse_qs, urlencode, urlsplit

from bench.collector.home import DAYS, cached
from bench.collector.pages import TIMES, Pages, open_pages
from bench.figures import PASSES, Figure, Passes, measures, turns
from bench.peers import journals
from bench.process import BenchError
from bench.run import Run

SMALL, LARGE = 10_000, 1_000_000
WORST_RATIO = "the worst list that both have, at a million against 10,000"
SLOWEST = "the slowest list at a million"
PERSON = {"period": "all", "member": journals.member(0)}
MACHINE = {"period": "all", "machine": "3"}
QUIET = {"period": "all", "machine": "20"}
#: The page that a desk opens most, of a member with two thousand sessions.
DESK = f"/people/{journals.member(0)}"
#: How many pages to go on from the first; what is years back is found by its date.
DEEP = 40


def _met(person: int, machine: int) -> dict[str, str]:
    return {"period": "all", "member": journals.member(person), "machine": str(machine)}


#: The queries that both get, by their name in the table. A machine is given by its row.
ALIKE: dict[str, dict[str, str]] = {
    "newest": {},
    "one person": PERSON,
    "one machine": MACHINE,
    "nothing found": PERSON | {"reason": "cancelled"},
}
#: The queries of the smaller and of the larger one. Few sessions end by removal; unlike those that end by a power loss
#: they are certain, as those that end by badge: a mark of uncertainty makes a row longer.
AS_LONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "person and machine": (_met(1, 1), _met(385, 13)),
    "one reason": ({"reason": "badge"}, {"reason": "idle"}),
    "rare reason of a person": (PERSON | {"reason": "badge"}, PERSON | {"reason": "removed"}),
    "rare reason of a machine": (QUIET | {"reason": "badge"}, QUIET | {"reason": "removed"}),
    "uncertain of one": (
        {"period": "all", "machine": "1", "uncertain": "on"},
        {"period": "all", "member": journals.member(247), "uncertain": "on"},
    ),
}
#: Queries for which only the larger one has a full page.
LARGE_ONLY = {
    "person and machine, many": PERSON | MACHINE,
    "rarest reason of a person": PERSON | {"reason": "restart"},
    "rarest reason of a machine": QUIET | {"reason": "restart"},
    "uncertain": {"uncertain": "on"},
    "uncertain of a person": PERSON | {"uncertain": "on"},
}


@measures(
    Figure(WORST_RATIO, "ratio", 1.5),
    Figure(SLOWEST, "ms", 30),
    Figure("a person at the desk, at a million against 10,000", "ratio", 1.5),
)
def pages(run: Run) -> Passes:
    """Is every page of the list of sessions as fast at a million as at ten thousand, with each filter? In turns.

    Like is compared with like: both sides show the same number of rows, or the measurement breaks. What is rare among ten
    thousand sessions does not fill a page, and a page of few rows is made sooner. So the smaller collector gets a question of
    the same kind with an answer as long: for a common reason where the larger one gets a rare one, for a pair of person and
    machine that met as often. Where it has none, only the larger one's milliseconds are reported.
    """
    with open_pages(cached(run, SMALL)) as small, open_pages(cached(run, LARGE)) as large:
        run.log("both are ready")
        asked = {name: (_address(one), _address(other)) for name, (one, other) in _pairs().items()}
        asked["long ago"] = _long_ago(small), _long_ago(large)
        for name, query in (("one machine", MACHINE), ("one person", PERSON)):
            asked[f"{name}, page {DEEP}"] = _follow(small, query, 1), _follow(large, query, DEEP)
        for name, (one, other) in asked.items():
            rows, wanted = small.get(one)["rows"], large.get(other)["rows"]
            if rows != wanted:
                raise BenchError(
                    f"{name}: found {rows} rows among {SMALL:,} sessions, wanted {wanted} as among {LARGE:,}"
                )
        alone = {name: _address(query) for name, query in LARGE_ONLY.items()}
        ratios: dict[str, list[float]] = {name: [] for name in asked}
        times: dict[str, list[float]] = {name: [] for name in (*asked, *alone)}
        desk = []
        for number in range(1, PASSES + 1):
            for name, (one, other) in asked.items():
                small_ms, large_ms = map(median, turns(TIMES, _timed(small, one), _timed(large, other)))
                ratios[name].append(large_ms / small_ms)
                times[name].append(large_ms)
            desk.append(large.median_ms(DESK) / small.median_ms(DESK))
            for name, address in alone.items():
                times[name].append(large.median_ms(address))
            worst = max(times, key=lambda name: times[name][-1])
            run.log(f"round {number}: the slowest is '{worst}', {times[worst][-1]:.1f} ms")
        worst_ratio = max(asked, key=lambda name: median(ratios[name]))
        slowest = max(times, key=lambda name: median(times[name]))
        every = [f"{name} {median(times[name]):.1f} ms, {median(ratios[name]):.2f} x" for name in asked]
        every += [f"{name} {median(times[name]):.1f} ms" for name in alone]
        run.notes[WORST_RATIO] = worst_ratio
        run.notes[SLOWEST] = "; ".join(filter(None, (*every, large.paced)))
    yield from zip(ratios[worst_ratio], times[slowest], desk, strict=True)


def _pairs() -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    return {name: (query, query) for name, query in ALIKE.items()} | AS_LONG


def _timed(client: Pages, address: str) -> Callable[[], float]:
    return lambda: client.ms(address)


def _long_ago(client: Pages) -> str:
    """Return the address of the page after a row of the first months, where paging by OFFSET would be slowest."""
    last = (datetime.now(UTC) - timedelta(days=DAYS * 0.8)).date()
    first_months = {"period": "own", "first": "2000-01-01", "last": last.isoformat(), "machine": MACHINE["machine"]}
    older = parse_qs(urlsplit(client.get(_address(first_months))["older"]).query)
    if "after" not in older:
        raise BenchError("the first months have one page only")
    return _address(MACHINE | {"after": older["after"][0]})


def _address(query: dict[str, str]) -> str:
    return f"/use?{urlencode(query)}"


def _follow(client: Pages, query: dict[str, str], count: int) -> str:
    address = _address(query)
    for _ in range(count):
        older = client.get(address)["older"]
        if not older:
            raise BenchError(f"{address} is the last page")
        address = f"/use{older}"
    return address
