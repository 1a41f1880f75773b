"""How does an output's author prove that it keeps the Output contract? By subclassing the test here.

::

    class TestMyRelayBoard(OutputContract):
        def make(self):
            return MyRelayBoard(MyRelayBoard.Options(channel=3))

        def levels(self):
            return my_bench.every_level_of_the_line_since_it_was_claimed()

pytest is imported only when the tests run. What a bench cannot do raises NotImplementedError, and is skipped, visibly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fabgate.drivers.outputs import Output
from fabgate.errors import HardwareError


class OutputContract:
    """What every output must do (``fabgate.drivers.outputs``). A subclass says how to make one and how to look."""

    def make(self) -> Output:
        """Return a new output, not open yet."""
        raise NotImplementedError

    def levels(self) -> list[bool]:
        """Return every level that the line was driven to so far, the first one included, as on (True) or off."""
        raise NotImplementedError

    def lose(self) -> None:
        """Make the line go away while it is claimed: nothing can drive it any more."""
        raise NotImplementedError

    def occupy(self) -> None:
        """Let somebody else hold the line, so that it cannot be claimed."""
        raise NotImplementedError

    def release(self) -> None:
        """Undo ``occupy``."""
        raise NotImplementedError

    def mirror(self, *, closed: bool) -> None:
        """Let the load side say that it has power, or has not, whatever the line is driven to."""
        raise NotImplementedError

    def test_it_has_the_shape_of_an_output(self) -> None:
        """It has the methods, and its class names its options."""
        output = self.make()
        assert isinstance(output, Output)
        assert isinstance(type(output).Options, type)  # type: ignore[attr-defined]

    def test_making_one_drives_nothing(self) -> None:
        """A constructor claims nothing."""
        self.make()
        assert self._levels() in ([], [False])

    def test_opening_never_drives_the_line_on(self) -> None:
        """It is claimed at its safe level: there was no moment at which it was on."""
        output = self.make()
        output.open()
        assert True not in self._levels()
        output.close()

    def test_on_and_off_are_driven_in_that_order(self) -> None:
        """Each change shows once, and the last one is off."""
        output = self._opened()
        output.set(on=True)
        output.set(on=False)
        levels = self._levels()
        assert levels[-2:] == [True, False]
        assert levels.count(True) == 1
        output.close()

    def test_saying_it_twice_changes_nothing(self) -> None:
        """On and on is on; off and off is off."""
        output = self._opened()
        for on in (True, True, False, False):
            output.set(on=on)
        assert _changes(self._levels())[-2:] == [True, False]
        output.close()

    def test_on_before_open_is_an_error_and_drives_nothing(self) -> None:
        """What was not claimed cannot be driven."""
        output = self.make()
        with _pytest().raises(HardwareError):
            output.set(on=True)
        assert True not in self._levels()

    def test_off_never_raises_before_open_and_after_close(self) -> None:
        """The gate switches off in every state it can get into."""
        output = self.make()
        output.set(on=False)
        output.open()
        output.close()
        output.set(on=False)

    def test_off_never_raises_when_the_line_is_gone(self) -> None:
        """Whatever the library below says."""
        output = self._opened()
        output.set(on=True)
        self._try(self.lose)
        output.set(on=False)
        output.set(on=False)
        output.close()

    def test_on_is_a_hardware_error_when_the_line_is_gone(self) -> None:
        """Each time it is asked, and nothing is driven on."""
        output = self._opened()
        self._try(self.lose)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                output.set(on=True)
        assert True not in self._levels()
        output.close()

    def test_a_line_that_somebody_else_holds_is_a_hardware_error_until_it_is_free(self) -> None:
        """The same object opens in the end."""
        output = self.make()
        self._try(self.occupy)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                output.open()
        with _pytest().raises(HardwareError):
            output.set(on=True)
        self.release()
        output.open()
        output.set(on=True)
        assert self._levels()[-1] is True
        output.close()

    def test_closing_switches_off(self) -> None:
        """Nobody has to remember it."""
        output = self._opened()
        output.set(on=True)
        output.close()
        assert self._levels()[-1] is False

    def test_it_can_be_closed_twice_and_opened_again(self) -> None:
        """Closing never raises, and opening again is off."""
        output = self._opened()
        output.set(on=True)
        output.close()
        output.close()
        before = len(self._levels())
        output.open()
        assert True not in self._levels()[before:]
        output.set(on=True)
        assert self._levels()[-1] is True
        output.close()

    def test_the_load_side_is_told_as_it_is(self) -> None:
        """None where nothing is wired; else what the mirror contact says and not what the line is driven to."""
        output = self._opened()
        if output.read_back() is None:
            _pytest().skip("nothing is wired to read back")
        self._try(self.mirror, closed=True)
        assert output.read_back() is True
        self.mirror(closed=False)
        assert output.read_back() is False
        output.close()

    def test_a_load_side_that_cannot_be_read_never_counts_as_off(self) -> None:
        """Reading it never raises either."""
        output = self._opened()
        wired = output.read_back() is not None
        self._try(self.lose)
        assert output.read_back() in ((True,) if wired else (None,))
        output.close()

    def test_it_starts_no_threads(self) -> None:
        """The gate's loop owns the power."""
        before = threading.active_count()
        output = self._opened()
        output.set(on=True)
        assert threading.active_count() == before
        output.close()

    def _opened(self) -> Output:
        output = self.make()
        output.open()
        return output

    def _levels(self) -> list[bool]:
        found = self._try(self.levels)
        assert isinstance(found, list)
        return found

    def _try(self, act: Callable[..., Any], **kwargs: object) -> Any:
        try:
            return act(**kwargs)
        except NotImplementedError:
            _pytest().skip(f"this bench cannot {act.__name__}")


def _changes(levels: list[bool]) -> list[bool]:
    return [level for n, level in enumerate(levels) if n == 0 or level != levels[n - 1]]


def _pytest() -> Any:
    import pytest  # noqa: PLC0415 - a gate that imports this module by mistake needs no pytest

    return pytest
