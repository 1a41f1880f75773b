"""The contract of panels: light, buzzer and four lines of twenty characters.

A panel MUST return from ``show`` within a second. It may raise anything: the gate calls it in a thread of its own, logs
the failure and continues. It never decides anything and never touches power. For a display without accents or with fewer
columns use ``text.transliterate`` and ``display.cut``. ``fabgate.testing.panels`` tests any panel.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from fabgate.display import COLUMNS, LINES

__all__ = ["COLUMNS", "LINES", "Notice", "Panel"]


class Notice(msgspec.Struct, frozen=True):
    """What to show. `light` is a colour, `sound` the name of a pattern, `lines` at most four of twenty characters.

    After `for_s` seconds the gate shows the lasting notice again; 0 means until the next notice.
    """

    light: str
    sound: str = ""
    lines: tuple[str, ...] = ()
    for_s: float = 0


@runtime_checkable
class Panel(Protocol):
    """Something that lights, beeps or shows text."""

    def open(self) -> None:
        """Claim the device. Raises HardwareError."""

    def show(self, notice: Notice) -> None:
        """Show one notice."""

    def close(self) -> None:
        """Switch light and display off and release the device. Never raises."""
