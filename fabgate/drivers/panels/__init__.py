"""How is a person told? The Panel contract: light, buzzer and four lines of twenty characters.

A panel MUST return from ``show`` within a second and may raise anything from it: the gate calls it on a thread of its
own, logs what failed and goes on. It never decides anything and never touches power. A display without accents or with
fewer columns has ``text.transliterate`` and ``display.cut``; ``fabgate.testing.panels`` is the test for any panel.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from fabgate.display import COLUMNS, LINES

__all__ = ["COLUMNS", "LINES", "Notice", "Panel"]


class Notice(msgspec.Struct, frozen=True):
    """What to show. `light` is a colour word, `sound` a pattern word, `lines` at most four of twenty characters.

    After `for_s` seconds the gate shows what stood before; 0 is: until something else is to be said.
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
        """Go dark and let go. Never raises."""
