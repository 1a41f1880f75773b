"""A character display (HD44780) behind a PCF8574 on I2C, through RPLCD: 4 lines of 20 characters, or 2 of 16, in pages.

Most of these displays have the character ROM A00, which has no accents. The eight characters that a program may draw are
those that French and prices need most; other accents are left out (``text.transliterate``).
"""

from __future__ import annotations

import contextlib
import re
import textwrap
import time
import unicodedata
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

from fabgate.display import clean
from fabgate.drivers.i2c import I2cOptions, connect, failure, open_bus
from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.font import small
from fabgate.drivers.panels.text import apart, transliterate

#: The characters that this driver draws; their place is their code.
OWN: Final = "éèêàçùî€"
#: How long a page is shown, in seconds.
PAGE_S: Final = 2.5
#: The display is set up again this often. Nobody can ask it whether it lost power for a moment, and is empty since then.
SET_UP_EVERY_S: Final = 9.0
#: The address of backpacks with a PCF8574; with a PCF8574A it is 0x3f.
_ADDRESS: Final = 0x27
_ROWS: Final = {"20x4": 4, "16x2": 2}
_COLUMNS: Final = {"20x4": 20, "16x2": 16}
#: Instructions of the HD44780 (Hitachi's datasheet, table 6, and figure 24 for the first two): in which mode the
#: display is, eight bits wide or out of step, they leave four bits and do not clear it.
_IN_STEP: Final = (0x33, 0x32, 0x28, 0x0C, 0x06)
_NO_BREAK: Final = "\u00a0"
#: The codes of characters beyond ASCII: those drawn, and the one of ROM A00 that texts need (Hitachi's datasheet, table 4).
_CODES: Final = {char: code for code, char in enumerate(OWN)} | {"°": 0xDF}
#: Characters of ASCII that ROM A00 shows as something else.
_A00: Final = str.maketrans({"\\": "/", "~": "-", "\x7f": "?"})


class LcdOptions(I2cOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: lcd}``. `size` is columns by lines."""

    size: Literal["20x4", "16x2"] = "20x4"


class LcdPanel:
    """The Panel contract with text alone. Two lines show what four would, one page after the other."""

    Options = LcdOptions
    needs: ClassVar = {"RPLCD": "fabgate[lcd]", "smbus2": "fabgate[lcd]"}
    repeats = True
    #: For emulated buses, and for tests in which time passes at once.
    open_bus = staticmethod(open_bus)
    monotonic = staticmethod(time.monotonic)

    def __init__(self, options: LcdOptions) -> None:
        self._options = options
        self._columns, self._rows = _COLUMNS[options.size], _ROWS[options.size]
        self._address = _ADDRESS if options.address is None else options.address
        #: How often the gate calls ``show`` again.
        self.repeat_s = PAGE_S if self._rows < 4 else SET_UP_EVERY_S
        self._bus: Any = None
        self._lcd: Any = None
        self._cells: list[bytes] = []
        self._set_up_s = 0.0
        self._text = ""
        self._since_s = 0.0

    def open(self) -> None:
        """Claim the bus and set the display up, empty and dark. Raises HardwareError."""
        try:
            self._bus = connect(self._options, self.open_bus)
            self._lcd = _make(self._bus, self._address, self._columns, self._rows)
            self._draw_own()
        except OSError as error:
            self.close()
            raise failure(error, "lcd", self._options.i2c_bus, self._address) from error
        self._cells = [b" " * self._columns] * self._rows
        self._set_up_s, self._text = self.monotonic(), ""

    def show(self, notice: Notice) -> None:
        """Show the lines, or the page whose time it is. Light and sound are other panels' business. Raises HardwareError."""
        now_s = self.monotonic()
        # A clock that ticks is still the same text, whose pages follow each other.
        text = re.sub(r"\d", "0", "\n".join(notice.lines))
        if text != self._text:
            self._text, self._since_s = text, now_s
        pages = pages_of(notice.lines, self._columns, self._rows)
        page = pages[int((now_s - self._since_s + 0.1) / PAGE_S) % len(pages)]
        try:
            if now_s - self._set_up_s >= SET_UP_EVERY_S:
                self._set_up_again()
                self._set_up_s = now_s
            self._lcd.backlight_enabled = bool(notice.lines)
            for number, line in enumerate(page):
                self._write(number, line)
        except OSError as error:
            raise failure(error, "lcd", self._options.i2c_bus, self._address) from error

    def close(self) -> None:
        """Switch the light off, clear the display, and release the bus. Never raises."""
        if self._lcd is not None:
            with contextlib.suppress(Exception):
                self._lcd.backlight_enabled = False
                self._lcd.clear()
        if self._bus is not None:
            with contextlib.suppress(Exception):
                self._bus.close()
        self._bus = self._lcd = None

    def _write(self, number: int, line: bytes) -> None:
        """Write the part of a line that has changed: a character takes a millisecond."""
        before = self._cells[number]
        changed = [n for n, (old, new) in enumerate(zip(before, line, strict=True)) if old != new]
        if not changed:
            return
        self._lcd.cursor_pos = (number, changed[0])
        for byte in line[changed[0] : changed[-1] + 1]:
            self._lcd.put(byte)
        self._cells[number] = line

    def _draw_own(self) -> None:
        for code, char in enumerate(OWN):
            self._lcd.create_char(code, small(char))

    def _set_up_again(self) -> None:
        """Bring a display that lost power, or missed half a byte, into step; one that did not shows no flicker."""
        for instruction in _IN_STEP:
            self._lcd.command(instruction)
        self._draw_own()
        self._cells = [b"\xff" * self._columns] * self._rows


