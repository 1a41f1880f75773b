"""An ADS1115 in software, as its data sheet describes it (Texas Instruments, SBAS444E): registers, rates, ranges and modes.

`volts` returns the voltage between AIN0 and AIN1 at a time in seconds; other inputs are at 0 V. A conversion is the voltage
at its end: the mean over the conversion, noise and the comparator are not emulated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

#: Conversions a second, by DR; volts at full scale, by PGA (tables 8-3 and 7-1).
RATES: Final = (8, 16, 32, 64, 128, 250, 475, 860)
RANGES_V: Final = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
RESET: Final = 0x8583


def mains(rms_v: float, *, hz: float = 50, bias_v: float = 0) -> Callable[[float], float]:
    """Return the voltage of a clamp around a conductor with a sine current."""
    return lambda at_s: bias_v + rms_v * math.sqrt(2) * math.sin(2 * math.pi * hz * at_s)


class Ads1115Chip:
    """One chip. `rate` is how much faster than it should its oscillator runs; the data sheet allows 0.9 to 1.1."""

    def __init__(
        self, volts: Callable[[float], float], now: Callable[[], float] = time.monotonic, *, rate: float = 1
    ) -> None:
        self.volts = volts
        self._now = now
        self._rate = rate
        self.power_cycle()

    def power_cycle(self) -> None:
        """Take its supply away for a moment: all registers are those of a reset, and nothing is converted."""
        self._pointer = 0
        self._config, self._result = RESET, 0
        self._began_s: float | None = None

    def transfer(self, written: bytes, reads: int) -> bytes:
        """Take the bytes of one transfer: the register, and its new content; return what is read."""
        if written:
            self._pointer = written[0] & 0b11
        if len(written) >= 3 and self._pointer == 1:
            self._configure(int.from_bytes(written[1:3], "big"))
        self._convert()
        content = (self._result & 0xFFFF, self._status(), 0x8000, 0x7FFF)[self._pointer]
        return content.to_bytes(2, "big")[:reads].ljust(reads, b"\xff")

    @property
    def _is_continuous(self) -> bool:
        return not self._config & 1 << 8

    def _period_s(self) -> float:
        return 1 / (RATES[self._config >> 5 & 0b111] * self._rate)

    def _configure(self, config: int) -> None:
        self._convert()
        self._config = config & 0x7FFF
        if self._is_continuous or config & 0x8000:
            self._began_s = self._now()

    def _status(self) -> int:
        is_busy = self._began_s is not None
        return self._config | (0 if is_busy else 0x8000)

    def _convert(self) -> None:
        """Store the result of the newest conversion that has ended."""
        if self._began_s is None:
            return
        ended = math.floor((self._now() - self._began_s) / self._period_s())
        if ended < 1:
            return
        at_s = self._began_s + ended * self._period_s()
        volts = self.volts(at_s) if self._config >> 12 & 0b111 == 0 else 0.0
        steps = round(volts * 0x8000 / RANGES_V[self._config >> 9 & 0b111])
        self._result = max(-0x8000, min(0x7FFF, steps))
        self._began_s = at_s if self._is_continuous else None
