"""How long a device on a network was on: what its answers prove, and what they leave open.

An answer "on" proves that the device was on at one moment between question and answer. Two of them prove the time between them
if it cannot have been off in between: the same timer still runs, or an order that found it on has begun another one.
Nothing is proved after the last answer, not even by an answer "off": a hand may press the button while it is on its way. The
device may be on until its timer and the life of a packet are over.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: A packet is delivered within this time, or never (docs/decisions/0113).
PACKET_LIFE_S: Final = 5.0
#: So many stretches are remembered; of more, the oldest count as not proved.
_MOST: Final = 256


class Confirmed:
    """The proofs of one device. Times are seconds of the clock that its driver uses; only the driver calls what changes them."""

    def __init__(self) -> None:
        #: From when to when it was certainly on; the last one may still grow.
        self._stretches: deque[tuple[float, float]] = deque(maxlen=_MOST)
        self._is_open = False
        #: Whether an order on has no answer: it may switch on again what had gone off.
        self._is_in_doubt = False

    def orders_on(self) -> None:
        """Note that an order on is sent."""
        self._is_in_doubt = True

    def was_ordered_on(self, sent_s: float, at_s: float, *, was_on: bool) -> None:
        """Note that the device confirmed an order on, and whether it had been on before."""
        self._is_in_doubt = False
        self.saw_on(sent_s, at_s, unbroken=was_on)

    def saw_on(self, sent_s: float, at_s: float, *, unbroken: bool) -> None:
        """Note an answer at `at_s` to a question of `sent_s`: it is on. `unbroken`: it has not been off since the last one."""
        if self._is_open and unbroken and not self._is_in_doubt:
            first_s = self._stretches[-1][0]
            self._stretches[-1] = (first_s, max(first_s, sent_s))
        else:
            self._stretches.append((at_s, at_s))
            self._is_open = True

    def saw_off(self) -> None:
        """Note an answer: it is off."""
        self._is_open = False

    def bounds_s(self, began_s: float, ended_s: float, stays_on_s: float) -> tuple[float, float]:
        """Return for how long it was on since `began_s`, at least and at most, if it is not ordered on after `ended_s`.

        `stays_on_s` is for how long it may stay on after that.
        """
        stretches = list(self._stretches)
        least_s = sum(max(0.0, min(last_s, ended_s) - max(first_s, began_s)) for first_s, last_s in stretches)
        return least_s, ended_s + stays_on_s - began_s
