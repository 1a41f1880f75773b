"""The test of the Output contract. The author of an output subclasses it:

::

    class TestMyRelayBoard(OutputContract):
        def make(self):
            return MyRelayBoard(MyRelayBoard.Options(channel=3))

        def levels(self):
            return my_bench.every_level_of_the_line_since_it_was_claimed()

pytest is imported only when the tests run. A method that raises NotImplementedError skips the tests that need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fabgate.drivers.outputs import Output
from fabgate.errors import HardwareError


class OutputContract:
    """What every output must do (``fabgate.drivers.outputs``). A subclass makes an output and observes its line."""

    def make(self) -> Output:
        """Return a new output that is not open yet."""
        raise NotImplementedError

    def levels(self) -> list[bool]:
        """Return every level to which the line was driven so far, from the first on: True is on."""
        raise NotImplementedError

    def lose(self) -> None:
        """Remove the line while it is claimed, so that nothing can drive it any more."""
        raise NotImplementedError

    def occupy(self) -> None:
        """Let another program hold the line, so that it cannot be claimed."""
        raise NotImplementedError

    def release(self) -> None:
        """Undo ``occupy``."""
        raise NotImplementedError

    def open(self, output: Output) -> None:
        """Open it while its line is free. Override this if its device may answer late: a gate tries again and again."""
        output.open()

    def mirror(self, *, closed: bool) -> None:
        """Make the load side report that it has power, or none, whatever the line does."""
        raise NotImplementedError

    def test_it_has_the_shape_of_an_output(self) -> None:
        """It has the methods, and its class names its options."""
        output = self.make()
        assert isinstance(output, Output)
        assert isinstance(type(output).Options, type)  # type: ignore[attr-defined]

    def test_the_constructor_drives_nothing(self) -> None:
        """It does not claim the line."""
        self.make()
        assert self._levels() in ([], [False])

    def test_opening_never_drives_the_line_on(self) -> None:
        """It is claimed off: it was never on."""
        output = self.make()
        output.open()
        assert True not in self._levels()
        output.close()

    def test_on_and_off_are_driven_in_that_order(self) -> None:
        """Each change happens once, and the last one is off."""
        output = self._opened()
        output.set(on=True)
        output.set(on=False)
        levels = self._levels()
        assert levels[-2:] == [True, False]
        assert levels.count(True) == 1
        output.close()

    def test_setting_it_twice_changes_nothing(self) -> None:
        """On twice is on; off twice is off."""
        output = self._opened()
        for on in (True, True, False, False):
            output.set(on=on)
        assert _changes(self._levels())[-2:] == [True, False]
        output.close()

    def test_on_before_open_is_an_error_and_drives_nothing(self) -> None:
        """A line that is not claimed cannot be driven."""
        output = self.make()
        with _pytest().raises(HardwareError):
            output.set(on=True)
        assert True not in self._levels()

    def test_off_never_raises_before_open_and_after_close(self) -> None:
        """The gate switches off in every state."""
        output = self.make()
        output.set(on=False)
        output.open()
        output.close()
        output.set(on=False)

    def test_off_never_raises_when_the_line_is_gone(self) -> None:
        """Any error of the library is suppressed."""
        output = self._opened()
        output.set(on=True)
        self._try(self.lose)
        output.set(on=False)
        output.set(on=False)
        output.close()

    def test_on_is_a_hardware_error_when_the_line_is_gone(self) -> None:
        """Each call raises, and the line is never driven on."""
        output = self._opened()
        self._try(self.lose)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                output.set(on=True)
        assert True not in self._levels()
        output.close()

    def test_a_line_that_another_program_holds_is_a_hardware_error_until_it_is_free(self) -> None:
        """After that the same object can be opened."""
        output = self.make()
        self._try(self.occupy)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                output.open()
        with _pytest().raises(HardwareError):
            output.set(on=True)
        self.release()
        self.open(output)
        output.set(on=True)
        assert self._levels()[-1] is True
        output.close()

    def test_closing_switches_off(self) -> None:
        """The caller need not switch off before."""
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

    def test_the_load_side_is_read_back(self) -> None:
        """It is None if nothing is wired; otherwise the state of the mirror contact, not that of the line."""
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
        """Only the gate's loop may own the power."""
        before = threading.active_count()
        output = self._opened()
        output.set(on=True)
        assert threading.active_count() == before
        output.close()

    def _opened(self) -> Output:
        output = self.make()
        self.open(output)
        return output

    def _levels(self) -> list[bool]:
        found = self._try(self.levels)
        assert isinstance(found, list)
        return found

    def _try(self, act: Callable[..., Any], **kwargs: object) -> Any:
        try:
            return act(**kwargs)
        except NotImplementedError:
            _pytest().skip(f"this bench does not define {act.__name__}()")


def _changes(levels: list[bool]) -> list[bool]:
    return [level for n, level in enumerate(levels) if n == 0 or level != levels[n - 1]]


def _pytest() -> Any:
    import pytest  # noqa: PLC0415 - a gate that imports this module by mistake needs no pytest

    return pytest
