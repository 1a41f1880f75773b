"""The bus to the emulated MFRC522, as a driver uses it."""

from fabgate.drivers.emulated.cards import (
    bcc,
    with_crc,
)
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.registers import Command, Reg
from fabgate.testing.readers import ManualClock

SINGLE, OTHER = bytes.fromhex("04A1B2C3"), bytes.fromhex("04A1B2C7")


class Bus:
    """The bytes of a driver, at the level of registers."""

    def __init__(self, **chip_options):
        self.clock = ManualClock()
        self.chip = Chip(clock=self.clock, **chip_options)

    def read(self, *registers):
        got = self.chip.transfer([register << 1 | 0x80 for register in registers] + [0])[1:]
        return got[0] if len(got) == 1 else got

    def write(self, register, *values):
        self.chip.transfer([register << 1, *values])

    def field_on(self):
        self.write(Reg.TX_ASK, 0x40)
        self.write(Reg.TX_CONTROL, 0x83)
        self.write(Reg.T_MODE, 0x80)
        self.write(Reg.T_PRESCALER, 67)
        self.write(Reg.T_RELOAD_L, 100)
        return self

    def start(self, frame, last_bits=0, align=0):
        self.write(Reg.COMMAND, Command.IDLE)
        self.write(Reg.COM_IRQ, 0x7F)
        self.write(Reg.FIFO_LEVEL, 0x80)
        self.write(Reg.FIFO_DATA, *frame)
        self.write(Reg.COMMAND, Command.TRANSCEIVE)
        self.write(Reg.BIT_FRAMING, 0x80 | align << 4 | last_bits)

    def ask(self, frame, last_bits=0, align=0):
        self.start(frame, last_bits, align)
        level = self.read(Reg.FIFO_LEVEL)
        return bytes(self.read(Reg.FIFO_DATA) for _ in range(level))

    def select(self, four, code=0x93):
        return self.ask(with_crc(bytes((code, 0x70)) + four + bytes((bcc(four),))))
