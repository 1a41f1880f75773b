"""The timer, the receiver and the status flags of the emulated MFRC522.

Section numbers are those of its data sheet, revision 3.9.
"""

from __future__ import annotations

import math

import msgspec

from fabgate.drivers.emulated.cards import crc_a, from_bits
from fabgate.drivers.emulated.field import Heard
from fabgate.drivers.emulated.registers import (
    CARRIER_HZ,
    COLL_POS_NOT_VALID,
    FIFO_BYTES,
    TIMER_AUTO,
    TIMER_AUTO_RESTART,
    ComIrq,
    Command,
    Error,
    Reg,
)


class Timer:
    """The timer unit, section 8.5: counts down once from TReload. Times are chip time in seconds."""

    def __init__(self, regs: bytearray) -> None:
        self._regs = regs
        self.ends_at = math.inf

    @property
    def automatic(self) -> bool:
        """Whether the timer starts at the end of each transmission and stops when an answer begins (TAuto)."""
        return bool(self._regs[Reg.T_MODE] & TIMER_AUTO)

    @property
    def running(self) -> bool:
        """Whether the timer counts (TRunning)."""
        return self.ends_at < math.inf

    def start(self, at: float) -> None:
        """Count from the reload value."""
        self.ends_at = at + self._period_s()

    def stop(self) -> None:
        """Stop counting."""
        self.ends_at = math.inf

    def end(self, now: float) -> None:
        """Act on the end: stop, or start again if TAutoRestart is set."""
        if self._regs[Reg.T_MODE] & TIMER_AUTO_RESTART:
            self.start(now)
        else:
            self.stop()

    def counter(self, now: float) -> int:
        """Return TCounterVal."""
        left_s = max(0.0, self.ends_at - now) if self.running else 0.0
        return int(left_s / self._period_s() * self._reload)

    @property
    def _reload(self) -> int:
        return self._regs[Reg.T_RELOAD_H] << 8 | self._regs[Reg.T_RELOAD_L]

    def _period_s(self) -> float:
        """Return the period in seconds, by section 8.5: (TPrescaler x 2 + 1) x (TReload + 1) / 13.56 MHz."""
        prescaler = (self._regs[Reg.T_MODE] & 0x0F) << 8 | self._regs[Reg.T_PRESCALER]
        return (2 * prescaler + 1) * (self._reload + 1) / CARRIER_HZ


class Received(msgspec.Struct, frozen=True):
    """The result of the receiver: FIFO bytes, RxLastBits, the lower bits of CollReg, and errors."""

    data: bytes
    last_bits: int
    position: int
    errors: Error


def receive(heard: Heard, *, align: int, keep_after_collision: bool, check_crc: bool) -> Received:
    """Return what the registers show of a received answer.

    `align` is RxAlign: the position of the first bit in the first byte. CollReg (section 9.3.1.15) counts from 1, is 0 for
    the 32nd bit and "not valid" beyond; ErrorReg is section 9.3.1.7.
    """
    bits, errors, position = heard.bits, Error(0), COLL_POS_NOT_VALID
    if heard.collision is not None:
        errors |= Error.COLLISION
        place = align + heard.collision + 1
        position = place & 0x1F if place <= 32 else COLL_POS_NOT_VALID
        if not keep_after_collision:
            bits = bits[: heard.collision] + (0,) * (len(bits) - heard.collision)
    if not heard.parity_ok:
        errors |= Error.PARITY
    bits = (0,) * align + bits
    data = from_bits(bits)
    if check_crc:
        data, check = data[:-2], data[-2:]
        errors |= Error(0) if check == crc_a(data) else Error.CRC
    return Received(data, len(bits) % 8, position, errors)


def alerts(regs: bytearray, level: int) -> ComIrq:
    """Return HiAlert and LoAlert for a FIFO of `level` bytes: within WaterLevel of full or of empty (9.3.1.12)."""
    water = regs[Reg.WATER_LEVEL] & 0x3F
    high = ComIrq.HI_ALERT if FIFO_BYTES - level <= water else ComIrq(0)
    return high | (ComIrq.LO_ALERT if level <= water else ComIrq(0))


def status1(regs: bytearray, level: int, *, timer_runs: bool) -> int:
    """Return Status1Reg (9.3.1.8): CRCReady, IRq, TRunning, HiAlert, LoAlert."""
    now = alerts(regs, level)
    pending = regs[Reg.COM_IRQ] & regs[Reg.COM_IRQ_EN] & 0x7F or regs[Reg.DIV_IRQ] & regs[Reg.DIV_IRQ_EN] & 0x14
    calculating = regs[Reg.COMMAND] & 0x0F == Command.CALC_CRC and level > 0
    flags = ((0x20, not calculating), (0x10, pending), (0x08, timer_runs))
    levels = ((0x02, now & ComIrq.HI_ALERT), (0x01, now & ComIrq.LO_ALERT))
    return sum(bit for bit, is_set in (*flags, *levels) if is_set)
