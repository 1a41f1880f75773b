"""Decides which gates are shut out for a while, because they send more than one gate may, and for how long.

The broker has one queue for the collector, which all gates share. A gate that sends faster than ingest can read fills
it, and the broker drops the messages of others. Fairness in the inbox does not help against that. So the collector
unsubscribes from that gate, and the broker no longer queues its messages. Decided in docs/decisions/0069.

Pure: no clock, no broker. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

#: How long a gate is shut out: the first time, and at most. The time doubles with each flood.
FIRST_S: Final = 10.0
LONGEST_S: Final = 300.0
#: After this long without another flood the next one counts as the first.
FORGOTTEN_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Pause:
    until_s: float
    length_s: float


class Floods:
    """The gates that are shut out, by name."""

    def __init__(self) -> None:
        self._pauses: dict[str, _Pause] = {}
        self.shut: frozenset[str] = frozenset()

    def look(self, flooding: Collection[str], now_s: float) -> bool:
        """Shut out the gates in `flooding`, readmit those whose time is over; return whether `shut` has changed."""
        for gate in flooding:
            before = self._pauses.get(gate)
            if before is not None and now_s < before.until_s:
                continue  # messages that the broker had already queued
            length_s = FIRST_S if before is None else min(2 * before.length_s, LONGEST_S)
            self._pauses[gate] = _Pause(now_s + length_s, length_s)
        self._pauses = {name: one for name, one in self._pauses.items() if now_s < one.until_s + FORGOTTEN_S}
        was, self.shut = self.shut, frozenset(name for name, one in self._pauses.items() if now_s < one.until_s)
        return self.shut != was
