"""The test of the Panel contract. The author of a panel subclasses it:

::

    class TestMyDisplay(PanelContract):
        def make(self):
            return MyDisplay(MyDisplay.Options(address=0x27))

        def shown(self):
            return my_bench.what_the_display_shows()

pytest is imported only when the tests run. A method that raises NotImplementedError skips the tests that need it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from fabgate.drivers.panels import COLUMNS, LINES, Notice, Panel
from fabgate.errors import HardwareError

SHOW_S: Final = 1.0
FULL: Final = Notice("green blink", "short", ("Bonjour Zoé €" + "x" * 7,) * LINES)


class PanelContract:
    """What every panel must do (``fabgate.drivers.panels``). A subclass makes a panel and observes it."""

    def make(self) -> Panel:
        """Return a new panel that is not open yet."""
        raise NotImplementedError

    def shown(self) -> str:
        """Return what a person sees now, in any form that contains the text of the lines."""
        raise NotImplementedError

    def unplug(self) -> None:
        """Remove the device."""
        raise NotImplementedError

    def test_it_has_the_shape_of_a_panel(self) -> None:
        """It has the methods, and its class names its options."""
        panel = self.make()
        assert isinstance(panel, Panel)
        assert isinstance(type(panel).Options, type)  # type: ignore[attr-defined]

    def test_it_shows_four_full_lines_with_accents_within_a_second(self) -> None:
        """It is the largest notice possible."""
        assert {len(line) for line in FULL.lines} == {COLUMNS}
        panel = self._opened()
        start = time.perf_counter()
        panel.show(FULL)
        assert time.perf_counter() - start < SHOW_S
        assert "Bonjour Zo" in self._try(self.shown)
        panel.close()

    def test_it_shows_a_notice_of_light_alone(self) -> None:
        """It has no lines and no sound: this is how an idle machine looks."""
        panel = self._opened()
        panel.show(Notice("off"))
        panel.close()

    def test_the_last_notice_is_the_one_that_is_seen(self) -> None:
        """It replaces the earlier ones."""
        panel = self._opened()
        for text in ("first", "second"):
            panel.show(Notice("green", "", (text,)))
        assert "second" in self._try(self.shown)
        panel.close()

    def test_it_can_be_closed_twice_and_opened_again(self) -> None:
        """Closing never raises."""
        panel = self._opened()
        panel.close()
        panel.close()
        panel.open()
        panel.show(FULL)
        panel.close()

    def test_a_device_that_is_not_there_is_a_hardware_error_and_closes(self) -> None:
        """The gate tries again with growing pauses."""
        panel = self.make()
        self._try(self.unplug)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                panel.open()
        panel.close()

    def _opened(self) -> Panel:
        panel = self.make()
        panel.open()
        return panel

    def _try(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except NotImplementedError:
            _pytest().skip(f"this bench does not define {act.__name__}()")


def _pytest() -> Any:
    import pytest  # noqa: PLC0415 - a gate that imports this module by mistake needs no pytest

    return pytest
