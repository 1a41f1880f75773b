"""An OLED of 128 by 64 dots on I2C, through luma.oled: SSD1306, SH1106 or SSD1309."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from fabgate.drivers.i2c import I2cOptions, connect, failure, open_bus
from fabgate.drivers.panels import LINES, Notice
from fabgate.drivers.panels.font import TALL_ROWS, drawn
from fabgate.drivers.panels.text import apart

WIDTH: Final = 128
HEIGHT: Final = 64
#: The display is set up again this often. Nobody can ask it whether it lost power for a moment, and is dark since then.
SET_UP_EVERY_S: Final = 9.0
#: The most bytes of one transfer that every I2C adapter allows (the kernel's I2C_SMBUS_BLOCK_MAX).
_BLOCK_BYTES: Final = 32
_COMMANDS: Final = 0x00
_DATA: Final = 0x40
_DISPLAY_OFF: Final = 0xAE
_NOTHING: Final = 0xE3
#: The address of nearly all of them; a resistor on the board can make it 0x3d.
_ADDRESS: Final = 0x3C


class OledOptions(I2cOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: oled}``.

    `contrast` is in percent; a display that is less bright lasts longer. `upside_down` turns the picture by 180 degrees.
    """

    model: Literal["ssd1306", "sh1106", "ssd1309"] = "sh1106"
    contrast: Annotated[int, msgspec.Meta(ge=1, le=100)] = 70
    upside_down: bool = False


class OledPanel:
    """The Panel contract with text alone. Lines that are cut would be wrong, so twenty characters always fit."""

    Options = OledOptions
    needs: ClassVar = {"luma.oled": "fabgate[oled]", "smbus2": "fabgate[oled]"}
    repeats = True
    #: For emulated buses.
    open_bus = staticmethod(open_bus)

    def __init__(self, options: OledOptions) -> None:
        self._options = options
        self._address = _ADDRESS if options.address is None else options.address
        self._line: _Line | None = None
        self._device: Any = None
        self._shown: list[bytes] = []
        self._set_up_s = 0.0

    def open(self) -> None:
        """Claim the bus and set the display up, dark. Raises HardwareError."""
        try:
            self._line = _Line(connect(self._options, self.open_bus), self._address)
            # Ask first: each device that luma makes is kept until the program ends.
            self._line.command(_NOTHING)
            self._device = self._make(self._line)
        except OSError as error:
            self.close()
            raise failure(error, self._options.model, self._options.i2c_bus, self._address) from error
        self._line.end_of_set_up()
        self._shown, self._set_up_s = pages_of(rows_of(())), time.monotonic()

    def show(self, notice: Notice) -> None:
        """Show the lines; the first one is bold. Light and sound are other panels' business. Raises HardwareError."""
        assert self._line is not None
        is_due = time.monotonic() - self._set_up_s >= SET_UP_EVERY_S
        pages = pages_of(rows_of(notice.lines, upside_down=self._options.upside_down))
        try:
            if is_due:
                self._line.set_up_again()
                self._set_up_s = time.monotonic()
            for number, page in enumerate(pages):
                if is_due or page != self._shown[number]:
                    self._send(number, page)
        except OSError as error:
            raise failure(error, self._options.model, self._options.i2c_bus, self._address) from error
        self._shown = pages

    def _send(self, number: int, page: bytes) -> None:
        """Send a page: eight rows of dots. A clock that ticks changes two of eight, so the bus is free most of the time."""
        if self._options.model == "sh1106":
            # 132 columns, the display shows the middle ones; no ranges.
            self._device.command(0xB0 + number, 0x02, 0x10)
        else:
            self._device.command(0x21, 0, WIDTH - 1, 0x22, number, number)
        self._device.data(page)

    def close(self) -> None:
        """Switch the display off and release the bus. Never raises."""
        if self._line is not None:
            self._line.close()
        self._line = self._device = None

    def _make(self, line: _Line) -> Any:
        from luma.oled import device  # noqa: PLC0415 - a gate without a display has no such package

        made = getattr(device, self._options.model)(line, width=WIDTH, height=HEIGHT)
        made.contrast(self._options.contrast * 255 // 100)
        return made


def pages_of(rows: Sequence[int]) -> list[bytes]:
    """Return rows of dots as the chips store them: pages of eight rows, a byte for each column, the top row lowest."""
    found = []
    for top in range(0, HEIGHT, 8):
        dots = [f"{row:0{WIDTH}b}" for row in reversed(rows[top : top + 8])]
        found.append(bytes(int("".join(column), 2) for column in zip(*dots, strict=True)))
    return found


def rows_of(lines: Sequence[str], *, upside_down: bool = False) -> list[int]:
    """Return the picture of some lines: rows of 128 bits, the highest bit at the left.

    Fewer lines stand further apart, so that the text is in the middle.
    """
    rows = [0] * HEIGHT
    lines = lines[:LINES]
    gap = min((HEIGHT - TALL_ROWS * len(lines)) // (len(lines) + 1), TALL_ROWS // 2) if lines else 0
    top = (HEIGHT - len(lines) * TALL_ROWS - (len(lines) - 1) * gap) // 2 if lines else 0
    for n, line in enumerate(lines):
        for y, row in enumerate(_row_of(line, is_bold=n == 0), top + n * (TALL_ROWS + gap)):
            rows[y] = row
    return [int(f"{row:0{WIDTH}b}"[::-1], 2) for row in reversed(rows)] if upside_down else rows


def _row_of(line: str, *, is_bold: bool) -> list[int]:
    """Return one line of text: bold if there is room, and what stands apart in it at the right edge."""
    left, right = apart(line)
    for bold in (True, False) if is_bold else (False,):
        (width, found), (right_width, more) = drawn(left, is_bold=bold), drawn(right, is_bold=bold)
        if width + right_width <= WIDTH:
            break
    shift = WIDTH - width
    return [(row << shift if shift >= 0 else row >> -shift) | part for row, part in zip(found, more, strict=True)]


class _Line:
    """What luma writes to, with a memory of how it set the display up. Raises OSError."""

    def __init__(self, bus: Any, address: int) -> None:
        self._bus = bus
        self._address = address
        self._set_up: list[tuple[int, ...]] | None = []
        self._kept: list[tuple[int, ...]] = []

    def command(self, *command: int) -> None:
        """Send commands."""
        if self._bus is None:
            return  # luma clears each display at the end of the program, also one that was closed
        if self._set_up is not None:
            self._set_up.append(command)
        self._bus.write_i2c_block_data(self._address, _COMMANDS, list(command))

    def data(self, data: Sequence[int]) -> None:
        """Send dots."""
        if self._bus is None:
            return
        for at in range(0, len(data), _BLOCK_BYTES):
            self._bus.write_i2c_block_data(self._address, _DATA, list(data[at : at + _BLOCK_BYTES]))

    def end_of_set_up(self) -> None:
        """Keep the commands until now, without the one that darkens the display."""
        commands = self._set_up or []
        self._set_up = None
        self._kept = [tuple(byte for n, byte in enumerate(one) if n or byte != _DISPLAY_OFF) for one in commands]

    def set_up_again(self) -> None:
        """Send these commands again: a display that has them does not even flicker."""
        for command in self._kept:
            if command:
                self.command(*command)

    def cleanup(self) -> None:
        """Do nothing: luma calls this at the end of the program."""

    def close(self) -> None:
        """Switch the display off and close the bus. Never raises."""
        with contextlib.suppress(OSError):
            self.command(_DISPLAY_OFF)
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(OSError):
                bus.close()
