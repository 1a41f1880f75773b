"""Emulated Wiegand wires: what gpiod's request for the two pins returns, with the edges that the kernel saw.

    lines = WiegandLines(clock=clock, sleep=clock.sleep)
    reader = WiegandReader(options, request=lines.request, clock_ns=lines.clock_ns)
    lines.send(*wiegand_frame(badge))

Where Linux has the module gpio-sim, its chip does the same for a whole gate (docs/readers/README.md).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from fabgate.drivers.readers.wiegand import KEPT, WiegandOptions

#: How far apart the pulses of most readers are.
PULSE_S: Final = 0.002
#: Longer than the pause that ends a frame.
SILENCE_S: Final = 0.04


@dataclass(frozen=True, slots=True)
class Edge:
    """A falling edge, as gpiod.EdgeEvent has it."""

    line_offset: int
    timestamp_ns: int
    global_seqno: int


class WiegandLines:
    """Two wires, D0 and D1. `clock` returns seconds, and `sleep` lets them pass."""

    def __init__(self, *, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self.is_there = True
        self._clock = clock
        self._sleep = sleep
        self._pins = (-1, -1)
        self._count = 0
        # The kernel drops the oldest event when nobody fetches them.
        self._edges: deque[Edge] = deque(maxlen=KEPT)

    def clock_ns(self) -> int:
        """Return the time in nanoseconds, as the kernel's events have it."""
        return int(self._clock() * 1e9)

    def request(self, options: WiegandOptions) -> Self:
        """Begin to see edges, as ``gpiod.request_lines`` does. Raises OSError without a chip."""
        self._check()
        self._pins, self._count = (options.d0_pin, options.d1_pin), 0
        self._edges.clear()
        return self

    def pulse(self, bit: int, after_s: float = PULSE_S) -> None:
        """Let a wire fall, this long after the last pulse."""
        self._sleep(after_s)
        self._count += 1
        self._edges.append(Edge(self._pins[bit], self.clock_ns(), self._count))

    def send(self, bits: int, frame: int) -> None:
        """Send a frame, the highest bit first, and be silent for a while."""
        for at in reversed(range(bits)):
            self.pulse(frame >> at & 1)
        self._sleep(SILENCE_S)

    def lose(self) -> None:
        """Drop the oldest edge that was not fetched yet, as the kernel does when there are too many."""
        self._edges.popleft()

    def wait_edge_events(self, _timeout: float) -> bool:
        """Return whether there are edges. Raises OSError without a chip."""
        self._check()
        return bool(self._edges)

    def read_edge_events(self, max_events: int) -> list[Edge]:
        """Return the oldest edges that were not fetched yet."""
        return [self._edges.popleft() for _ in range(min(max_events, len(self._edges)))]

    def release(self) -> None:
        """See no more edges."""
        self._pins = (-1, -1)

    def _check(self) -> None:
        if not self.is_there:
            raise OSError(errno.ENODEV, "No such device")
