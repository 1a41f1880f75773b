"""What does the end of a connection to the broker say about its reason?

Two gates with the same name (a copied card) throw each other out: MQTT allows one connection for each client id. A
broker should then send DISCONNECT with the reason 0x8E, "Session taken over" (MQTT 5, section 3.1.4). Mosquitto 2.0.11,
which Debian 12 ships, closes the connection and sends nothing. What remains to be seen is that the broker accepts the
gate again and again, and each time soon closes the connection.
"""

from __future__ import annotations

from typing import Final

#: A connection that the broker closes sooner than this was short: a second gate comes back after two seconds.
SHORT_MS: Final = 60_000
#: So many in a row are more than a broker that is restarted, or restarted once more because of a mistake in its settings.
IN_A_ROW: Final = 3

_CLOSED: Final = "the broker closed the connection"
_TAKEN_OVER: Final = "Session taken over"


class Endings:
    """The ends of one gate's connections, in order; `account` is the gate's name at the broker."""

    def __init__(self, account: str) -> None:
        self._second = f"look for a second gate that is named {account} (a copied card)"
        #: How many connections in a row the broker accepted and closed without a reason, each but the first a short one.
        self._unexplained = 0

    def problem(self, said: str, *, lasted_ms: int | None) -> str:
        """Return a connection's end in words.

        `said` is the reason, if the broker or this computer gave one. `lasted_ms` counts from the moment when the broker
        accepted the gate; None says that it never did.
        """
        if said or lasted_ms is None:
            self._unexplained = 0
            return f"{said}; {self._second}" if _TAKEN_OVER in said else said or _CLOSED
        self._unexplained = self._unexplained + 1 if lasted_ms < SHORT_MS else 1
        if self._unexplained < IN_A_ROW:
            return _CLOSED
        return f"{_CLOSED} {self._unexplained} times in a row without a reason; {self._second}"
