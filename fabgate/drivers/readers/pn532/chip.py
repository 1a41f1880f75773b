"""Configures and checks a PN532, and makes it send one frame.

The chip's own search for cards (InListPassiveTarget) hides what a gate must know: a card that was torn away is no card to
it. So it only sends the frames, with InCommunicateThru, and ``iso14443a`` selects the card.

Facts: NXP UM0701-02, the user manual of the PN532 (commands, section 7; HSU, section 6.3.2), AN10609 (Low Vbat), and for
the registers the data sheet, whose CIU is that of the MFRC522. That these frames and registers suffice on the real chip is
shown by libnfc's nfc-anticol, which works in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from fabgate.drivers.readers.iso14443a import Reply
from fabgate.drivers.readers.pn532.frames import NACK, Frame, Kind, build, take
from fabgate.drivers.readers.radio import UpsetError
from fabgate.errors import HardwareError

#: Commands; an answer has the next number.
GET_FIRMWARE_VERSION, READ_REGISTER, WRITE_REGISTER = 0x02, 0x06, 0x08
SET_PARAMETERS, SAM_CONFIGURATION, RF_CONFIGURATION = 0x12, 0x14, 0x32
IN_COMMUNICATE_THRU, IN_LIST_PASSIVE_TARGET = 0x42, 0x4A
#: Registers of the contactless interface unit.
TX_MODE, RX_MODE, TX_CONTROL, TX_AUTO, MANUAL_RCV, BIT_FRAMING = 0x6302, 0x6303, 0x6304, 0x6305, 0x630D, 0x633D
CRC, SPEED, FRAMING = 0x80, 0x70, 0x03  # of TX_MODE and RX_MODE; all 0: no CRC, 106 kbit/s, ISO/IEC 14443 A
DRIVERS = 0x03  # of TX_CONTROL: both antenna drivers on
FORCE_100_ASK = 0x40  # of TX_AUTO: cards of type A need 100 % modulation
PARITY_DISABLE = 0x10  # of MANUAL_RCV
LAST_BITS = 0x07  # of BIT_FRAMING
#: HSU wakes at the fifth rising edge, and loses what comes before the oscillator runs, after some 0.1 ms (section 6.3.2.3).
WAKE_UP: Final = bytes.fromhex("5555") + bytes(14)
WAKE_S: Final = 0.005
PN532: Final = 0x32  # IC of GetFirmwareVersion
#: The mode of SAMConfiguration without a SAM; this command also ends Low Vbat, in which the chip starts.
NORMAL: Final = b"\x01"
#: Items of RFConfiguration. RF field; timings: no answer within 3.2 ms is silence (06h: 100 us x 2^5), while a card answers
#: within 0.1 ms; no retries of single frames; of the chip's own search one.
FIELD_ON, FIELD_OFF = b"\x01\x01", b"\x01\x00"
TIMINGS, SINGLE_FRAMES, SEARCH = b"\x02\x00\x0b\x06", b"\x04\x00", b"\x05\x00\x00\x01"
#: ISO/IEC 14443-3 section 5: 5 ms of field before the first request; the same without field to reset cards.
GUARD_S: Final = 0.0055
#: The chip acknowledges a command within 15 ms, to which a USB adapter may add 16 ms; a busy Pi has to have time, too.
ACK_S: Final = 0.1
ANSWER_S: Final = 0.2
SEARCH_S: Final = 1.0
#: An ACK and the shortest answer, 00 00 FF 02 FE D5 XX DCS 00, in bytes: the line wakes this program when both have come. Where
#: that is not so, it looks every 20 ms, and every 2 ms for the rest of a frame.
SHORTEST: Final = 6 + 9
LOOK_S, REST_S = 0.02, 0.002
#: Status bytes (section 7.1); bits 7 and 6 are flags.
STATUS, OK, SILENCE, COLLISION = 0x3F, 0x00, 0x01, 0x06
#: CRC, parity, bit count, framing, buffers, RF protocol: something answered, but no whole frame.
BROKEN: Final = frozenset({0x02, 0x03, 0x04, 0x05, 0x07, 0x09, 0x0B})
_FAULTS: Final = {0x0D: "it is too hot, and switched its antenna off", 0x2D: "its antenna takes too much current"}


class Line(Protocol):
    """A serial line (``fabgate.drivers.readers.serial_line``)."""

    def read(self, wait_s: float = 0.0) -> bytes:
        """Return what comes within `wait_s` seconds."""

    def write(self, data: bytes) -> None:
        """Forget what has come, and send bytes."""

    def close(self) -> None:
        """Release the device."""


class ChipLink:
    """A PN532 behind a line; `where` names it in errors, `sleep` takes seconds."""

    def __init__(self, line: Line, where: str, *, sleep: Callable[[float], None]) -> None:
        self._line = line
        self._where = where
        self._sleep = sleep
        self._last_bits = 0
        self._drivers = 0

    def configure(self) -> None:
        """Wake the chip, set it up, switch the field on. Raises HardwareError when it does not take the settings."""
        try:
            self._wake()
            self.version()
            self.command(SET_PARAMETERS, b"\x00")  # no RATS: a card that is activated no further can be halted
            for item in (TIMINGS, SINGLE_FRAMES, SEARCH, FIELD_ON):
                self.command(RF_CONFIGURATION, item)
            self._sleep(GUARD_S)
            # The first search sets up the receiver for type A. Its result does not count.
            self.command(IN_LIST_PASSIVE_TARGET, b"\x01\x00", patience_s=SEARCH_S)
            self.reset_cards()
            self._drivers = self._read(TX_CONTROL)[0] & DRIVERS
            self.check()
        except UpsetError as error:
            raise HardwareError(
                f"{self._where} does not keep its settings ({error}). Check its supply and wires"
            ) from error

    def check(self) -> None:
        """Check that the chip is there and has its configuration, in one command. Raises UpsetError when it has not."""
        tx, rx, auto, control, framing = self._read(TX_MODE, RX_MODE, TX_AUTO, TX_CONTROL, BIT_FRAMING)
        self._last_bits = framing & LAST_BITS
        if (tx | rx) & (CRC | SPEED | FRAMING) or not auto & FORCE_100_ASK or control & DRIVERS != self._drivers:
            raise UpsetError(f"TxMode {tx:02X}h, RxMode {rx:02X}h, TxAuto {auto:02X}h, TxControl {control:02X}h")

    def version(self) -> str:
        """Return the version of the firmware. Raises HardwareError for another chip, UpsetError for none."""
        answer = self.command(GET_FIRMWARE_VERSION)
        if len(answer) != 4 or answer[0] != PN532:
            raise HardwareError(f"{self._where} is no PN532: it answers {answer.hex(' ').upper()}, wanted 32 …")
        return f"firmware {answer[1]}.{answer[2]}"

    def exchange(self, frame: bytes, *, last_bits: int = 0, expect_bits: int = 0) -> Reply | None:  # noqa: ARG002
        """Send `frame` and return the answer or None. Raises HardwareError, and UpsetError when the chip does not answer."""
        if last_bits != self._last_bits:
            self._write({BIT_FRAMING: last_bits})
            self._last_bits = last_bits
        answer = self.command(IN_COMMUNICATE_THRU, frame)
        if not answer:
            raise UpsetError("InCommunicateThru has no status")
        status, data = answer[0] & STATUS, answer[1:]
        if status == SILENCE:
            return None
        # The number of bits in the last byte is left out: each frame that counts has check bytes.
        if status in (OK, COLLISION) or status in BROKEN:
            return Reply(data, 8 * len(data), collision=status == COLLISION, broken=status in BROKEN)
        why = _FAULTS.get(status, f"status {status:02X}h")
        raise HardwareError(f"{self._where} cannot send: {why}. Switch it off and on; keep metal away from its antenna")

    def reset_cards(self) -> None:
        """Switch the field off and on, so that every card starts again. Raises UpsetError."""
        self.command(RF_CONFIGURATION, FIELD_OFF)
        self._sleep(GUARD_S)
        self.command(RF_CONFIGURATION, FIELD_ON)
        auto, manual = self._read(TX_AUTO, MANUAL_RCV)
        self._write(
            {
                TX_MODE: 0,
                RX_MODE: 0,
                TX_AUTO: auto | FORCE_100_ASK,
                MANUAL_RCV: manual & ~PARITY_DISABLE,
                BIT_FRAMING: 0,
            }
        )
        self._last_bits = 0
        self._sleep(GUARD_S)

    def command(self, code: int, data: bytes = b"", *, patience_s: float = ANSWER_S) -> bytes:
        """Send a command and return its answer. Raises UpsetError when the chip does not acknowledge it, or not answer in time.

        An answer that came damaged is asked for once more, with a NACK. What comes before the ACK answers an earlier command.
        A line that never falls silent ends this too.
        """
        self._line.write(build(bytes((code,)) + data))
        received, until = b"", time.monotonic() + ACK_S
        acknowledged = asked_again = is_late = False
        while True:
            frame, received = take(received)
            if frame is None:
                if is_late:
                    raise UpsetError(f"no answer to command {code:02X}h")
                left_s = until - time.monotonic()
                is_late = left_s <= 0  # what came while this program had to wait is still read, once
                received += self._line.read(max(0.0, min(left_s, REST_S if received else LOOK_S)))
            elif frame.kind is Kind.ACK and not acknowledged:
                acknowledged, is_late, until = True, False, time.monotonic() + patience_s
            elif frame.kind is Kind.DAMAGED:
                if asked_again:
                    raise UpsetError(f"the answer to command {code:02X}h came damaged twice")
                acknowledged, asked_again, received = True, True, b""
                is_late, until = False, time.monotonic() + patience_s
                self._line.write(NACK)
            elif acknowledged and frame.kind is Kind.ERROR:
                raise UpsetError(f"command {code:02X}h was refused")
            elif acknowledged and _answers(frame, code):
                return frame.data[1:]

    def close(self) -> None:
        """Release the line."""
        self._line.close()

    def _wake(self) -> None:
        """End the sleep after power-on. The chip often loses the first command, so it is sent twice."""
        for is_last in (False, True):
            self._line.write(WAKE_UP)
            self._sleep(WAKE_S)
            try:
                self.command(SAM_CONFIGURATION, NORMAL)
            except UpsetError as error:
                if is_last:
                    raise HardwareError(
                        f"{self._where} does not answer. Check its supply, its DIP switches (HSU: both off), and that TX goes"
                        " to RX (docs/readers/README.md)"
                    ) from error
            else:
                return

    def _read(self, *registers: int) -> bytes:
        values = self.command(READ_REGISTER, b"".join(one.to_bytes(2) for one in registers))
        if len(values) != len(registers):
            raise UpsetError(f"{len(values)} registers instead of {len(registers)}")
        return values

    def _write(self, values: dict[int, int]) -> None:
        self.command(WRITE_REGISTER, b"".join(one.to_bytes(2) + bytes((value,)) for one, value in values.items()))


def _answers(frame: Frame, code: int) -> bool:
    return frame.kind is Kind.DATA and frame.data[0] == code + 1
