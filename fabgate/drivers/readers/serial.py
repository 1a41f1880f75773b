"""The driver of readers on a serial line: RDM6300 modules for 125 kHz badges, and any reader that prints a line.

Such a reader only sends. It says neither that a badge has left nor that it is still plugged in, so this driver proves no
presence (`continuous`), and cannot notice an unplugged reader behind a line that is still there (`supervised`).

A frame becomes a badge only if it is whole: from its first character to its end, in the declared format, and for an
RDM6300 with the right checksum.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import reduce
from operator import xor
from typing import Annotated, Final, Literal

import msgspec

from fabgate.badge import Badge, Kind, printed
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.drivers.readers.one_way import card_of, newer
from fabgate.drivers.readers.serial_line import Port, SerialLine, Speed
from fabgate.errors import HardwareError

RDM6300: Final = "rdm6300"
#: The longest pause within a frame, and the longest time that a poll waits for the rest of one, in seconds.
PAUSE_S: Final = 0.05
REST_S: Final = 0.1
#: What is just coming then may end: a frame may begin late, after noise. At the slowest speed the longest line takes 25 ms, and
#: an adapter passes bytes on every 16 ms.
END_S: Final = 0.05
NEXT_S: Final = 0.02
#: The longest frame has 22 characters.
LONGEST: Final = 64
#: Start, ten hex digits, two of the checksum, and the end; ID-12 and its relatives send a line end before theirs. What
#: comes before the start is noise.
_RDM6300_FRAME: Final = re.compile(rb"\x02([0-9A-Fa-f]{10})([0-9A-Fa-f]{2})(?:\r\n)?\Z")
_RDM6300_END: Final = re.compile(rb"\x03")
_LINE_END: Final = re.compile(rb"[\r\n]")


class SerialOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: the device, its speed in bits per second (8N1), and what it sends.

    A badge has gone after a silence of more than `gone_after_ms`, because many readers repeat a badge that lies on them:
    twice the pause between two repetitions and a frame, so that one may be lost.
    """

    format: Literal["rdm6300", printed.FormatName]
    port: Port = "/dev/serial0"
    speed_bps: Speed = 9600
    gone_after_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000


class SerialReader:
    """A reader on a serial line as fabgate's Reader. `line` and `clock`, which returns seconds, are replaced by tests only."""

    Options = SerialOptions
    continuous = False
    supervised = False

    def __init__(
        self,
        options: SerialOptions,
        *,
        line: Callable[[str, int, str], SerialLine] = SerialLine.at,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recoveries = 0
        self._options = options
        self._make_line = line
        self._clock = clock
        self._line: SerialLine | None = None
        self._received = b""
        self.gone_after_ms = options.gone_after_ms

    def open(self) -> None:
        """Claim the device, and forget what it sent before. Raises HardwareError."""
        self.close()
        self._line = self._make_line(self._options.port, self._options.speed_bps, self.identity)

    def poll(self) -> Card | Misread | None:
        """Return the newest badge; wait about 100 ms for the rest of a frame. Raises HardwareError."""
        if self._line is None:
            raise HardwareError(f"{self.identity} is not open: open() it before poll()")
        return self._newest(self._line)

    def close(self) -> None:
        """Release the device."""
        line, self._line, self._received = self._line, None, b""
        if line is not None:
            line.close()

    @property
    def identity(self) -> str:
        """Return what is known of the device: its line. A reader that only sends cannot be asked."""
        return f"the serial reader at {self._options.port}"

    def _newest(self, line: SerialLine) -> Card | Misread | None:
        self._received += line.read()
        found, self._received = newest(self._received, self._options.format)
        until = self._clock() + REST_S
        while self._received and (left := until - self._clock()) > -END_S:
            if not (more := line.read(min(max(left, NEXT_S), PAUSE_S))):
                break
            later, self._received = newest(self._received + more, self._options.format)
            found = newer(found, later)
        if self._received:
            # The rest of this frame has been lost, so what comes next must not be added to it.
            self._received = b""
            found = newer(found, Misread(MisreadReason.TORN))
        return found


def newest(received: bytes, format_name: str) -> tuple[Card | Misread | None, bytes]:
    """Return the newest badge, or what else the frames say, None without one; and the bytes of a frame that has not ended.

    Only the newest counts: a reader repeats its badge, and one that was held there during a pause of the gate has gone.
    """
    *frames, rest = (_RDM6300_END if format_name == RDM6300 else _LINE_END).split(received)
    found: Card | Misread | None = None
    for frame in filter(None, frames):  # a line may end with CR and LF
        found = newer(found, _frame(frame, format_name))
    if len(rest) > LONGEST:
        return newer(found, Misread(MisreadReason.TORN)), b""
    return found, rest


def _frame(frame: bytes, format_name: str) -> Card | Misread:
    """Return the badge of one frame, without its end."""
    # In Latin-1 every byte is one sign, and no sign but a digit is one of a format.
    return _rdm6300(frame) if format_name == RDM6300 else card_of(frame.decode("latin-1"), format_name)


def _rdm6300(frame: bytes) -> Card | Misread:
    """Return the badge of a frame of an RDM6300: the checksum is the XOR of the five bytes."""
    match = _RDM6300_FRAME.search(frame)
    if match is None:
        return Misread(MisreadReason.TORN)
    raw = bytes.fromhex(match[1].decode("ascii"))
    if reduce(xor, raw) != int(match[2], 16):
        return Misread(MisreadReason.TORN)
    return Card.of(Badge(Kind.EM4100, raw))
