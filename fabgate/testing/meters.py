"""The test of the Meter contract. The author of a meter subclasses it:

::

    class TestMyMeter(MeterContract):
        def make(self):
            return MyMeter(MyMeter.Options(address=0x40))

        def flows(self, level):
            my_bench.let_flow(level)

        def unplug(self): ...
        def plug(self): ...

pytest is imported only when the tests run. A method that raises NotImplementedError skips the tests that need it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from fabgate.drivers.meters import Meter
from fabgate.errors import HardwareError

READ_S: Final = 1.0


class MeterContract:
    """What every meter must do (``fabgate.drivers.meters``). A subclass makes a meter and has a bench for it."""

    def make(self) -> Meter:
        """Return a new meter that is not open yet."""
        raise NotImplementedError

    def flows(self, level: float) -> None:
        """Let so much flow from now on, in the meter's unit."""
        raise NotImplementedError

    def unplug(self) -> None:
        """Remove the device."""
        raise NotImplementedError

    def plug(self) -> None:
        """Put it back."""
        raise NotImplementedError

    def test_it_has_the_shape_of_a_meter(self) -> None:
        """It has the methods, its class names its options, and it says what it measures."""
        meter = self.make()
        assert isinstance(meter, Meter)
        assert isinstance(type(meter).Options, type)  # type: ignore[attr-defined]
        assert meter.unit in ("A", "W", "")
        assert meter.unit or meter.counts
        assert meter.thresholds is None or meter.unit

    def test_it_answers_within_a_second(self) -> None:
        """A longer measurement would be taken for a meter that hangs."""
        meter = self._opened()
        start = time.perf_counter()
        measured = meter.read()
        assert time.perf_counter() - start < READ_S
        assert (measured.level is None) == (meter.unit == "")
        assert (measured.energy_wh is None) or meter.counts
        meter.close()

    def test_it_measures_what_flows(self) -> None:
        """It is right within a tenth."""
        meter = self._opened()
        for level in (5.0, 0.0, 2.0):
            self._try(self.flows, level)
            found = meter.read().level
            assert found is not None
            assert abs(found - level) <= max(0.1, level / 10)
        meter.close()

    def test_without_its_device_it_measures_nothing_and_comes_back(self) -> None:
        """Neither the last value nor 0: the gate then counts the machine as running."""
        meter = self._opened()
        self._try(self.unplug)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                meter.read()
        meter.close()
        with _pytest().raises(HardwareError):
            meter.open()
        self._try(self.plug)
        meter.open()
        meter.read()
        meter.close()

    def test_it_can_be_closed_twice_and_opened_again(self) -> None:
        """Closing never raises."""
        meter = self._opened()
        meter.close()
        meter.close()
        meter.open()
        meter.read()
        meter.close()

    def _opened(self) -> Meter:
        meter = self.make()
        meter.open()
        return meter

    def _try(self, act: Callable[..., Any], *values: Any) -> Any:
        try:
            return act(*values)
        except NotImplementedError:
            _pytest().skip(f"this bench does not define {act.__name__}()")


def _pytest() -> Any:
    import pytest  # noqa: PLC0415 - a gate that imports this module by mistake needs no pytest

    return pytest
