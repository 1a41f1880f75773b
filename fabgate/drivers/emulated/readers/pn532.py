"""An emulated PN532 on a serial line, with cards: a pseudo-terminal that answers as the chip does.

    with Pn532Line(Path("/tmp/reader")) as line:
        line.chip.place(bytes.fromhex("04A1B2C3D4E5F6"))

A gate with ``reader: {driver: pn532, port: /tmp/reader}`` then reads a badge. The chip follows NXP's UM0701-02 as far as
drivers use it; what it does not know it answers with the error frame.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from pathlib import Path
from typing import Final

from fabgate.drivers.emulated.cards import RANDOM_FIRST_BYTE, WUPA, Card, crc_a, from_bits, to_bits
from fabgate.drivers.emulated.field import Field, Heard
from fabgate.drivers.emulated.readers.serial_line import SerialLine
from fabgate.drivers.readers.pn532.frames import ACK, ERROR, TO_CHIP, TO_HOST, Frame, Kind, build, take

#: Registers with another value than 0 after a reset (data sheet, section 8.6.23).
_RESET: Final = {0x6304: 0x80, 0x6307: 0x84, 0x6308: 0x84, 0x6309: 0x4D}
_TX_MODE, _RX_MODE, _TX_CONTROL, _TX_AUTO, _BIT_FRAMING = 0x6302, 0x6303, 0x6304, 0x6305, 0x633D
_CRC, _FORCE_100_ASK, _DRIVERS, _LAST_BITS = 0x80, 0x40, 0x03, 0x07
_OK, _TIMEOUT, _CRC_ERROR, _PARITY_ERROR, _COLLISION = b"\x00", b"\x01", b"\x02", b"\x03", b"\x06"

#: How often a line that no gate has open is tried again, in seconds.
_NOBODY_S: Final = 0.005


class Pn532Chip:
    """One emulated PN532 (firmware 1.6) with its antenna. Thread-safe.

    A `dead` one answers nothing. After power-on it loses as much as it gets in `sleepy` pieces: real ones often lose the first
    command, too. `spoiled_answers` is how many answers come with a wrong byte.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.field = Field()
        self.dead = False
        self.sleepy = 1
        self.commands: deque[int] = deque(maxlen=100)
        self.spoiled_answers = 0
        self._reset()

    def _reset(self) -> None:
        self.asleep, self.normal = self.sleepy, False
        self._registers = dict(_RESET)
        self._received = self._last = b""
        self.field.power(on=False)

    # -- what a person does ------------------------------------------------------------------------------------

    def place(self, uid: bytes, *, torn: int | None = None) -> None:
        """Place a card; a single-size UID that starts with 08 becomes a card with random UIDs."""
        is_random = len(uid) == 4 and uid[0] == RANDOM_FIRST_BYTE
        with self._lock:
            self.field.place(Card.random(uid, torn_after=torn) if is_random else Card(uid, torn_after=torn))

    def remove(self, uid: bytes | None = None) -> None:
        """Remove the card, or all cards."""
        with self._lock:
            self.field.remove(uid)

    def brown_out(self) -> None:
        """Let the supply dip: the chip starts again, asleep (Low Vbat)."""
        with self._lock:
            self._reset()

    # -- the line ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> bytes:
        """Receive bytes from the host and return what the chip sends."""
        with self._lock:
            if self.dead:
                return b""
            if self.asleep:
                self.asleep -= 1  # the edges of these bytes wake it, and the bytes are lost
                return b""
            self._received += data
            sent = b""
            while True:
                frame, self._received = take(self._received, TO_CHIP)
                if frame is None:
                    return sent
                sent += self._react(frame)

    def _react(self, frame: Frame) -> bytes:
        if frame.kind is Kind.NACK:
            return self._last
        if frame.kind is not Kind.DATA:
            return b""  # an ACK of the host ends a command, and a damaged frame is not acknowledged
        code, data = frame.data[0], frame.data[1:]
        self.commands.append(code)
        answer = self._answer(code, data)
        self._last = ERROR if answer is None else build(bytes((code + 1,)) + answer, TO_HOST)
        spoiled = self._last
        if self.spoiled_answers:
            self.spoiled_answers -= 1
            spoiled = spoiled[:-2] + bytes((spoiled[-2] ^ 0x10, 0x00))
        return ACK + spoiled

    def _answer(self, code: int, data: bytes) -> bytes | None:
        match code:
            case 0x02:
                return bytes.fromhex("32010607")
            case 0x06:
                return bytes(self._registers.get(address, 0) for address in _addresses(data, 2))
            case 0x08:
                values = {address: data[3 * place + 2] for place, address in enumerate(_addresses(data, 3))}
                self._registers |= values
                return b""
            case 0x12:
                return b""
            case 0x14:
                self.normal = True
                return b""
            case 0x32:
                return self._configure_rf(data)
            case 0x42:
                return self._exchange(data)
            case 0x4A:
                return self._search()
        return None

    # -- the field ---------------------------------------------------------------------------------------------

    def _configure_rf(self, data: bytes) -> bytes:
        if data[:1] == b"\x01" and self.normal:  # in Low Vbat there is no field
            on = bool(data[1] & 1)
            self._registers[_TX_CONTROL] = 0x80 | (_DRIVERS if on else 0)
            self.field.power(on=on)
        return b""

    def _exchange(self, data: bytes) -> bytes:
        """InCommunicateThru: send one frame; the registers say how."""
        registers = self._registers
        last_bits = registers.get(_BIT_FRAMING, 0) & _LAST_BITS
        if registers.get(_TX_MODE, 0) & _CRC and not last_bits:
            data += crc_a(data)
        heard = None
        if registers.get(_TX_AUTO, 0) & _FORCE_100_ASK and registers[_TX_CONTROL] & _DRIVERS:
            heard = self.field.say(to_bits(data, last_bits))
        return _TIMEOUT if heard is None else self._status(heard)

    def _status(self, heard: Heard) -> bytes:
        received = from_bits(heard.bits)
        if heard.collision is not None:
            return _COLLISION
        if not heard.parity_ok:
            return _PARITY_ERROR
        if self._registers.get(_RX_MODE, 0) & _CRC:
            received, check = received[:-2], received[-2:]
            if crc_a(received) != check:
                return _CRC_ERROR
        return _OK + received

    def _search(self) -> bytes:
        """InListPassiveTarget: set up the receiver for type A. No card is ever found: see whether a driver believes that."""
        self._registers |= {_TX_MODE: _CRC, _RX_MODE: _CRC, _TX_AUTO: _FORCE_100_ASK, _BIT_FRAMING: 0}
        self.field.say(to_bits(bytes((WUPA,)), 7))  # leaves the cards in the middle of their selection
        return b"\x00"


def _addresses(data: bytes, step: int) -> list[int]:
    return [data[at] << 8 | data[at + 1] for at in range(0, len(data) - step + 1, step)]


class Pn532Line(SerialLine):
    """A serial line to a chip. Its thread ends when it is unplugged."""

    def __init__(self, path: Path) -> None:
        self.chip = Pn532Chip()
        super().__init__(path)

    def plug(self) -> None:
        """Let the device appear."""
        super().plug()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="pn532", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Let the device vanish, and the chip lose its supply, as a board with a USB plug does that is pulled."""
        if self._thread.is_alive():
            os.write(self._stopped, b"!")
            self._thread.join()
            os.close(self._stop)
            os.close(self._stopped)
        super().unplug()
        self.chip.brown_out()

    def _serve(self) -> None:
        wait_s: float | None = None
        while (
            self._stop not in select.select([self._stop] if wait_s else [self._stop, self._reader], [], [], wait_s)[0]
        ):
            try:
                self.send(self.chip.receive(os.read(self._reader, 4096)))
                wait_s = None
            except OSError:
                wait_s = _NOBODY_S  # the other end is not open, which cannot be waited for
