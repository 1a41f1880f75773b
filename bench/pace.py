"""Does this computer work at its own pace just now? On a shared one the neighbours halve it, for seconds at a time.

Neither load nor stolen time tells of it: a core is one thread of two, and the other one's is somebody else's. The same
bit of arithmetic takes 1.7 times as long then, and so does every page. What is measured in milliseconds is therefore
asked for when the computer is at its own pace, and says how often it was not. Its own is the pace that one in twenty of
all looks exceeds: there are two, far from each other, and a few looks that were lucky.
"""

from __future__ import annotations

import time
from bisect import insort

#: Up to so many times its own pace counts as the same: the slow one is 1.6 times.
OWN = 1.25
#: How long its own pace is waited for.
MOST_S = 2.0
_ROUNDS = 20_000
_FIRST_LOOKS, _LUCKY = 400, 20


class Pace:
    """The pace of one thread, against the computer's own."""

    def __init__(self) -> None:
        self._seen_s = sorted(_arithmetic_s() for _ in range(_FIRST_LOOKS))

    def now(self) -> float:
        """Return how many times as long as at the computer's own pace the same takes now."""
        took_s = _arithmetic_s()
        insort(self._seen_s, took_s)
        return took_s / self._seen_s[len(self._seen_s) // _LUCKY]

    def wait(self) -> None:
        """Wait until the computer is at its own pace, or for so long as anybody should."""
        until_s = time.monotonic() + MOST_S
        while self.now() > OWN and time.monotonic() < until_s:
            pass  # to sleep would lower the pace by itself


def _arithmetic_s() -> float:
    began_s, total = time.perf_counter(), 0
    for number in range(_ROUNDS):
        total += number * number % 7
    return time.perf_counter() - began_s
