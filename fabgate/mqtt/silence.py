"""Decides when a connection over which nothing arrives is dead, and when to make a new one.

A broker may answer pings and confirm everything, and deliver nothing: Mosquitto does that once it has dropped
``max_inflight_messages`` messages that are larger than a client takes. Only a new connection ends it.

That nothing arrives does not suffice: the other side may be off or busy. So the owner asks the broker first, by
subscribing again to a topic with a retained message, which the broker then has to deliver. If that does not arrive, either, the
connection is dead. Decided in docs/decisions/0120.

Pure: no clock, no sockets. Times are milliseconds of a monotonic clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Final

#: How many times the broker is asked, and how long it has for each answer.
QUESTIONS: Final = 2
ANSWER_MS: Final = 15_000
#: The shortest time between two new connections. They do not help if the cause remains, and cost the broker something.
EVERY_MS: Final = 300_000
#: A new connection waits up to this long: all gates may notice at the same moment.
JITTER_MS: Final = 30_000
#: How long people are shown that a connection was dead. It may have lasted a minute, and they look once in a while.
SHOWN_MS: Final = 3_600_000


class Remedy(StrEnum):
    """What to do now about a connection over which nothing arrives."""

    NOTHING = "nothing"
    ASK = "ask"
    RECONNECT = "reconnect"


class Silence:
    """One side's connection. `dice` returns a random number from 0 to 1."""

    def __init__(self, dice: Callable[[], float] = random.random) -> None:
        self._dice = dice
        self._questions = 0
        self._asked_ms = 0
        #: When to connect again; None while the connection does not count as dead.
        self._reconnect_ms: int | None = None
        self._reconnected_ms: int | None = None

    def heard(self) -> None:
        """Note that a message of QoS 1 arrived, or that a new connection began."""
        self._questions, self._reconnect_ms = 0, None

    def look(self, now_ms: int, *, is_suspected: bool) -> Remedy:
        """Return what to do now; `is_suspected` is whether something should have arrived by now."""
        if not (is_suspected or self._questions):
            return Remedy.NOTHING
        if self._reconnect_ms is None:
            if self._questions and now_ms < self._asked_ms + ANSWER_MS:
                return Remedy.NOTHING
            if self._questions < QUESTIONS:
                self._questions += 1
                self._asked_ms = now_ms
                return Remedy.ASK
            soonest_ms = now_ms if self._reconnected_ms is None else max(now_ms, self._reconnected_ms + EVERY_MS)
            self._reconnect_ms = soonest_ms + round(JITTER_MS * self._dice())
        if now_ms < self._reconnect_ms:
            return Remedy.NOTHING
        self._reconnected_ms = now_ms
        self.heard()
        return Remedy.RECONNECT

    def deadline(self) -> int | None:
        """Return when ``look`` has to be called, or None."""
        if self._reconnect_ms is not None:
            return self._reconnect_ms
        return self._asked_ms + ANSWER_MS if self._questions else None

    def was_dead(self, now_ms: int) -> bool:
        """Return whether the connection is dead, or one was within SHOWN_MS."""
        if self._reconnect_ms is not None:
            return True
        return self._reconnected_ms is not None and now_ms - self._reconnected_ms < SHOWN_MS
