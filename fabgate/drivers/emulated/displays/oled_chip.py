"""The chips of small OLEDs in software: SSD1306 and SSD1309 (datasheets of Solomon Systech), SH1106 (Sino Wealth)."""

from __future__ import annotations

from typing import Final

WIDTH: Final = 128
PAGES: Final = 8
#: How many bytes follow a command.
_FOLLOW: Final = {0x81: 1, 0xA8: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1}
_FOLLOW_SSD: Final = {0x20: 1, 0x21: 2, 0x22: 2, 0x8D: 1}
_FOLLOW_SH: Final = {0xAD: 1}


class OledChip:
    """A display of 128 by 64 dots. An SH1106 has 132 columns, of which these are the middle ones, and no address modes."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._is_sh = model == "sh1106"
        self._columns = 132 if self._is_sh else WIDTH
        self._follow = _FOLLOW | (_FOLLOW_SH if self._is_sh else _FOLLOW_SSD)
        self.lose_power()

    def lose_power(self) -> None:
        """Forget everything, as after a power cut: the memory then holds noise, and nothing is lit."""
        self._memory = [[(37 * x * (page + 1)) & 0xFF for x in range(self._columns)] for page in range(PAGES)]
        self.is_on = False
        self.contrast = 0x7F
        self._pumps = self.model != "ssd1306"  # the others have a supply of their own
        self._is_horizontal = False
        self._column_range, self._page_range = (0, self._columns - 1), (0, PAGES - 1)
        self._column = self._page = 0
        self._is_remapped = self._is_reversed = self._is_inverted = False

    @property
    def rows(self) -> list[int]:
        """What a person sees: 64 rows of 128 bits, the highest bit at the left; dark while it is off."""
        if not (self.is_on and self._pumps):
            return [0] * PAGES * 8
        first = 2 if self._is_sh else 0
        found = []
        for y in range(PAGES * 8):
            at = y if self._is_reversed else PAGES * 8 - 1 - y
            row = 0
            for x in range(WIDTH):
                column = x if self._is_remapped else WIDTH - 1 - x
                dot = self._memory[at // 8][first + column] >> (at % 8) & 1
                row = row << 1 | (dot ^ self._is_inverted)
            found.append(row)
        return found

    def write(self, data: bytes) -> None:
        """Take one transfer: a control byte, then commands or dots."""
        control, rest = data[:1], data[1:]
        if control == b"\x40":
            for byte in rest:
                self._dots(byte)
        elif control == b"\x00":
            at = 0
            while at < len(rest):
                follow = self._follow.get(rest[at], 0)
                self._command(rest[at], rest[at + 1 : at + 1 + follow].ljust(follow, b"\0"))
                at += 1 + follow

    def _dots(self, byte: int) -> None:
        if self._column < self._columns:
            self._memory[self._page][self._column] = byte
        self._column += 1
        if self._is_horizontal and self._column > self._column_range[1]:
            self._column = self._column_range[0]
            self._page += 1
            if self._page > self._page_range[1]:
                self._page = self._page_range[0]

    def _command(self, command: int, follow: bytes) -> None:
        if command == 0x81:
            self.contrast = follow[0]
        elif command in (0xA0, 0xA1):
            self._is_remapped = command == 0xA1
        elif command in (0xC0, 0xC8):
            self._is_reversed = command == 0xC8
        elif command in (0xA6, 0xA7):
            self._is_inverted = command == 0xA7
        elif command in (0xAE, 0xAF):
            self.is_on = command == 0xAF
        else:
            self._address(command, follow)

    def _address(self, command: int, follow: bytes) -> None:
        """Take the commands that say where the next dots go, and the pump of the chip that has one."""
        if 0xB0 <= command <= 0xB7:
            self._page = command & 7
        elif command <= 0x0F:
            self._column = self._column & 0xF0 | command
        elif command <= 0x1F:
            self._column = self._column & 0x0F | (command & 0x0F) << 4
        elif self._is_sh:
            return
        elif command == 0x20:
            self._is_horizontal = follow == b"\0"
        elif command == 0x21:
            self._column_range = follow[0], follow[1]
            self._column = follow[0]
        elif command == 0x22:
            self._page_range = follow[0] & 7, follow[1] & 7
            self._page = follow[0] & 7
        elif command == 0x8D and self.model == "ssd1306":
            self._pumps = bool(follow[0] & 4)
