"""How long does a gate wait before it tries its broker again?

Without a connection no lock reaches the machine, so a broker that does not answer is tried again within two seconds,
however long it has been away. That costs next to nothing: one packet where it is refused at once, three in four seconds
where the network swallows them. The time is chosen anew for each pause, or all gates of a workshop would come in step
when their broker is back.

A broker that answers and says no will say so until somebody mends a password or a certificate. Each of those attempts
costs it a look at both and a line in its log: there the pauses double.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

#: The longest pause while nobody answers; twice as long after a refusal, and so on.
AWAY_S: Final = 2.0
#: The longest pause while the broker refuses.
REFUSED_S: Final = 30.0


class Pauses:
    """The pauses of one gate, in seconds. `dice` gives a number from 0 to 1."""

    def __init__(self, dice: Callable[[], float] = random.random) -> None:
        self._dice = dice
        self._refusals = 0

    def after(self, *, refused: bool) -> float:
        """Return how long to wait after a connection that broke or never was, or that the broker refused."""
        self._refusals = self._refusals + 1 if refused else 0
        # Nobody counts to where the power would overflow: from the fourth refusal on it is the longest.
        most = min(AWAY_S * 2.0 ** min(self._refusals, 10), REFUSED_S)
        return most * (1 + self._dice()) / 2
