"""The registers of an MFRC522: their addresses, bits and reset values.

From the NXP MFRC522 data sheet, revision 3.9: addresses and reset values from section 9.2, commands from section 10.3.
Bits that the data sheet leaves undefined after a reset are 0 here.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

FIFO_BYTES = 64  # section 8.3
CARRIER_HZ = 13_560_000


class Reg(IntEnum):
    """Address of a register."""

    COMMAND = 0x01
    COM_IRQ_EN = 0x02
    DIV_IRQ_EN = 0x03
    COM_IRQ = 0x04
    DIV_IRQ = 0x05
    ERROR = 0x06
    STATUS1 = 0x07
    STATUS2 = 0x08
    FIFO_DATA = 0x09
    FIFO_LEVEL = 0x0A
    WATER_LEVEL = 0x0B
    CONTROL = 0x0C
    BIT_FRAMING = 0x0D
    COLL = 0x0E
    MODE = 0x11
    TX_MODE = 0x12
    RX_MODE = 0x13
    TX_CONTROL = 0x14
    TX_ASK = 0x15
    CRC_RESULT_H = 0x21
    CRC_RESULT_L = 0x22
    RF_CFG = 0x26
    T_MODE = 0x2A
    T_PRESCALER = 0x2B
    T_RELOAD_H = 0x2C
    T_RELOAD_L = 0x2D
    T_COUNTER_H = 0x2E
    T_COUNTER_L = 0x2F
    VERSION = 0x37


#: Section 9.2, "Reset value" in each table; other registers are reset to 0.
RESET_VALUES = {
    Reg.COMMAND: 0x20,
    Reg.COM_IRQ_EN: 0x80,
    Reg.COM_IRQ: 0x14,
    Reg.STATUS1: 0x21,
    Reg.WATER_LEVEL: 0x08,
    Reg.CONTROL: 0x10,
    Reg.COLL: 0xA0,
    Reg.MODE: 0x3F,
    Reg.TX_CONTROL: 0x80,
    0x16: 0x10,  # TxSelReg
    0x17: 0x84,  # RxSelReg
    0x18: 0x84,  # RxThresholdReg
    0x19: 0x4D,  # DemodReg
    0x1C: 0x62,  # MfTxReg
    0x1F: 0xEB,  # SerialSpeedReg
    Reg.CRC_RESULT_H: 0xFF,
    Reg.CRC_RESULT_L: 0xFF,
    0x24: 0x26,  # ModWidthReg
    Reg.RF_CFG: 0x48,
    0x27: 0x88,  # GsNReg
    0x28: 0x20,  # CWGsPReg
    0x29: 0x20,  # ModGsPReg
    0x33: 0x80,  # TestPinEnReg
    0x36: 0x40,  # AutoTestReg
}

#: A write to one of these changes nothing (section 9.2, access "R").
READ_ONLY = frozenset(
    {
        Reg.ERROR,
        Reg.STATUS1,
        Reg.CRC_RESULT_H,
        Reg.CRC_RESULT_L,
        Reg.T_COUNTER_H,
        Reg.T_COUNTER_L,
        Reg.VERSION,
    }
)


class Command(IntEnum):
    """Commands of CommandReg, section 10.3."""

    IDLE = 0x0
    MEM = 0x1
    GENERATE_RANDOM_ID = 0x2
    CALC_CRC = 0x3
    TRANSMIT = 0x4
    NO_CMD_CHANGE = 0x7
    RECEIVE = 0x8
    TRANSCEIVE = 0xC
    MF_AUTHENT = 0xE
    SOFT_RESET = 0xF


class ComIrq(IntFlag):
    """Bits of ComIrqReg, section 9.3.1.5."""

    SET1 = 0x80
    TX = 0x40
    RX = 0x20
    IDLE = 0x10
    HI_ALERT = 0x08
    LO_ALERT = 0x04
    ERR = 0x02
    TIMER = 0x01


class DivIrq(IntFlag):
    """Bits of DivIrqReg, section 9.3.1.6."""

    SET2 = 0x80
    MFIN_ACT = 0x10
    CRC = 0x04


class Error(IntFlag):
    """Bits of ErrorReg, section 9.3.1.7."""

    WR = 0x80
    TEMP = 0x40
    BUFFER_OVERFLOW = 0x10
    COLLISION = 0x08
    CRC = 0x04
    PARITY = 0x02
    PROTOCOL = 0x01


FLUSH_BUFFER = 0x80  # FIFOLevelReg
START_SEND = 0x80  # BitFramingReg
TIMER_STOP_NOW = 0x80  # ControlReg
TIMER_START_NOW = 0x40  # ControlReg
VALUES_AFTER_COLL = 0x80  # CollReg
COLL_POS_NOT_VALID = 0x20  # CollReg
CRC_ENABLE = 0x80  # TxModeReg, RxModeReg
ANTENNA = 0x03  # TxControlReg: Tx1RFEn, Tx2RFEn
FORCE_100_ASK = 0x40  # TxASKReg
TIMER_AUTO = 0x80  # TModeReg
TIMER_AUTO_RESTART = 0x10  # TModeReg

#: ModeReg bits 1 and 0, section 9.3.2.2.
CRC_PRESETS = (0x0000, 0x6363, 0xA671, 0xFFFF)
