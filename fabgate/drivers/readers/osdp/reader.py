"""The driver of OSDP readers: asks for a badge at each poll, in a secure channel, and believes nothing outside it.

A reader says once that a card was there, not how long, so this driver proves no presence (`continuous`). It answers each
poll, so an unplugged one is noticed within a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from fabgate import installed
from fabgate.badge import RandomUidError, from_uid
from fabgate.badge.wiegand_frames import from_wiegand_frame
from fabgate.drivers.readers import PENDING, Card, Misread, MisreadReason, Pending
from fabgate.drivers.readers.osdp import frames
from fabgate.drivers.readers.osdp.keys import read_key
from fabgate.drivers.readers.osdp.link import ChannelLostError, Line, Link
from fabgate.drivers.readers.serial_line import Port, SerialLine, Speed
from fabgate.errors import HardwareError, UsageError

log = logging.getLogger(__name__)

#: How long a poll waits for an answer. At 9600 bit/s a question and the longest answer take 80 ms together.
ANSWER_S: Final = 0.08
#: A channel that is lost twice in this time is a fault: each loss may cost a card that was not asked for yet.
STEADY_S: Final = 10.0
_TORN: Final = Misread(MisreadReason.TORN)


class OsdpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: its line and address, the file with its key, and what its cards are.

    `format` says what its bits are: Wiegand frames, or whole UIDs of 4, 7 or 10 bytes. A badge has gone when none was reported
    for more than `gone_after_ms`: for readers that report a card again that stays.
    """

    format: Literal["wiegand", "uid", "uid-reversed"]
    key_file: Path
    port: Port = "/dev/serial0"
    speed_bps: Speed = 9600
    address: Annotated[int, msgspec.Meta(ge=0, le=126)] = 0
    gone_after_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000


def _line_at(port: str, speed_bps: int) -> Line:
    return SerialLine.at(port, speed_bps, port, shortest_answer=1)


class OsdpReader:
    """An OSDP reader as fabgate's Reader. `line` and `clock`, which returns seconds, are replaced by tests only."""

    Options = OsdpOptions
    needs: Final = {"cryptography": "fabgate[osdp]"}
    continuous = False
    #: What `fabgate check` tries the file of `key_file` with.
    read_key = staticmethod(read_key)

    def __init__(
        self,
        options: OsdpOptions,
        *,
        line: Callable[[str, int], Line] = _line_at,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recoveries = 0
        self._options = options
        self._make_line = line
        self._clock = clock
        self._line: Line | None = None
        self._link: Link | None = None
        self._made_by = ""
        self._key = b""
        self._lost_at = 0.0
        self.gone_after_ms = options.gone_after_ms

    def open(self) -> None:
        """Open the line and make a secure channel with the reader. Raises HardwareError."""
        self._link = self._connected(Link.secure)

    def set_key(self) -> None:
        """Give a reader in its installation mode the key of `key_file`: a person at a bench asks for it. Raises HardwareError."""
        self._connected(Link.give_key)
        self.close()

    def _connected(self, use_key: Callable[[Link, bytes], None]) -> Link:
        """Return a new link, on which the reader named itself and the key was used."""
        self.close()
        options = self._options
        try:
            self._key = read_key(options.key_file)
            self._lost_at = self._clock() - STEADY_S
            self._line = self._make_line(options.port, options.speed_bps)
            link = Link(self._line, options.address, name=self.identity, speed_bps=options.speed_bps, clock=self._clock)
            pdid = link.identify()
            self._made_by = f", maker {pdid[:3].hex('-').upper()}, serial number {pdid[5:9][::-1].hex().upper()}"
            use_key(link, self._key)
        except ImportError as error:
            self.close()
            raise HardwareError(
                f"the package cryptography is missing: {installed.library('cryptography', 'fabgate[osdp]')}"
            ) from error
        except UsageError as error:
            raise HardwareError(str(error)) from error
        except HardwareError:
            self.close()
            raise
        return link

    def poll(self) -> Card | Misread | Pending | None:
        """Ask for a badge. Raises HardwareError when the reader is gone, or does not keep to the secure channel."""
        link = self._link
        if link is None:
            raise HardwareError(f"{self.identity} is not open: open() it before poll()")
        try:
            if not link.is_waiting:
                link.send(bytes((frames.POLL,)))
            answer = self._answer(link)
        except HardwareError:
            self.close()
            raise
        return PENDING if answer is None else self._found(*answer)

    def close(self) -> None:
        """Release the line."""
        line, self._line, self._link = self._line, None, None
        if line is not None:
            line.close()

    @property
    def identity(self) -> str:
        """Return its line and address, and once it was open what it says of its maker."""
        return f"the OSDP reader {self._options.address} at {self._options.port}{self._made_by}"

    def _answer(self, link: Link) -> tuple[bytes, bool] | None:
        """Return the answer of the reader, or None; make a new channel if it has lost the old one."""
        try:
            return link.answer(ANSWER_S)
        except ChannelLostError:
            # Many readers lose it by one disturbed answer: they do not answer the same command twice.
            now = self._clock()
            if now - self._lost_at < STEADY_S:
                raise
            self._lost_at = now
            link.identify()
            link.secure(self._key)
            self.recoveries += 1
            return None

    def _found(self, body: bytes, is_encrypted: bool) -> Card | Misread | None:
        code, data = body[0], body[1:]
        if code in (frames.RAW, frames.FMT) and not is_encrypted:
            self.close()
            raise HardwareError(f"{self.identity} sent a badge that was not encrypted, so the gate ignores it")
        if code == frames.RAW:
            return card_of(data, self._options.format)
        if code == frames.LSTATR and len(data) >= 2:
            log.warning(
                "%s reports: %s, %s",
                self.identity,
                "its case or its place was opened" if data[0] else "its case is closed",
                "its power is failing" if data[1] else "its power is right",
            )
        # Cards as characters (osdp_FMT) have no length that could be checked; keys of a keypad are no badge.
        return _TORN if code == frames.FMT else None


def card_of(data: bytes, format_name: str) -> Card | Misread:
    """Return the card in the data of osdp_RAW: reader, format, count of bits (low byte first), and the bits from the left."""
    count = int.from_bytes(data[2:4], "little")
    if len(data) < 5 or len(data) != 4 + -(-count // 8):
        return _TORN
    raw = data[4:]
    try:
        if format_name == "wiegand":
            return Card.of(from_wiegand_frame(count, int.from_bytes(raw, "big") >> -count % 8))
        if count % 8:
            return _TORN
        return Card.of(from_uid(raw if format_name == "uid" else raw[::-1]))
    except RandomUidError:
        return Misread(MisreadReason.RANDOM_UID)
    except UsageError:
        return _TORN
