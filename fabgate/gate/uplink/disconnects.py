"""Explains why a connection to the broker ended.

Two gates with the same name (a copied card) disconnect each other: MQTT allows one connection for each client id. A
broker should then send DISCONNECT with the reason 0x8E, "Session taken over" (MQTT 5, section 3.1.4). Mosquitto 2.0.11,
which Debian 12 ships, closes the connection and sends nothing. Then the only sign is that the broker accepts the gate
again and again, and each time soon closes the connection.
"""

from __future__ import annotations

from typing import Final

#: A connection that the broker closes sooner than this was short: a second gate comes back after two seconds.
SHORT_MS: Final = 60_000
#: A broker that is restarted causes fewer short connections in a row than this, even with one more for a mistake in its
#: settings.
IN_A_ROW: Final = 3

_CLOSED: Final = "the broker closed the connection"
_TAKEN_OVER: Final = "Session taken over"


class Disconnects:
    """The ends of one gate's connections, in order; `account` is the gate's name at the broker."""

    def __init__(self, account: str) -> None:
        self._second = f"look for a second gate that is named {account} (a copied card)"
        #: How many connections in a row the broker accepted and closed without a reason, each but the first a short one.
        self._unexplained = 0

    def problem(self, reason: str, *, lasted_ms: int | None) -> str:
        """Return in words why a connection ended.

        `reason` is that of the broker or of this computer, or "". `lasted_ms` counts from the moment when the broker
        accepted the gate; None where it never did.
        """
        if reason or lasted_ms is None:
            self._unexplained = 0
            return f"{reason}; {self._second}" if _TAKEN_OVER in reason else reason or _CLOSED
        self._unexplained = self._unexplained + 1 if lasted_ms < SHORT_MS else 1
        if self._unexplained < IN_A_ROW:
            return _CLOSED
        return f"{_CLOSED} {self._unexplained} times in a row without a reason; {self._second}"
