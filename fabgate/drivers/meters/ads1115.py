"""Measures a machine's current with a clamp on an ADS1115, an analogue-to-digital converter on I2C.

All facts of the chip are from its data sheet (Texas Instruments, SBAS444E). It converts all the time, 860 times a second, the
voltage between AIN0 and AIN1. Once a second, 50 of these conversions within 200 ms make one RMS value: 200 ms are whole
periods of 50 and of 60 Hz mains, and a mean over whole periods does not depend on where they begin. What the mean differs
from 0 is the bias, and is taken away; a mean far from 0 is a clamp that is not plugged in (docs/sensing.md).

Each measurement first reads the chip's configuration back. A chip that lost power has another one, and is set again; a bus
that answers anything else is an error.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from fabgate.drivers import i2c
from fabgate.drivers.meters import Measurement, Thresholds, check_thresholds
from fabgate.errors import HardwareError

#: Registers (table 7-1): the last conversion, and the configuration. Both have 16 bits, the high byte first.
CONVERSION: Final = 0
CONFIG: Final = 1
#: Bits of the configuration (table 8-3): OS is not kept. MUX 000: AIN0 - AIN1. PGA 010: ±2.048 V. MODE 0: continuous.
#: DR 111: 860 conversions a second. COMP_QUE 11: no comparator.
OS: Final = 1 << 15
WANTED: Final = 0b010 << 9 | 0b111 << 5 | 0b11
#: One step of a conversion at ±2.048 V (7.3.3).
STEP_V: Final = 62.5e-6
#: One conversion: the rate may be 10 % lower. After a new configuration the current conversion still has the old one (7.4.2.2).
CONVERSION_S: Final = 1.1 / 860
SAMPLES: Final = 50
PAUSE_S: Final = 0.2 / SAMPLES
#: A mean above this is no bias: the pull-up of docs/sensing.md shows a clamp that is not plugged in.
MOST_BIAS_V: Final = 0.25
ADDRESS: Final = 0x48

Amperes = Annotated[float, msgspec.Meta(gt=0, le=1000)]


class Ads1115Options(i2c.I2cOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``meter: {driver: ads1115}``: a clamp between AIN0 and AIN1.

    `amps_per_volt` is the clamp's: 30 for an SCT-013-030, 60.6 for an SCT-013-000 with 33 Ω. The machine works above
    `running_above_a`; below `stopped_below_a` for `stopped_after_s` it has stopped. Without these two it only measures.
    """

    amps_per_volt: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 30.0
    running_above_a: Amperes | None = None
    stopped_below_a: Amperes | None = None
    stopped_after_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_thresholds(self.running_above_a, self.stopped_below_a, "A")


class Ads1115Meter:
    """Keeps the contract of ``fabgate.drivers.meters``. `sleep` and `clock` are replaced in tests."""

    Options = Ads1115Options
    needs: Final = {"smbus2": "fabgate[meter]"}
    unit = "A"
    counts = False

    def __init__(self, options: Ads1115Options) -> None:
        self._options = options
        self._address = ADDRESS if options.address is None else options.address
        self._bus: Any = None
        self.sleep = time.sleep
        self.clock = time.monotonic

    @property
    def thresholds(self) -> Thresholds | None:
        """Return at which current the machine works."""
        options = self._options
        if options.running_above_a is None or options.stopped_below_a is None:
            return None
        return Thresholds(options.running_above_a, options.stopped_below_a, options.stopped_after_s)

    def open(self) -> None:
        """Open the bus and configure the chip. Raises HardwareError."""
        self.close()
        try:
            self._bus = i2c.connect(self._options, self.open_bus, emulated="I2C meter")
            self._configure()
        except OSError as error:
            self.close()
            raise self._failure(error) from error

    def open_bus(self, number: int) -> Any:
        """Return the bus `number`. Raises OSError."""
        return i2c.open_bus(number)

    def read(self) -> Measurement:
        """Measure the current for 200 ms, in amperes RMS. Raises HardwareError."""
        if self._bus is None:
            raise HardwareError("ads1115: the meter is not open")
        try:
            if self._register(CONFIG) & ~OS != WANTED:
                self._configure()  # it was without power for a moment
            volts, began_s = [], self.clock()
            for number in range(1, SAMPLES + 1):
                # Not a pause after each: a sleep is always a little too long, and the whole would be no whole periods.
                self.sleep(max(0.0, began_s + number * PAUSE_S - self.clock()))
                volts.append(_signed(self._register(CONVERSION)) * STEP_V)
        except OSError as error:
            raise self._failure(error) from error
        mean, rms = alternating(volts)
        if abs(mean) > MOST_BIAS_V:
            raise HardwareError(
                f"ads1115: found a constant {mean:.2f} V at the clamp, wanted less than {MOST_BIAS_V} V."
                " The clamp is not plugged in, or its wire is broken (docs/sensing.md)"
            )
        return Measurement(level=rms * self._options.amps_per_volt)

    def close(self) -> None:
        """Close the bus. Never raises."""
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(Exception):
                bus.close()

    def _configure(self) -> None:
        self._bus.write_i2c_block_data(self._address, CONFIG, list(WANTED.to_bytes(2, "big")))
        found = self._register(CONFIG) & ~OS
        if found != WANTED:
            raise HardwareError(
                f"ads1115: found the configuration {found:#06x} at {self._address:#04x} on I2C bus {self._options.i2c_bus},"
                f" wanted {WANTED:#06x}. Another chip answers there, or a wire is loose"
            )
        self.sleep(2 * CONVERSION_S)

    def _register(self, register: int) -> int:
        found = self._bus.read_i2c_block_data(self._address, register, 2)
        return int.from_bytes(bytes(found[:2]), "big")

    def _failure(self, error: OSError) -> HardwareError:
        return i2c.failure(error, "ads1115", self._options.i2c_bus, self._address)


def alternating(volts: Sequence[float]) -> tuple[float, float]:
    """Return the mean of samples, and the RMS value of what alternates around it."""
    mean = math.fsum(volts) / len(volts)
    return mean, math.sqrt(math.fsum((one - mean) ** 2 for one in volts) / len(volts))


def _signed(value: int) -> int:
    return value - 0x1_0000 if value & 0x8000 else value
