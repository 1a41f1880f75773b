"""Is any page of the list of sessions as fast at a million as at ten thousand, whatever the filter? Both take turns."""

from __future__ import annotations

from statistics import median
from typing import Any
from urllib.parse import urlencode

from bench import books, entries
from bench.asked import Asker
from bench.gates import BenchError
from bench.harness import PASSES, Figure, Run

SMALL, LARGE = 10_000, 1_000_000
TIMES = 5
MEMBER = entries.member(3)
#: What a person asks for, by what it is called in the table. A machine is named by its row.
LISTS = {
    "newest": {},
    "one person": {"period": "all", "member": MEMBER},
    "one machine": {"period": "all", "machine": "3"},
    "person and machine": {"period": "all", "member": MEMBER, "machine": "3"},
    "one reason": {"reason": "idle"},
    "rare reason of a person": {"period": "all", "member": MEMBER, "reason": "restart"},
    "rare reason of a machine": {"period": "all", "machine": "20", "reason": "restart"},
    "uncertain": {"uncertain": "on"},
    "uncertain of a person": {"period": "all", "member": entries.member(390), "uncertain": "on"},
    "nothing found": {"period": "all", "member": MEMBER, "reason": "cancelled"},
}
#: How many pages further than the first one is asked for; what lies years back is found by a moment of long ago.
DEEP = 40


def measure(run: Run) -> list[Figure]:
    with Asker(books.kept(run, SMALL)) as small, Asker(books.kept(run, LARGE)) as large:
        run.say("both answer")
        asked = {name: (_address(small, query), _address(large, query)) for name, query in LISTS.items()}
        asked |= {f"{name}, page {DEEP}": _deep(small, large, LISTS[name]) for name in ("one machine", "one person")}
        asked["long ago"] = (f"/use?{urlencode(_LONG_AGO)}",) * 2
        ratios: dict[str, list[float]] = {name: [] for name in asked}
        times: dict[str, list[float]] = {name: [] for name in asked}
        for number in range(1, PASSES + 1):
            for name, (one, other) in asked.items():
                pairs = [(small.ms(one), large.ms(other)) for _ in range(TIMES)]
                ratios[name].append(median(b for _, b in pairs) / median(a for a, _ in pairs))
                times[name].append(median(b for _, b in pairs))
            worst = max(asked, key=lambda name: times[name][-1])
            run.say(f"pass {number}: the slowest is '{worst}', {times[worst][-1]:.1f} ms")
    worst_ratio = max(asked, key=lambda name: median(ratios[name]))
    worst_time = max(asked, key=lambda name: median(times[name]))
    every = "; ".join(f"{name} {median(times[name]):.1f} ms, {median(ratios[name]):.2f} x" for name in asked)
    return [
        run.figure("the worst list, at a million against 10,000", "ratio", ratios[worst_ratio], 1.5, note=worst_ratio),
        run.figure("the slowest list at a million", "ms", times[worst_time], 30, note=every),
    ]


#: The oldest of one machine: where paging by counting would have to count the most.
_LONG_AGO = {"period": "all", "machine": "3", "before": "1700000000000000_0"}


def _address(asker: Asker, query: dict[str, Any]) -> str:
    address = f"/use?{urlencode(query)}"
    asker.ms(address)
    return address


def _deep(small: Asker, large: Asker, query: dict[str, Any]) -> tuple[str, str]:
    return _follow(small, query, 1), _follow(large, query, DEEP)


def _follow(asker: Asker, query: dict[str, Any], pages: int) -> str:
    address = f"/use?{urlencode(query)}"
    for _ in range(pages):
        older = asker.get(address)["older"]
        if not older:
            raise BenchError(f"{address} is the last page")
        address = f"/use{older}"
    return address
