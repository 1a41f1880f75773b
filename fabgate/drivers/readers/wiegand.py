"""The driver of readers on two Wiegand wires: a short pulse on D0 for each 0, on D1 for each 1, and silence between badges.

Such a reader only sends, so this driver proves no presence (`continuous`), and cannot notice that it was unplugged
(`supervised`). A frame becomes a badge only if it has the declared length, its parity agrees, no pulse came too early, and
the kernel lost none. Times are those of the kernel's interrupts: a gate that is busy neither joins two frames nor cuts one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from fabgate import installed
from fabgate.badge.wiegand_frames import from_wiegand_frame
from fabgate.drivers.readers import PENDING, Card, Misread, MisreadReason, Pending
from fabgate.drivers.readers.one_way import newer
from fabgate.errors import HardwareError, UsageError

#: Pulses last 20 to 100 µs, and come 200 µs to 20 ms apart (SIA AC-01-1996.10). What is closer together is noise.
CLOSEST_NS: Final = 50_000
#: A frame that is as long as this is noise that does not end.
LONGEST: Final = 64
#: How many pulses the kernel keeps for a gate that is busy: its most (linux/gpio.h, GPIO_V2_LINES_MAX * 16).
KEPT: Final = 1024
#: What the kernel calls the chips of a 40-pin header (its drivers pinctrl-bcm2835 and pinctrl-rp1).
_HEADER_CHIPS: Final = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")
_BITS: Final = {"w26": 26, "w34": 34, "w37": 37}
_TORN: Final = Misread(MisreadReason.TORN)


class WiegandOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: its format, the pins (BCM) of its two wires, and the chip that these belong to.

    A frame ends when no pulse comes for `gap_ms`. A badge has gone after a silence of more than `gone_after_ms`, because some
    readers repeat a badge that lies on them: twice the pause between two repetitions and a frame, so that one may be lost.
    """

    format: Literal["w26", "w34", "w37"]
    d0_pin: Annotated[int, msgspec.Meta(ge=2, le=27)]
    d1_pin: Annotated[int, msgspec.Meta(ge=2, le=27)]
    gap_ms: Annotated[int, msgspec.Meta(ge=5, le=200)] = 25
    gone_after_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000
    gpiochip: str | None = None


class Pulses:
    """Turns pulses into cards. Pure: the times are those of the kernel's events, in nanoseconds."""

    def __init__(self, bits: int, gap_ns: int) -> None:
        self._bits = bits
        self._gap_ns = gap_ns
        self._count = self._frame = self._last_ns = 0
        self._is_torn = False

    @property
    def is_unfinished(self) -> bool:
        """Whether pulses have come of a frame that has not ended."""
        return self._count > 0

    def pulse(self, at_ns: int, bit: int, *, is_next: bool = True) -> Card | Misread | None:
        """Add a pulse; return what the frame was that had ended before it.

        Without `is_next`, pulses before this one were lost: neither the frame that they ended nor the one that they began
        is whole.
        """
        self._is_torn |= not is_next
        ended = self.quiet(at_ns)
        if not is_next or (self._count and at_ns - self._last_ns < CLOSEST_NS):
            self._is_torn = True
        if self._count == LONGEST:  # it may never end, but the member should see now that nothing was read
            ended, self._count, self._frame, self._is_torn = _TORN, 0, 0, True
        self._count += 1
        self._frame = self._frame << 1 | bit
        self._last_ns = at_ns
        return ended

    def quiet(self, now_ns: int) -> Card | Misread | None:
        """Return what the frame was that has ended because no pulse came for so long, or None."""
        if not self._count or now_ns - self._last_ns <= self._gap_ns:
            return None
        count, frame, is_torn = self._count, self._frame, self._is_torn
        self._count = self._frame = 0
        self._is_torn = False
        if is_torn or count != self._bits:
            return _TORN
        try:
            return Card.of(from_wiegand_frame(count, frame))
        except UsageError:
            return _TORN


