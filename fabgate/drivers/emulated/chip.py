"""Emulates an MFRC522 at its SPI pins.

It follows the NXP MFRC522 data sheet, revision 3.9, as far as drivers use the chip: register file, FIFO, commands, CRC
coprocessor, timer, interrupts, and a field with cards. What happens on the air is computed when StartSend is written; a
driver sees the results when their modelled time has come. There is no thread.

Time is an argument: `clock` returns seconds. With `rf_time` frames take their time at 106 kbit/s; with `spi_hz` each
transfer advances the chip's clock by its duration. Without both, answers come at once, and only the chip's timer takes
time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fabgate.drivers.emulated.cards import Bits, Card, crc_a, to_bits
from fabgate.drivers.emulated.field import Field, Heard
from fabgate.drivers.emulated.parts import Timer, alerts, receive, status1
from fabgate.drivers.emulated.registers import (
    ANTENNA,
    CARRIER_HZ,
    CRC_ENABLE,
    CRC_PRESETS,
    FIFO_BYTES,
    FLUSH_BUFFER,
    FORCE_100_ASK,
    READ_ONLY,
    RESET_VALUES,
    START_SEND,
    TIMER_START_NOW,
    TIMER_STOP_NOW,
    VALUES_AFTER_COLL,
    ComIrq,
    Command,
    DivIrq,
    Error,
    Reg,
)
from fabgate.errors import UsageError

BIT_S = 128 / CARRIER_HZ  # one bit at 106 kbit/s, ISO/IEC 14443-2
FRAME_DELAY_S = 1236 / CARRIER_HZ  # shortest frame delay time of a card, ISO/IEC 14443-3 section 6.2.1


@dataclass(slots=True)
class _Due:
    """An action that the chip takes at the time `at` (chip time, seconds); it is called with that time."""

    at: float
    act: Callable[[float], None]


class Chip:
    """One emulated MFRC522 with its antenna. Thread-safe: SPI transfers and placing cards may be two threads.

    `version` is the value of VersionReg (92h: MFRC522 version 2.0). `transfers` counts SPI transfers.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        version: int = 0x92,
        rf_time: bool = False,
        spi_hz: int | None = None,
    ) -> None:
        self._clock = clock
        self._version = version
        self._rf_time = rf_time
        self._spi_hz = spi_hz
        self._charged_s = 0.0
        self._lock = threading.RLock()
        self._dead: int | None = None  # what a read returns while the chip is unplugged
        self.transfers = 0
        self.resets = 0
        self.field = Field()
        self._empty_polls = 0
        self._reset()

    # -- the bus ----------------------------------------------------------------------------------------------

    def transfer(self, sent: Sequence[int]) -> list[int]:
        """Exchange bytes as one SPI transfer (section 8.1.2).

        Bit 7 of the first byte means read, bits 6 to 1 are the address. A read has one address in each byte and answers
        one byte later; a write writes all its bytes to one address.
        """
        with self._lock:
            self.transfers += 1
            if self._spi_hz is not None:
                self._charged_s += 8 * len(sent) / self._spi_hz
            if self._dead is not None:
                return [self._dead] * len(sent)
            answer = [0] * len(sent)
            if sent and sent[0] & 0x80:
                for place, byte in enumerate(sent[:-1], 1):
                    answer[place] = self._read(byte >> 1 & 0x3F) if byte & 0x80 else 0
            else:
                for byte in sent[1:]:
                    self._write(sent[0] >> 1 & 0x3F, byte & 0xFF)
            return answer

    # -- cards and plug -------------------------------------------------------------------------------------------

    def place(self, card: Card) -> None:
        """Place a card on the antenna. Raises UsageError when one with this UID is there already."""
        with self._lock:
            self.field.place(card)

    def remove(self, uid: bytes | None = None) -> None:
        """Remove the card with this UID, or all cards. Raises UsageError when it is not there."""
        with self._lock:
            self.field.remove(uid)

    def unplug(self, *, reads: int = 0x00) -> None:
        """Pull out the ribbon cable. Every read then returns `reads` (00h for a low, FFh for a floating line)."""
        if reads not in (0x00, 0xFF):
            raise UsageError(f"found {reads:#04x} as the value read from a dead bus, wanted 0x00 or 0xff")
        with self._lock:
            self._reset()
            self._dead = reads

    def plug(self) -> None:
        """Plug the ribbon cable in again: the chip starts with its reset values, the antenna off."""
        with self._lock:
            self._dead = None
            self._reset()

    def brown_out(self) -> None:
        """Let the supply voltage dip: the chip silently returns to its reset values."""
        with self._lock:
            self._reset()

    @property
    def antenna_on(self) -> bool:
        """Whether the field is on (Tx1RFEn or Tx2RFEn)."""
        return bool(self._regs[Reg.TX_CONTROL] & ANTENNA)

    @property
    def empty_polls(self) -> int | None:
        """How many frames in a row went out to an empty field, one a poll; None while a card is there."""
        with self._lock:
            return None if self.field.has_cards else self._empty_polls

    # -- time -------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock() + self._charged_s

    def _advance(self) -> None:
        """Do what has come due, in order."""
        now = self._now()
        while True:
            due = min(self._due, key=lambda each: each.at, default=None)
            if due is not None and due.at <= min(now, self._timer.ends_at):
                self._due.remove(due)
                due.act(due.at)
            elif self._timer.ends_at <= now:
                self._irq(ComIrq.TIMER)
                self._timer.end(now)
            else:
                return

    # -- registers --------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._regs = bytearray(64)
        for register, value in RESET_VALUES.items():
            self._regs[register] = value
        self._regs[Reg.VERSION] = self._version
        self._fifo = bytearray()
        self._due: list[_Due] = []
        self._timer = Timer(self._regs)
        self._crc = 0xFFFF
        self.resets += 1
        self._empty_polls = 0
        self.field.power(on=False)

    def _read(self, register: int) -> int:
        self._advance()
        if register == Reg.FIFO_DATA:
            value = self._fifo.pop(0) if self._fifo else 0
            self._alerts()
            return value
        if register == Reg.FIFO_LEVEL:
            return len(self._fifo)
        if register == Reg.STATUS1:
            return status1(self._regs, len(self._fifo), timer_runs=self._timer.running)
        if register in (Reg.T_COUNTER_H, Reg.T_COUNTER_L):
            return self._timer.counter(self._now()).to_bytes(2, "big")[register - Reg.T_COUNTER_H]
        return self._regs[register]

    def _write(self, register: int, value: int) -> None:
        self._advance()
        if register in self._SPECIAL:
            self._SPECIAL[register](self, value)
        elif register not in READ_ONLY:
            self._regs[register] = value

    def _write_command(self, value: int) -> None:
        command = value & 0x0F
        if command == Command.SOFT_RESET:
            self._reset()
            return
        if command == Command.NO_CMD_CHANGE:
            command = self._regs[Reg.COMMAND] & 0x0F
            self._regs[Reg.COMMAND] = value & 0x30 | command
            return
        self._regs[Reg.COMMAND] = value & 0x30 | command
        self._due.clear()  # a new command ends the current one
        if command == Command.IDLE:
            return
        self._regs[Reg.ERROR] &= Error.TEMP  # "command execution clears all error bits except TempErr"
        if command == Command.CALC_CRC:
            self._crc = CRC_PRESETS[self._regs[Reg.MODE] & 0x03]
            self._take_crc()
        elif command == Command.MF_AUTHENT:
            self._refuse_authentication()
        elif command == Command.TRANSMIT:
            self._send(listen=False)
        elif command not in (Command.TRANSCEIVE, Command.RECEIVE):
            self._to_idle()

    def _write_irq(self, register: Reg, value: int) -> None:
        """Set the marked bits where bit 7 (Set1, Set2) is 1, else clear them (sections 9.3.1.5 and 9.3.1.6)."""
        if value & ComIrq.SET1:
            self._regs[register] |= value & 0x7F
        else:
            self._regs[register] &= ~value & 0x7F

    def _write_fifo(self, value: int) -> None:
        if len(self._fifo) == FIFO_BYTES:
            self._error(Error.BUFFER_OVERFLOW)
            return
        self._fifo.append(value)
        self._alerts()
        if self._regs[Reg.COMMAND] & 0x0F == Command.CALC_CRC:
            self._take_crc()

    def _write_fifo_level(self, value: int) -> None:
        if value & FLUSH_BUFFER:
            self._fifo.clear()
            self._regs[Reg.ERROR] &= ~Error.BUFFER_OVERFLOW & 0xFF
            self._alerts()

    def _write_control(self, value: int) -> None:
        if value & TIMER_STOP_NOW:
            self._timer.stop()
        elif value & TIMER_START_NOW:
            self._timer.start(self._now())

    def _write_bit_framing(self, value: int) -> None:
        self._regs[Reg.BIT_FRAMING] = value
        if value & START_SEND and self._regs[Reg.COMMAND] & 0x0F == Command.TRANSCEIVE:
            self._send(listen=True)

    def _write_coll(self, value: int) -> None:
        self._regs[Reg.COLL] = self._regs[Reg.COLL] & 0x7F | value & VALUES_AFTER_COLL

    def _write_tx_control(self, value: int) -> None:
        self._regs[Reg.TX_CONTROL] = value
        self.field.power(on=self.antenna_on)

    _SPECIAL: ClassVar[dict[int, Callable[[Chip, int], None]]] = {
        Reg.COMMAND: _write_command,
        Reg.COM_IRQ: lambda self, value: self._write_irq(Reg.COM_IRQ, value),
        Reg.DIV_IRQ: lambda self, value: self._write_irq(Reg.DIV_IRQ, value),
        Reg.FIFO_DATA: _write_fifo,
        Reg.FIFO_LEVEL: _write_fifo_level,
        Reg.CONTROL: _write_control,
        Reg.BIT_FRAMING: _write_bit_framing,
        Reg.COLL: _write_coll,
        Reg.TX_CONTROL: _write_tx_control,
    }

    # -- what commands do -------------------------------------------------------------------------------------

    def _send(self, *, listen: bool) -> None:
        """Send the FIFO, and compute what comes back and when."""
        last_bits = self._regs[Reg.BIT_FRAMING] & 0x07
        data = bytes(self._fifo)
        self._fifo.clear()
        if self._regs[Reg.TX_MODE] & CRC_ENABLE and not last_bits:
            data += crc_a(data)
        frame = to_bits(data, last_bits)
        heard = None
        # Cards of type A detect modulation only at 100 % ASK (ISO/IEC 14443-2 section 8.1); the reset value is less.
        if frame and self.antenna_on and self._regs[Reg.TX_ASK] & FORCE_100_ASK and not self._fast():
            self._empty_polls = 0 if self.field.has_cards else self._empty_polls + 1
            heard = self.field.say(frame)
        sent_at = self._now() + self._air_s(frame)
        self._due.append(_Due(sent_at, lambda at: self._sent(at, listen=listen)))
        if heard is not None and listen:
            begins_at = sent_at + (FRAME_DELAY_S if self._rf_time else 0.0)
            # Section 8.5: the timer stops when the first bits (1 start bit, 4 data bits) have come in.
            self._due.append(_Due(begins_at + (5 * BIT_S if self._rf_time else 0.0), self._hears))
            self._due.append(_Due(begins_at + self._air_s(heard.bits), lambda _: self._received(heard)))
        self._alerts()
        self._advance()

    def _sent(self, at: float, *, listen: bool) -> None:
        self._irq(ComIrq.TX)
        if self._timer.automatic:
            self._timer.start(at)
        if not listen:
            self._to_idle()

    def _hears(self, _at: float) -> None:
        if self._timer.automatic:
            self._timer.stop()

    def _received(self, heard: Heard) -> None:
        """Store what came in: FIFO, RxLastBits, CollReg, errors, RxIRq."""
        got = receive(
            heard,
            align=self._regs[Reg.BIT_FRAMING] >> 4 & 0x07,
            keep_after_collision=bool(self._regs[Reg.COLL] & VALUES_AFTER_COLL),
            check_crc=bool(self._regs[Reg.RX_MODE] & CRC_ENABLE),
        )
        self._regs[Reg.COLL] = self._regs[Reg.COLL] & VALUES_AFTER_COLL | got.position
        self._regs[Reg.CONTROL] = self._regs[Reg.CONTROL] & 0xF8 | got.last_bits
        room = FIFO_BYTES - len(self._fifo)
        self._fifo += got.data[:room]
        errors = got.errors | (Error.BUFFER_OVERFLOW if len(got.data) > room else Error(0))
        if errors:
            self._error(errors)
        self._irq(ComIrq.RX)
        self._alerts()

    def _take_crc(self) -> None:
        if self._fifo:
            self._crc = int.from_bytes(crc_a(bytes(self._fifo), self._crc), "little")
            self._fifo.clear()
            self._regs[Reg.CRC_RESULT_H], self._regs[Reg.CRC_RESULT_L] = self._crc >> 8, self._crc & 0xFF
            self._regs[Reg.DIV_IRQ] |= DivIrq.CRC
            self._alerts()

    def _refuse_authentication(self) -> None:
        """Let MFAuthent fail as if no card accepted the key: without Crypto1 only the timer ends the command."""
        if len(self._fifo) < 12:  # command, block, key 6, UID 4 (section 10.3.1.9)
            self._error(Error.PROTOCOL)
        self._fifo.clear()
        self._sent(self._now(), listen=True)

    def _to_idle(self) -> None:
        self._regs[Reg.COMMAND] = self._regs[Reg.COMMAND] & 0x30
        self._irq(ComIrq.IDLE)

    # -- helpers ----------------------------------------------------------------------------------------------

    def _irq(self, bit: ComIrq) -> None:
        self._regs[Reg.COM_IRQ] |= bit

    def _error(self, bit: Error) -> None:
        self._regs[Reg.ERROR] |= bit
        self._irq(ComIrq.ERR)

    def _alerts(self) -> None:
        self._irq(alerts(self._regs, len(self._fifo)))

    def _fast(self) -> bool:
        """Whether a speed other than 106 kbit/s is set: type A cards start at 106."""
        return bool((self._regs[Reg.TX_MODE] | self._regs[Reg.RX_MODE]) & 0x70)

    def _air_s(self, bits: Bits) -> float:
        """Time of a frame at 106 kbit/s: start and end of frame, and one parity bit a full byte."""
        return (2 + len(bits) + len(bits) // 8) * BIT_S if self._rf_time else 0.0
