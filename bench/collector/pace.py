"""Does this computer work at its own pace now? On a shared one others halve it, for seconds at a time.

Neither load nor stolen time shows it: a core is one thread of two, and the other thread belongs to somebody else. The same
arithmetic takes 1.7 times as long then, and so does every page. What is measured in milliseconds is therefore requested when
the computer is at its own pace, with a note on how often it was not. Its own pace is the fifth percentile of all samples:
they form two groups far apart, and a few lucky ones.
"""

from __future__ import annotations

import time
from bisect import insort

#: Up to this many times its own pace counts as the same; the slow pace is 1.6 times.
OWN = 1.25
#: How long to wait for its own pace.
MOST_S = 2.0
_ROUNDS = 20_000
_FIRST_LOOKS, _LUCKY = 400, 20


class Pace:
    """The pace of one thread, relative to the computer's own."""

    def __init__(self) -> None:
        self._seen_s = sorted(_arithmetic_s() for _ in range(_FIRST_LOOKS))

    def now(self) -> float:
        """Return how many times as long the same takes now as at the computer's own pace."""
        took_s = _arithmetic_s()
        insort(self._seen_s, took_s)
        return took_s / self._seen_s[len(self._seen_s) // _LUCKY]

    def wait(self) -> None:
        """Wait until the computer is at its own pace, but MOST_S at most."""
        until_s = time.monotonic() + MOST_S
        while self.now() > OWN and time.monotonic() < until_s:
            pass  # sleeping would itself lower the pace


def _arithmetic_s() -> float:
    began_s, total = time.perf_counter(), 0
    for number in range(_ROUNDS):
        total += number * number % 7
    return time.perf_counter() - began_s