class WiegandReader:
    """A reader on two Wiegand wires as fabgate's Reader. `request` and `clock_ns` are replaced by tests only."""

    Options = WiegandOptions
    needs: Final = {"gpiod": "fabgate[wiegand]"}
    continuous = False
    supervised = False

    def __init__(
        self,
        options: WiegandOptions,
        *,
        request: Callable[[WiegandOptions], Any] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.recoveries = 0
        self._options = options
        self._make = request or _request
        self._clock_ns = clock_ns
        self._lines: Any = None
        self.gone_after_ms = options.gone_after_ms
        self._forget()

    def open(self) -> None:
        """Claim the two pins. Pulses from before are not seen. Raises HardwareError."""
        self.close()
        try:
            self._lines = self._make(self._options)
        except HardwareError:
            raise
        except (OSError, ValueError) as error:
            raise HardwareError(
                f"{self.identity} cannot be opened ({error}). Check gpiochip, that no other program holds these pins, and that"
                " this user is in the group gpio"
            ) from error

    def poll(self) -> Card | Misread | Pending | None:
        """Return the badge of the newest frame that has ended. Raises HardwareError when the chip is gone."""
        if self._lines is None:
            raise HardwareError(f"{self.identity} is not open: open() it before poll()")
        now_ns, found = self._clock_ns(), None  # before the events are read: none that is older can come later
        try:
            if self._lines.wait_edge_events(0):
                for event in self._lines.read_edge_events(KEPT):
                    found = newer(found, self._pulse(event))
        except OSError as error:
            self.close()
            raise HardwareError(f"{self.identity} does not answer ({error})") from error
        found = newer(found, self._pulses.quiet(now_ns))
        return PENDING if found is None and self._pulses.is_unfinished else found

    def close(self) -> None:
        """Release the pins."""
        lines, self._lines = self._lines, None
        self._forget()
        if lines is not None:
            with contextlib.suppress(Exception):
                lines.release()

    @property
    def identity(self) -> str:
        """Return what is known of the device: its pins. A reader that only sends cannot be asked."""
        return f"the Wiegand reader on GPIO {self._options.d0_pin} and {self._options.d1_pin}"

    def _forget(self) -> None:
        self._pulses = Pulses(_BITS[self._options.format], self._options.gap_ms * 1_000_000)
        self._number = 0

    def _pulse(self, event: Any) -> Card | Misread | None:
        # The kernel numbers the events of a request from 1, and drops the oldest when nobody fetches them.
        is_next, self._number = event.global_seqno == self._number + 1, event.global_seqno
        return self._pulses.pulse(event.timestamp_ns, int(event.line_offset == self._options.d1_pin), is_next=is_next)


def _request(options: WiegandOptions) -> Any:
    """Return the request of gpiod for falling edges on both pins. Raises HardwareError, or what gpiod raises."""
    try:
        import gpiod  # noqa: PLC0415 - only a gate with this reader needs it
    except ImportError as error:
        raise HardwareError(
            f"the package gpiod is missing: {installed.library('gpiod', 'fabgate[wiegand]')}"
        ) from error
    if not hasattr(gpiod, "request_lines"):
        raise HardwareError(
            f"found gpiod {getattr(gpiod, '__version__', '1')}, wanted 2.1 or later:"
            f" {installed.library('gpiod', 'fabgate[wiegand]')}"
        )
    line = gpiod.line
    # Unplugged wires are pulled high, or each disturbance would be a pulse.
    settings = gpiod.LineSettings(
        direction=line.Direction.INPUT,
        bias=line.Bias.PULL_UP,
        edge_detection=line.Edge.FALLING,
        event_clock=line.Clock.MONOTONIC,
    )
    return gpiod.request_lines(
        options.gpiochip or _header_chip(gpiod),
        consumer="fabgate reader",
        config={(options.d0_pin, options.d1_pin): settings},
        event_buffer_size=KEPT,
    )


def _header_chip(gpiod: Any) -> str:
    """Return the chip of the 40-pin header, whose number differs between models and kernels. Raises HardwareError."""
    for path in sorted(map(str, Path("/dev").glob("gpiochip*"))):
        with gpiod.Chip(path) as chip:
            if chip.get_info().label in _HEADER_CHIPS:
                return path
    raise HardwareError("no chip of a 40-pin header was found, wanted a Raspberry Pi; or name reader.gpiochip")