def _make(bus: Any, address: int, columns: int, rows: int) -> Any:
    """Return RPLCD's display on an open bus; setting it up takes 60 ms."""
    from RPLCD.i2c import CharLCD  # noqa: PLC0415 - a gate without a display has no such package

    class Lcd(CharLCD):  # type: ignore[misc]  # RPLCD is not typed
        """RPLCD's display, on a bus that is open already, and without a second memory of what it shows."""

        def _init_connection(self) -> None:
            self.bus = bus

        def put(self, byte: int) -> None:
            """Write one character where the cursor is."""
            self._send_data(byte)

    return Lcd(
        "PCF8574", address, cols=columns, rows=rows, charmap="A00", auto_linebreaks=False, backlight_enabled=False
    )


def pages_of(lines: Sequence[str], columns: int, rows: int) -> list[list[bytes]]:
    """Return what the display shows: pages of lines of character codes. All lines fit on a display of four."""
    texts = [found for line in _sentences(lines, columns) for found in _fitting(line, columns)]
    if len(texts) <= rows // 2 and rows > 2:
        texts = ["", *texts]  # in the middle
    empty = b" " * columns
    found = [_codes(text, columns) for text in texts]
    pages = [found[at : at + rows] for at in range(0, len(found), rows)] or [[]]
    return [[*page, *[empty] * (rows - len(page))] for page in pages]


def _sentences(lines: Sequence[str], columns: int) -> list[str]:
    """Return the lines; on a narrow display those of one sentence are joined, so that they can be broken elsewhere.

    A line that begins with a small letter continues the one above it.
    """
    found: list[str] = []
    for line in lines:
        if found and line[:1].islower() and max(len(line), len(found[-1])) > columns and "  " not in found[-1] + line:
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found


def _fitting(line: str, columns: int) -> list[str]:
    """Return a line as one or more of `columns` characters."""
    left, right = (_plain(part) for part in apart(line))
    if right and len(left) + len(right) < columns:
        return [left.ljust(columns - len(right)) + right]
    # What French writes after a space that must not break, and what a number is worth nothing without.
    kept = [re.sub(r" (?=[:;?!]|€(?!\w)|min\b|s\b)", _NO_BREAK, part) for part in (left, right)]
    return [text.replace(_NO_BREAK, " ") for part in kept for text in textwrap.wrap(part, columns)]


def _plain(text: str) -> str:
    """Return `text` in the characters that the display has."""
    composed = unicodedata.normalize("NFC", clean(text))
    return "".join(char if char in _CODES or char == " " else transliterate(char).translate(_A00) for char in composed)


def _codes(text: str, columns: int) -> bytes:
    """Return the codes of a line."""
    return bytes(_CODES.get(char, ord(char)) for char in text[:columns]).ljust(columns)
