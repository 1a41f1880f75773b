"""The contract of panels: light, buzzer and four lines of twenty characters.

A panel MUST return from ``show`` within a second. It may raise anything: the gate calls it in a thread of its own, logs
the failure and opens it again. It never decides anything and never touches power. For a display without accents or with
fewer columns use ``text.transliterate`` and ``display.cut``. ``fabgate.testing.panels`` tests any panel.

A class may have two attributes more. ``repeats = True``: the gate calls ``show`` again every second while a clock runs,
with the time in the lines, and every ten seconds otherwise (or every ``repeat_s`` of the instance), so that a device that
lost power is written again; the sound is empty then, or "tick". ``needs``: the modules that ``open`` imports, each with what to install for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

import msgspec

from fabgate.display import COLUMNS, LINES, clock

__all__ = ["COLUMNS", "LINES", "TURN_MS", "Clock", "Notice", "Panel", "Turns"]

#: How long each of several texts is shown that take turns: as long as two pages of a display of two lines.
TURN_MS: Final = 5_000


class Clock(msgspec.Struct, frozen=True):
    """A running clock in one of a notice's lines: `before`, the time, `after`.

    It counts from `zero_ms` (CLOCK_BOOTTIME) up, or down to it. `after` follows directly, or ends in column `ends_at`.
    `line_of` returns the whole line for a time as text and in milliseconds; where it returns "", the others apply.
    """

    line: int
    zero_ms: int
    is_down: bool = False
    before: str = ""
    after: str = ""
    ends_at: int = 0
    line_of: Callable[[str, int], str] | None = None

    def text(self, boot_ms: int) -> str:
        """Return the line at `boot_ms`."""
        ms = self._ms(boot_ms)
        if self.line_of is not None and (line := self.line_of(clock(ms), ms)):
            return line
        start = self.before + clock(ms)
        return start.ljust(self.ends_at - len(self.after)) + self.after

    def changes_in_ms(self, boot_ms: int) -> int | None:
        """Return how long the text stays as it is at `boot_ms`; None: for good."""
        ms = self._ms(boot_ms)
        if self.is_down:
            return ms % 1000 + 1 if ms >= 1000 else None
        return 1000 - ms % 1000

    def _ms(self, boot_ms: int) -> int:
        return max(0, self.zero_ms - boot_ms if self.is_down else boot_ms - self.zero_ms)


class Turns(msgspec.Struct, frozen=True):
    """Texts that take turns in one of a notice's lines, because they do not fit there together."""

    line: int
    texts: tuple[str, ...]

    def text(self, boot_ms: int) -> str:
        """Return the line at `boot_ms`."""
        return self.texts[boot_ms // TURN_MS % len(self.texts)]


class Notice(msgspec.Struct, frozen=True):
    """What to show. `light` is a colour, `sound` the name of a pattern, `lines` at most four of twenty characters.

    After `for_s` seconds the gate shows the lasting notice again; 0 means until the next notice. `clock` and `turns` are
    for the gate, which writes them into `lines` while a clock runs.
    """

    light: str
    sound: str = ""
    lines: tuple[str, ...] = ()
    for_s: float = 0
    clock: Clock | None = None
    turns: Turns | None = None

    def lines_at(self, boot_ms: int) -> tuple[str, ...]:
        """Return the lines at `boot_ms`."""
        lines = self.lines
        for part in (self.clock, self.turns):
            if part is not None:
                lines = (*lines[: part.line], part.text(boot_ms), *lines[part.line + 1 :])
        return lines


@runtime_checkable
class Panel(Protocol):
    """Something that lights, beeps or shows text."""

    def open(self) -> None:
        """Claim the device. Raises HardwareError."""

    def show(self, notice: Notice) -> None:
        """Show one notice."""

    def close(self) -> None:
        """Switch light and display off and release the device. Never raises."""
