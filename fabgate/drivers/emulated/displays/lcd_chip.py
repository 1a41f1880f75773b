"""A character display in software: an HD44780 (Hitachi's datasheet) behind a PCF8574, wired as on the usual backpack."""

from __future__ import annotations

from typing import Final

from fabgate.drivers.panels.font import small

_RS: Final = 0x01
_EN: Final = 0x04
_LIGHT: Final = 0x08
#: The one code beyond ASCII that the driver uses.
_DEGREE: Final = 0xDF
#: Where each line begins in the memory.
_STARTS: Final = (0x00, 0x40, 0x14, 0x54)


class LcdChip:
    """A display of some columns and lines. Each byte on the bus is the state of eight lines; the fall of EN takes four."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lose_power()

    def lose_power(self) -> None:
        """Forget everything, as after a power cut: eight bits wide, off, empty; the expander's lines are high."""
        self._port = 0xFF
        self._memory = bytearray(b" " * 0x80)
        self._own = bytearray(64)
        self._address, self._is_own = 0, False
        self._is_wide = True
        self._half: int | None = None
        self.is_on = False

    @property
    def is_lit(self) -> bool:
        """Whether the light behind the display is on."""
        return bool(self._port & _LIGHT)

    @property
    def codes(self) -> list[bytes]:
        """The codes of the characters that a person sees; spaces while it is off."""
        starts = _STARTS[: self.rows]
        if not self.is_on:
            return [b" " * self.columns for _ in starts]
        return [bytes(self._memory[start : start + self.columns]) for start in starts]

    def glyph(self, code: int) -> tuple[int, ...]:
        """Return the eight rows of five bits of a character: one that a program has drawn, or of ROM A00."""
        if code < 16:
            return tuple(self._own[(code & 7) * 8 : (code & 7) * 8 + 8])
        return small("°" if code == _DEGREE else chr(code))

    def write(self, data: bytes) -> None:
        """Take the states of the lines."""
        for state in data:
            if self._port & _EN and not state & _EN:
                self._take(state >> 4, is_data=bool(state & _RS))
            self._port = state

    def _take(self, half: int, *, is_data: bool) -> None:
        if self._is_wide:  # the lower four lines are not connected
            self._do(half << 4, is_data=is_data)
        elif self._half is None:
            self._half = half
        else:
            byte, self._half = self._half << 4 | half, None
            self._do(byte, is_data=is_data)

    def _do(self, byte: int, *, is_data: bool) -> None:
        if is_data:
            self._store(byte)
        elif byte & 0x80:
            self._address, self._is_own = byte & 0x7F, False
        elif byte & 0x40:
            self._address, self._is_own = byte & 0x3F, True
        elif byte & 0x20:
            self._is_wide = bool(byte & 0x10)
            self._half = None
        elif byte & 0x08 and not byte & 0x10:
            self.is_on = bool(byte & 0x04)
        elif byte in (0x01, 0x02, 0x03):
            self._address, self._is_own = 0, False
            if byte == 0x01:
                self._memory = bytearray(b" " * 0x80)

    def _store(self, byte: int) -> None:
        if self._is_own:
            self._own[self._address & 0x3F] = byte & 0x1F
            self._address += 1
            return
        self._memory[self._address] = byte
        # Two lines of 40 characters: the second one follows the first, and the first follows the second.
        self._address = {0x27: 0x40, 0x67: 0x00}.get(self._address, (self._address + 1) & 0x7F)
