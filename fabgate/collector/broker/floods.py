"""Which gates are not listened to for a while, because they send more than one gate may, and for how long?

The broker has one queue for the collector, in which all gates wait. One that sends faster than the ingest can read fills
it, and then the broker drops what the others send. No turns in the inbox help against that: the collector no longer
subscribes to that gate, and the broker queues nothing of it. Decided in docs/decisions/0069.

Pure: no clock, no broker. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

#: How long a gate is not listened to: at first, and at most. Each time twice as long, while it goes on.
FIRST_S: Final = 10.0
LONGEST_S: Final = 300.0
#: A gate that kept quiet for so long after it was listened to again begins with the first pause.
FORGOTTEN_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Pause:
    until_s: float
    length_s: float


class Floods:
    """Who is shut out, by the name of the gate."""

    def __init__(self) -> None:
        self._pauses: dict[str, _Pause] = {}
        self.shut: frozenset[str] = frozenset()

    def look(self, flooding: Collection[str], now_s: float) -> bool:
        """Shut out the gates of `flooding`, let in those whose pause is over; return whether `shut` is another one."""
        for gate in flooding:
            before = self._pauses.get(gate)
            if before is not None and now_s < before.until_s:
                continue  # what the broker had queued of it
            length_s = FIRST_S if before is None else min(2 * before.length_s, LONGEST_S)
            self._pauses[gate] = _Pause(now_s + length_s, length_s)
        self._pauses = {name: one for name, one in self._pauses.items() if now_s < one.until_s + FORGOTTEN_S}
        was, self.shut = self.shut, frozenset(name for name, one in self._pauses.items() if now_s < one.until_s)
        return self.shut != was
