"""Outputs: the contract on every bench, and what only one of them has."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import msgspec
import pytest
from gpiozero import Device, DigitalOutputDevice
from gpiozero.pins.mock import MockFactory, MockPin

from fabgate.drivers.emulated import pins
from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.drivers.outputs import Output
from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput
from fabgate.drivers.outputs.memory import MemoryOptions, MemoryOutput
from fabgate.drivers.outputs.shelly import ShellyOutput
from fabgate.errors import HardwareError
from fabgate.testing.outputs import OutputContract
from tests.drivers.opening import open_again
from tests.drivers.outputs.plugs import shelly_options
from tests.support.patience import HANGS_S

PIN, SECOND, MIRROR, SECOND_MIRROR = 17, 22, 27, 5


class BenchPin(MockPin):
    """A mock pin that remembers how it became an output, and that can be lost with its chip."""

    def output_with_state(self, state):
        self.factory.claims.append((self.info.name, state, self._state))
        super().output_with_state(state)

    def _set_state(self, value):
        self.factory.check()
        changed = super()._set_state(value)
        self.factory.moved(self.info.name, high=bool(value))
        return changed

    def _get_state(self):
        self.factory.check()
        return super()._get_state()


class Bench(MockFactory):
    def __init__(self) -> None:
        super().__init__(pin_class=BenchPin)
        self.claims: list[tuple[str, bool, bool]] = []
        self.gone = False
        #: The pins that were driven, in this order, as (pin, high).
        self.moves: list[tuple[str, bool]] = []
        #: What the wires behind the pins do when one moves.
        self.wired = lambda: None

    def moved(self, name: str, *, high: bool) -> None:
        self.moves.append((name, high))
        self.wired()

    def check(self) -> None:
        if self.gone:
            raise OSError(19, "No such device")


@pytest.fixture(autouse=True)
def bench():
    """Each test has pins of its own."""
    Device.pin_factory = found = Bench()
    yield found
    Device.pin_factory = None


class OnMockPins(OutputContract):
    """What the benches on mock pins have in common."""

    options = GpioOptions(pin=PIN)
    holder: DigitalOutputDevice

    def make(self) -> Output:
        return GpioOutput(self.options)

    def levels(self) -> list[bool]:
        return [bool(state.state) for state in Device.pin_factory.pin(PIN).states]

    def lose(self) -> None:
        Device.pin_factory.gone = True

    def occupy(self) -> None:
        self.holder = DigitalOutputDevice(PIN)

    def release(self) -> None:
        self.holder.close()


class TestGpio(OnMockPins):
    """The output that powers machines."""


class TestGpioWithAMirrorContactToGround(OnMockPins):
    options = GpioOptions(pin=PIN, readback_pin=MIRROR)

    def mirror(self, *, closed: bool) -> None:
        pin = Device.pin_factory.pin(MIRROR)
        pin.drive_high() if closed else pin.drive_low()


class TestGpioWithAMirrorContactToPlus(OnMockPins):
    options = GpioOptions(pin=PIN, readback_pin=MIRROR, readback_closed="low")

    def mirror(self, *, closed: bool) -> None:
        pin = Device.pin_factory.pin(MIRROR)
        pin.drive_low() if closed else pin.drive_high()


class Contactors:
    """Two relays in series on the bench. Welded ones stay closed; a contact behind each, or one behind both, tells."""

    def __init__(self, bench, *, each: bool) -> None:
        self.bench, self.each = bench, each
        self.welded: set[int] = set()
        self.levels: list[bool] = []
        bench.wired = self.move

    def closed(self, number: int, pin: int) -> bool:
        return number in self.welded or bool(self.bench.pin(pin)._state)

    def move(self) -> None:
        wired, self.bench.wired = self.bench.wired, lambda: None
        first, second = self.closed(0, PIN), self.closed(1, SECOND)
        if (first and second) or not self.levels or self.levels[-1]:
            self.levels.append(first and second)
        for pin, closed in ((MIRROR, first), (SECOND_MIRROR, second)) if self.each else ((MIRROR, first and second),):
            mirror = self.bench.pin(pin)
            mirror.drive_high() if closed else mirror.drive_low()
        self.bench.wired = wired


class TestTwoRelaysWithAContactBehindBoth(OnMockPins):
    options = GpioOptions(pin=PIN, second_pin=SECOND, readback_pin=MIRROR, opens_within_ms=10)

    def make(self) -> Output:
        self.contactors = Contactors(Device.pin_factory, each=False)
        return super().make()

    def levels(self) -> list[bool]:
        levels = self.contactors.levels
        return [level for n, level in enumerate(levels) if n == 0 or level != levels[n - 1]]

    def mirror(self, *, closed: bool) -> None:
        self.contactors.welded = {0, 1} if closed else set()
        self.contactors.move()


class TestTwoRelaysWithAContactEach(TestTwoRelaysWithAContactBehindBoth):
    options = GpioOptions(pin=PIN, second_pin=SECOND, readback_pin=MIRROR, second_readback_pin=SECOND_MIRROR)

    def make(self) -> Output:
        self.contactors = Contactors(Device.pin_factory, each=True)
        return OnMockPins.make(self)

    def mirror(self, *, closed: bool) -> None:
        self.contactors.welded = {1} if closed else set()
        self.contactors.move()


class TestShelly(OutputContract):
    """A plug behind HTTP."""

    @pytest.fixture(autouse=True)
    def shelly(self, tmp_path):
        with EmulatedShelly(Plug()) as self.emulated:
            self.options = shelly_options(self.emulated, tmp_path)
            yield

    def make(self) -> Output:
        return ShellyOutput(self.options)

    def levels(self) -> list[bool]:
        return [False, *(on for _, on in self.emulated.plug.history)]

    def lose(self) -> None:
        self.emulated.pull_out()

    def occupy(self) -> None:
        self.emulated.pull_out()

    def release(self) -> None:
        self.emulated.plug_in()

    def open(self, output: Output) -> None:
        open_again(output, late="no answer in time")


class TestMemory(OutputContract):
    """The output without a line."""

    def make(self) -> Output:
        self.output = MemoryOutput()
        return self.output

    def levels(self) -> list[bool]:
        return [False, *(on for _, on in self.output.history)]

    def lose(self) -> None:
        self.output.broken = True
        self.output.welded = True

    def occupy(self) -> None:
        self.output.broken = True

    def release(self) -> None:
        self.output.broken = False

    def mirror(self, *, closed: bool) -> None:
        self.output.welded = closed


# --- gpio -------------------------------------------------------------------------------------------------------------


def test_the_line_is_claimed_low_in_one_call_and_was_never_high(bench):
    output = GpioOutput(GpioOptions(pin=PIN))
    output.open()
    assert bench.claims == [("GPIO17", False, False)]
    bench.pin(PIN).assert_states([False])
    assert len(bench.pin(PIN).states) == 1
    output.close()


def test_a_line_that_floats_high_falls_in_the_call_that_claims_it(bench):
    bench.pin(PIN).drive_high()
    output = GpioOutput(GpioOptions(pin=PIN))
    output.open()
    assert bench.claims == [("GPIO17", False, True)]
    bench.pin(PIN).assert_states([False, True, False])
    output.close()


def test_a_mirror_contact_that_cannot_be_claimed_leaves_the_output_closed_and_off(bench):
    holder = DigitalOutputDevice(MIRROR)
    output = GpioOutput(GpioOptions(pin=PIN, readback_pin=MIRROR))
    with pytest.raises(HardwareError, match=r"GPIO 17 cannot be claimed as an output \(GPIOPinInUse: .*gpio"):
        output.open()
    with pytest.raises(HardwareError, match="GPIO 17 cannot be driven"):
        output.set(on=True)
    holder.close()
    output.open()  # what was claimed before the mirror contact was let go of
    output.close()


def test_a_mirror_contact_that_is_lost_while_on_counts_as_closed_after_off(bench):
    output = GpioOutput(GpioOptions(pin=PIN, readback_pin=MIRROR))
    output.open()
    bench.pin(MIRROR).drive_low()
    assert output.read_back() is False
    bench.gone = True
    assert output.read_back() is True


@pytest.mark.parametrize("level", ["high", "low"])
def test_a_mirror_contact_whose_wire_is_broken_counts_as_a_closed_contactor(bench, level):
    output = GpioOutput(GpioOptions(pin=PIN, readback_pin=MIRROR, readback_closed=level))
    output.open()
    assert bench.pin(MIRROR).pull == {"high": "up", "low": "down"}[level]
    assert output.read_back() is True  # nothing but the pull holds the line
    output.close()


@pytest.mark.parametrize("welded", [0, 1])
def test_of_two_relays_the_welded_one_is_found_and_the_machine_is_off_all_the_same(bench, welded):
    contactors = Contactors(bench, each=False)
    output = GpioOutput(TestTwoRelaysWithAContactBehindBoth.options)
    output.open()
    contactors.welded = {welded}
    found = []
    for _ in range(2):  # they take turns: the second use finds it at the latest
        output.set(on=True)
        output.set(on=False)
        assert contactors.levels[-1] is False
        found.append(output.take_fault())
    assert output.take_fault() == ""
    assert [bool(text) for text in found] == [welded == 0, welded == 1]
    assert f"GPIO {(PIN, SECOND)[welded]} did not open" in "".join(found)
    output.close()


def test_two_relays_take_turns_and_are_both_low_whenever_it_is_off(bench):
    Contactors(bench, each=False)
    output = GpioOutput(TestTwoRelaysWithAContactBehindBoth.options)
    output.open()
    opened = []
    for _ in range(3):
        output.set(on=True)
        bench.moves.clear()
        output.set(on=False)
        opened.append([name for name, high in bench.moves if name in ("GPIO17", "GPIO22") and not high])
        assert not bench.pin(PIN)._state
        assert not bench.pin(SECOND)._state
        assert output.take_fault() == ""
    assert [names[0] for names in opened] == ["GPIO17", "GPIO22", "GPIO17"]
    output.close()


def test_a_contactor_behind_two_good_relays_that_stays_closed_accuses_neither_of_them(bench):
    contactors = Contactors(bench, each=False)
    output = GpioOutput(TestTwoRelaysWithAContactBehindBoth.options)
    output.open()
    output.set(on=True)
    contactors.welded = {0, 1}
    output.set(on=False)
    assert output.take_fault() == ""
    assert output.read_back() is True  # the gate locks the machine by this
    output.close()


@pytest.mark.parametrize("fails", [PIN, SECOND])
def test_a_relay_whose_line_fails_never_keeps_the_other_one_closed(bench, fails):
    Contactors(bench, each=False)
    output = GpioOutput(TestTwoRelaysWithAContactBehindBoth.options)
    output.open()
    output.set(on=True)
    broken, works = (0, 1) if fails == PIN else (1, 0)
    line, output._lines[broken] = output._lines[broken], None  # any call of it raises
    output.set(on=False)
    assert not output._lines[works].value
    assert output.read_back() is True
    output._lines[broken] = line
    output.close()


@pytest.mark.parametrize(
    "options",
    [{"pin": 17, "pim": 3}, {}, {"pin": 28}, {"pin": -1}, {"pin": 17, "readback_closed": "open"}, {"pin": "17"}],
)
def test_options_of_a_gpio_output_are_checked(options):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, GpioOptions)


def test_a_memory_output_has_no_options():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"pin": 17}, MemoryOptions)


def test_a_memory_output_keeps_when_it_changed():
    output = MemoryOutput()
    output.open()
    for on in (True, True, False):
        output.set(on=on)
        assert output.on is on
    (began, _), (ended, _) = output.history
    assert [on for _, on in output.history] == [True, False]
    assert began <= ended


# --- emulated pins and their observer ---------------------------------------------------------------------------------


def emulated(pin_log) -> GpioOutput:
    Device.pin_factory = None
    output = GpioOutput(GpioOptions(pin=PIN, pins="emulated", pin_log=pin_log))
    output.open()
    return output


def test_each_change_of_an_emulated_output_is_one_line_with_its_boot_time(tmp_path):
    log = tmp_path / "pins"
    output = emulated(log)
    output.set(on=True)
    output.set(on=True)
    output.set(on=False)
    output.set(on=True)
    output.close()
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [line[1:] for line in lines] == [["17", "1"], ["17", "0"], ["17", "1"], ["17", "0"]]
    times = [int(line[0]) for line in lines]
    assert all(one <= other for one, other in pairwise(times))
    assert log.stat().st_mode & 0o777 == 0o600


def test_an_emulated_pin_does_not_grow_with_its_changes(tmp_path):
    output = emulated(tmp_path / "pins")
    for _ in range(10):
        output.set(on=True)
        output.set(on=False)
    assert len(Device.pin_factory.pin(PIN).states) == 1
    output.close()


def test_an_emulated_output_without_a_log_is_mock_pins_only():
    output = emulated(None)
    output.set(on=True)
    assert Device.pin_factory.pin(PIN).state
    output.close()


def test_inputs_are_not_in_the_log_of_the_outputs(tmp_path):
    log = tmp_path / "pins"
    Device.pin_factory = None
    output = GpioOutput(GpioOptions(pin=PIN, readback_pin=MIRROR, pins="emulated", pin_log=log))
    output.open()
    Device.pin_factory.pin(MIRROR).drive_low()
    output.close()
    assert log.read_text() == ""


def test_a_second_driver_in_the_process_shares_the_emulated_pins(tmp_path):
    output = emulated(tmp_path / "pins")
    assert pins.install(None) is Device.pin_factory
    output.close()


def test_a_pipe_without_an_observer_is_an_error_and_no_endless_wait(tmp_path):
    pipe = tmp_path / "pins"
    os.mkfifo(pipe)
    with pytest.raises(HardwareError, match=f"emulated pins cannot be opened .*{pipe}"):
        emulated(pipe)


def test_an_observer_that_goes_away_or_stops_reading_never_holds_up_switching_off(tmp_path):
    pipe = tmp_path / "pins"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output = emulated(pipe)
    for _ in range(10_000):  # more than a pipe holds
        output.set(on=True)
        output.set(on=False)
    assert not Device.pin_factory.pin(PIN).state
    seen = os.read(reader, 65536)
    assert seen.startswith(seen.split()[0] + b" 17 1\n")
    os.close(reader)
    output.set(on=True)
    output.set(on=False)
    assert not Device.pin_factory.pin(PIN).state
    output.close()


def test_a_log_that_cannot_be_written_is_a_hardware_error(tmp_path):
    with pytest.raises(HardwareError, match="emulated pins cannot be opened"):
        emulated(tmp_path / "nowhere" / "pins")


def test_a_killed_gate_closes_the_pipe_that_is_the_line_falling(tmp_path):
    pipe = tmp_path / "pins"
    os.mkfifo(pipe)
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput\n"
        "from fabgate.testing import emulated_hardware\n"
        "emulated_hardware.provide()\n"
        f"output = GpioOutput(GpioOptions(pin=17, pins='emulated', pin_log=Path({str(pipe)!r})))\n"
        "output.open()\n"
        "output.set(on=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    subprocess.run([sys.executable, "-c", program], check=False, timeout=HANGS_S)
    with os.fdopen(fd) as observer:
        assert [line.split()[1:] for line in observer] == [["17", "1"]]
