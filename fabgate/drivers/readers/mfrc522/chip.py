"""Configures and checks an MFRC522, and makes it send one frame.

It uses the register access, register names and start sequence of the real `mfrc522` package, but not its transceive,
which has ``~`` in place of ``not`` (upstream issue 9), so that a poll without a card takes about 2,013 SPI transfers at
full load. ``exchange`` takes about nine, and sleeps while the chip works.

Facts from the NXP MFRC522 data sheet, revision 3.9.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fabgate.drivers.readers.iso14443a import Reply
from fabgate.drivers.readers.radio import UpsetError
from fabgate.errors import HardwareError

#: Values of VersionReg: NXP version 1.0 and 2.0, then the clones that are sold as MFRC522.
KNOWN_VERSIONS = {0x91: "NXP 1.0", 0x92: "NXP 2.0"} | dict.fromkeys((0x88, 0x90, 0x12, 0xB2), "clone")
GONE = (0x00, 0xFF)  # what is read from a line without a chip

TIMER_PRESCALER, TIMER_RELOAD = 67, 100
#: Section 8.5: (2 x 67 + 1) x (100 + 1) / 13.56 MHz. A card answers within 0.1 ms of the frame's end.
TIMER_S = (2 * TIMER_PRESCALER + 1) * (TIMER_RELOAD + 1) / 13_560_000
BIT_S = 128 / 13_560_000
FRAME_DELAY_S = 1236 / 13_560_000  # ISO/IEC 14443-3 section 6.2.1
SETTLE_S = 0.001  # the pause before the chip is polled again for an answer
PATIENCE = 20  # the number of attempts, SETTLE_S apart, after which the chip counts as broken
START_UP_S = 0.005  # section 8.8.2: crystal and 1,024 clocks after a reset
GUARD_S = 0.0055  # ISO/IEC 14443-3 section 5: 5 ms of field before the first request; the same without field to reset

IRQ_RX, IRQ_TIMER = 0x20, 0x01
ERROR_COLLISION, ERROR_OTHER = 0x08, 0x13  # CollErr; BufferOvfl, ParityErr, ProtocolErr
ANTENNA = 0x83  # TxControlReg: its reset value 80h and both drivers on


class ChipLink:
    """An MFRC522 behind `pcd`, an instance of the package's class.

    `gain` is RxGain, 0 to 7; `release_pin` releases only the reset pin; `sleep` takes seconds.
    """

    def __init__(self, pcd: Any, *, gain: int, release_pin: Callable[[], None], sleep: Callable[[float], None]) -> None:
        self._pcd = pcd
        self._release_pin = release_pin
        self._sleep = sleep
        # RFCfgReg, section 9.3.3.6: RxGain is bits 6 to 4; the others keep their reset value.
        self._settings = {
            pcd.TModeReg: 0x80,  # TAuto: the timer starts when a frame has been sent
            pcd.TPrescalerReg: TIMER_PRESCALER,
            pcd.TReloadRegH: 0,
            pcd.TReloadRegL: TIMER_RELOAD,
            pcd.TxAutoReg: 0x40,  # Force100ASK: cards of type A need 100 % modulation
            pcd.ModeReg: 0x3D,
            pcd.RFCfgReg: gain << 4 | 0x08,
            pcd.TxControlReg: ANTENNA,
        }
        # Two dangerous methods of the package are replaced, in case anything calls them.
        pcd.MFRC522_ToCard = self._to_card
        pcd.Close_MFRC522 = self.close

    def configure(self) -> None:
        """Reset the chip, set it up, switch the field on. Raises HardwareError when it does not take the settings."""
        self._sleep(START_UP_S)
        self._pcd.MFRC522_Init()
        self._sleep(START_UP_S)
        # All settings, also those that the package wrote: it wrote them before its reset of the chip had ended.
        for register, value in self._settings.items():
            self._pcd.Write_MFRC522(register, value)
        self._sleep(GUARD_S)
        wrong = self._differences()
        if wrong:
            raise HardwareError(f"the MFRC522 does not keep its settings: {wrong}. Check its supply and the wires")

    def check(self) -> None:
        """Check in one transfer that the chip is there and has its configuration.

        Raises HardwareError when it is gone or unknown, UpsetError when it was reset in the meantime.
        """
        wrong = self._differences()
        if wrong:
            raise UpsetError(wrong)

    def version(self) -> str:
        """Return VersionReg, and what it means. Raises HardwareError when the chip is gone or unknown."""
        (version,) = self._read(self._pcd.VersionReg)
        _check_version(version)
        return f"VersionReg {version:02X}h ({KNOWN_VERSIONS[version]})"

    def exchange(self, frame: bytes, *, last_bits: int = 0, expect_bits: int = 0) -> Reply | None:
        """Send `frame` and return the answer or None: seven transfers, one for each check, one for the answer.

        Raises HardwareError when the chip is gone, UpsetError when it was reset or never finishes.
        """
        pcd = self._pcd
        pcd.Write_MFRC522(pcd.CommandReg, pcd.PCD_IDLE)
        pcd.Write_MFRC522(pcd.CommIrqReg, 0x7F)  # Set1 = 0: the marked bits are cleared
        pcd.Write_MFRC522(pcd.FIFOLevelReg, 0x80)
        pcd.spi.xfer2([pcd.FIFODataReg << 1, *frame])
        pcd.Write_MFRC522(pcd.BitFramingReg, last_bits)  # also clears the StartSend of the last frame
        pcd.Write_MFRC522(pcd.CommandReg, pcd.PCD_TRANSCEIVE)
        pcd.Write_MFRC522(pcd.BitFramingReg, 0x80 | last_bits)
        # where silence is likely, check first when the timer has ended
        answer_s = FRAME_DELAY_S + _air_s(expect_bits) if expect_bits else TIMER_S
        self._sleep(_air_s(8 * len(frame)) + answer_s)
        for _ in range(PATIENCE):
            irq, error, level, control, antenna, version = self._read(
                pcd.CommIrqReg, pcd.ErrorReg, pcd.FIFOLevelReg, pcd.ControlReg, pcd.TxControlReg, pcd.VersionReg
            )
            _check_version(version)
            if antenna != ANTENNA:
                raise UpsetError(f"TxControlReg is {antenna:02X}h, wanted {ANTENNA:02X}h")
            if irq & IRQ_RX:
                return self._reply(error, min(level, 64), control & 0x07)
            if irq & IRQ_TIMER:
                return None
            self._sleep(SETTLE_S)
        raise UpsetError("the chip reported neither an answer nor the end of its timer")

    def reset_cards(self) -> None:
        """Switch the field off and on, so that every card starts again; about 11 ms."""
        self._pcd.Write_MFRC522(self._pcd.TxControlReg, ANTENNA & ~0x03)
        self._sleep(GUARD_S)
        self._pcd.Write_MFRC522(self._pcd.TxControlReg, ANTENNA)
        self._sleep(GUARD_S)

    def close(self) -> None:
        """Release the SPI device and the reset pin, but no other pin of the process."""
        self._pcd.spi.close()
        self._release_pin()

    def _reply(self, error: int, level: int, last_bits: int) -> Reply:
        data = b""
        if level:
            # The version is read too: a ribbon pulled at this moment reads as 00 00 00 00 00, whose BCC is right.
            *received, version = self._read(*[self._pcd.FIFODataReg] * level, self._pcd.VersionReg)
            _check_version(version)
            data = bytes(received)
        bits = 8 * level - (8 - last_bits if last_bits and level else 0)
        return Reply(data, bits, collision=bool(error & ERROR_COLLISION), broken=bool(error & ERROR_OTHER))

    def _read(self, *registers: int) -> list[int]:
        """Read registers in one transfer: the answer to each address comes while the next is sent (section 8.1.2.1)."""
        addresses = [register << 1 | 0x80 for register in registers]
        answer: list[int] = self._pcd.spi.xfer2([*addresses, 0])
        return answer[1:]

    def _differences(self) -> str:
        """Return in words what differs from the configuration, or ""."""
        version, *found = self._read(self._pcd.VersionReg, *self._settings)
        _check_version(version)
        pairs = zip(self._settings.items(), found, strict=True)
        return ", ".join(
            f"register {reg:02X}h is {is_:02X}h, wanted {want:02X}h" for (reg, want), is_ in pairs if is_ != want
        )

    def _to_card(self, command: int, data: list[int]) -> tuple[int, list[int], int]:
        """Replace the package's transceive, so that its own requests work and are fast, too."""
        pcd = self._pcd
        if command != pcd.PCD_TRANSCEIVE:
            return pcd.MI_ERR, [], 0
        short = len(data) == 1 and data[0] in (pcd.PICC_REQIDL, pcd.PICC_REQALL)
        reply = self.exchange(bytes(data), last_bits=7 if short else 0, expect_bits=16)
        if reply is None:
            return pcd.MI_NOTAGERR, [], 0
        status = pcd.MI_ERR if reply.collision or reply.broken else pcd.MI_OK
        return status, list(reply.data), reply.bits


@contextmanager
def without_package_log_handler() -> Iterator[None]:
    """Remove the log handlers that the package adds, one for each instance, so that no line is printed twice."""
    logger = logging.getLogger("mfrc522Logger")
    before = list(logger.handlers)
    try:
        yield
    finally:
        for handler in [one for one in logger.handlers if one not in before]:
            logger.removeHandler(handler)
            handler.close()


def _check_version(version: int) -> None:
    if version in GONE:
        raise HardwareError(
            f"the MFRC522 is unplugged: VersionReg reads {version:02X}h, wanted 91h or 92h. Check ribbon, 3.3 V and SPI"
        )
    if version not in KNOWN_VERSIONS:
        known = ", ".join(f"{one:02X}h" for one in sorted(KNOWN_VERSIONS))
        raise HardwareError(f"no MFRC522 known here: VersionReg reads {version:02X}h, wanted one of {known}")


def _air_s(bits: int) -> float:
    """Time of a frame at 106 kbit/s, with its start, end and parity bits."""
    return (2 + bits + bits // 8) * BIT_S
