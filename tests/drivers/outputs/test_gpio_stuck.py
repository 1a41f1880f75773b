"""A line that does not go low when it is told to is noticed without any contact wired."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput


@pytest.fixture
def output() -> Iterator[GpioOutput]:
    before, Device.pin_factory = Device.pin_factory, MockFactory()
    found = GpioOutput(GpioOptions(pin=17))
    found.open()
    yield found
    found.close()
    Device.pin_factory.reset()
    Device.pin_factory = before


class Line:
    """A line whose driver fails to switch off, until it is mended."""

    def __init__(self, line) -> None:
        self.line = line
        self.broken = True

    @property
    def value(self) -> int:
        return self.line.value

    def off(self) -> None:
        if self.broken:
            raise OSError(5, "input/output error")
        self.line.off()

    def close(self) -> None:
        self.line.close()


def test_an_off_that_fails_reads_back_as_on_until_it_succeeds(output: GpioOutput) -> None:
    output.set(on=True)
    assert output.read_back() is None
    line = output._lines[0] = Line(output._lines[0])
    output.set(on=False)
    assert output.read_back() is True
    line.broken = False
    output.set(on=False)
    assert output.read_back() is None
    assert line.value == 0
