"""Chooses how long a gate waits before it tries to connect to its broker again.

Without a connection no lock reaches the machine, so a broker that does not answer is tried again within two seconds,
however long it has been away. That costs little: one packet where the connection is refused at once, three in four
seconds where packets are lost. Each pause is random, otherwise all gates of a workshop would come at the same moment
when their broker is back.

A broker that refuses the gate will do so until a password or a certificate is corrected, and each attempt costs it a
check of both and a line in its log: there the pauses double.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

#: The longest pause while the broker does not answer. It doubles with each refusal.
AWAY_S: Final = 2.0
#: The longest pause while the broker refuses.
REFUSED_S: Final = 30.0


class RetryPauses:
    """The pauses of one gate, in seconds. `dice` returns a random number from 0 to 1."""

    def __init__(self, dice: Callable[[], float] = random.random) -> None:
        self._dice = dice
        self._refusals = 0

    def after(self, *, refused: bool) -> float:
        """Return how long to wait after a connection that ended or failed, or that the broker refused."""
        self._refusals = self._refusals + 1 if refused else 0
        # The exponent is limited so that it cannot overflow: from the fourth refusal on the pause is the longest.
        most = min(AWAY_S * 2.0 ** min(self._refusals, 10), REFUSED_S)
        return most * (1 + self._dice()) / 2
