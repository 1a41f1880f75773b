"""Says why entries wait for the collector, and finds a connection over which nothing arrives any more.

Entries that stay unacknowledged although they were repeated have one of several reasons: the collector is offline, stores
nothing or refuses this gate, all of which it says in its status; the broker refuses something; or the broker delivers
nothing. Only the last one is ended by a new connection (``fabgate.mqtt.silence``).

Pure: no sockets, no clock. Times are boot milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from fabgate import wire
from fabgate.mqtt.client import BROKER_PACKET_BYTES
from fabgate.mqtt.silence import EVERY_MS, Remedy, Silence

#: After this many repetitions without an acknowledgement (30 s with default settings) people are told.
REPEATS: Final = 2
DEAD: Final = "the broker confirms what this gate publishes and delivers nothing to it"
_REMEDY: Final = (
    f"a connection is made anew at most every {EVERY_MS // 60_000} min; set max_packet_size {BROKER_PACKET_BYTES} in"
    " mosquitto.conf (docs/install-by-hand.md)"
)


class Watch:
    """The deliveries of one gate, whose name is `gate`. `dice` returns a random number from 0 to 1."""

    def __init__(self, gate: str, *, dice: Callable[[], float] = random.random) -> None:
        self._gate = gate
        self._silence = Silence(dice)
        #: The last status of the collector that counts.
        self._collector: wire.CollectorStatus | None = None
        #: Whether the broker delivered that status on this connection: only then it would do so again.
        self._may_ask = False
        #: Repetitions since the mark moved, and since a message arrived.
        self._repeats = 0
        self._unheard = 0
        #: What the broker refused, until the mark moves; and whether it refused a subscription on this connection.
        self._refused = ""
        self._no_subscription = ""

    def connected(self) -> None:
        """Note a new connection."""
        self._silence.heard()
        self._unheard, self._may_ask, self._no_subscription = 0, False, ""

    def heard(self) -> None:
        """Note that a message of QoS 1 arrived."""
        self._silence.heard()
        self._unheard = 0

    def collector_is(self, status: wire.CollectorStatus) -> None:
        """Note what the collector says of itself."""
        self._collector, self._may_ask = status, True

    def refused(self, reason: str) -> None:
        """Note that the broker refused a message."""
        self._refused = reason

    def refused_subscription(self, reason: str) -> None:
        """Note that the broker refused a subscription."""
        self._no_subscription = reason

    def repeated(self) -> None:
        """Note that entries are published again because no acknowledgement came."""
        self._repeats += 1
        self._unheard += 1

    def acknowledged(self) -> None:
        """Note that the mark moved."""
        self._repeats, self._refused = 0, ""

    def due(self, now_ms: int) -> Remedy:
        """Return what to do now: nothing, ask for the collector's status, or connect again."""
        return self._silence.look(now_ms, is_suspected=self._may_ask and self._unheard >= REPEATS)

    def deadline(self) -> int | None:
        """Return when ``due`` has to be called, or None."""
        return self._silence.deadline()

    def problem(self, now_ms: int) -> str:
        """Return why entries wait, as a text for people, or ""."""
        if self._no_subscription:
            return f"the broker refuses a subscription ({self._no_subscription}): check its access list"
        if self._silence.was_dead(now_ms):
            return f"{DEAD}, or did within the last hour: {_REMEDY}"
        return "" if self._repeats < REPEATS else f"entries wait: {self._why()}"

    def _why(self) -> str:
        if self._refused:
            return f"the broker refuses them ({self._refused}); check its access list"
        status = self._collector
        if status is None:
            return "no collector has said at the broker that it serves this site"
        if not status.online:
            return "the collector is offline"
        if self._gate in status.refused:
            return "the collector refuses this gate for a while, because it sent more than a gate may"
        if status.trouble:
            return f"the collector stores nothing now: {status.trouble[:200]}"
        return "the collector is online and acknowledges nothing; its log says why (journalctl -u fabgate-collector@ingest)"
