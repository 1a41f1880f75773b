"""Finds out whether the broker delivers to the collector, and says what is wrong where it does not.

Without gates nothing arrives, and that is no fault. So the broker is asked (``fabgate.mqtt.silence``); it has to deliver our
own status, which is retained. If that arrives and nothing of the gates does, although the broker has announced none
of them as offline, its access list keeps their messages back. Decided in docs/decisions/0120.

Pure: no clock, no broker. Times are milliseconds of a monotonic clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from fabgate import wire
from fabgate.mqtt.client import BROKER_PACKET_BYTES
from fabgate.mqtt.silence import Remedy, Silence

#: After this long without a message the broker is asked: a gate that is on says something every minute.
QUIET_MS: Final = 90_000
#: After this long without a message of any gate, one that counts as online has missed its heartbeats.
NOTHING_MS: Final = 3 * wire.HEARTBEAT_S * 1000
DEAD: Final = (
    "the broker confirms and delivers nothing, or did within the last hour: set max_packet_size"
    f" {BROKER_PACKET_BYTES} in mosquitto.conf"
)


class Deliveries:
    """What arrives over the collector's connection. `dice` returns a random number from 0 to 1."""

    def __init__(self, now_ms: int, *, dice: Callable[[], float] = random.random) -> None:
        self._silence = Silence(dice)
        #: How many messages had arrived over the connection when one last did, and when.
        self._arrived = 0
        self._arrived_ms = now_ms
        #: When a message of a gate last arrived.
        self._gate_ms = now_ms

    def no_connection(self, now_ms: int) -> None:
        """Note that there is no connection now."""
        self._silence.heard()
        self._arrived, self._arrived_ms, self._gate_ms = 0, now_ms, now_ms

    def of_a_gate(self, now_ms: int) -> None:
        """Note that a message of a gate arrived."""
        self._gate_ms = now_ms

    def look(self, arrived: int, now_ms: int) -> Remedy:
        """Return what to do now. `arrived` is how many messages of QoS 1 have come over this connection."""
        if arrived != self._arrived:
            self._arrived, self._arrived_ms = arrived, now_ms
            self._silence.heard()
        return self._silence.look(now_ms, is_suspected=now_ms - self._arrived_ms >= QUIET_MS)

    def trouble(self, now_ms: int, *, online: Callable[[], int]) -> str:
        """Return what is wrong, as a text for people, or "".

        `online` returns how many gates count as online. It is called only if nothing has come from any gate for a while.
        """
        if self._silence.was_dead(now_ms):
            return DEAD
        if now_ms - self._gate_ms < NOTHING_MS or not (count := online()):
            return ""
        who = f"{count} gates were" if count > 1 else "one was"
        return f"nothing arrives from any gate, and {who} not announced as offline: check the broker's access list"
