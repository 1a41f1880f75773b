"""Meters, from the current of a machine to what the gate believes: registers, rates, pulses and everything that breaks."""

from __future__ import annotations

import pytest
from gpiozero import DigitalInputDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.drivers.emulated.meters.ads1115 import RESET, Ads1115Chip, mains
from fabgate.drivers.emulated.meters.i2c import Board, EmulatedBus
from fabgate.drivers.emulated.meters.s0 import SHORTEST_S, PulseOutput
from fabgate.drivers.meters import Meter
from fabgate.drivers.meters.ads1115 import CONFIG, Ads1115Meter, Ads1115Options, alternating
from fabgate.drivers.meters.plug import PlugMeter, PlugOptions
from fabgate.drivers.meters.s0 import S0Meter, S0Options
from fabgate.errors import HardwareError
from fabgate.testing.meters import MeterContract


class Clamp:
    """A clamp on a chip on a bus, and the driver; time passes while the driver sleeps."""

    def __init__(self, *, rate: float = 1, **options: object) -> None:
        self.at_s = 0.0
        self.chip = Ads1115Chip(mains(0), lambda: self.at_s, rate=rate)
        self.bus = EmulatedBus()
        self.bus.chips[0x48] = self.chip
        bus = self.bus

        class Wired(Ads1115Meter):
            def open_bus(self, number: int) -> EmulatedBus:
                return bus

        self.meter = Wired(Ads1115Options(**options))  # type: ignore[arg-type]
        self.meter.sleep = self._pass
        self.meter.clock = lambda: self.at_s

    def _pass(self, seconds: float) -> None:
        self.at_s += seconds

    def flows(self, amps: float, *, hz: float = 50, bias_v: float = 0) -> None:
        self.chip.volts = mains(amps / 30, hz=hz, bias_v=bias_v)

    def measured(self) -> float:
        level = self.meter.read().level
        assert level is not None
        return level


class TestAds1115(MeterContract):
    @pytest.fixture(autouse=True)
    def wired(self):
        self.clamp = Clamp()

    def make(self) -> Meter:
        return self.clamp.meter

    def flows(self, level: float) -> None:
        self.clamp.flows(level)

    def unplug(self) -> None:
        self.clamp.bus.chips.clear()

    def plug(self) -> None:
        self.clamp.bus.chips[0x48] = self.clamp.chip


@settings(max_examples=30)
@given(
    amps=st.floats(0.1, 30),
    hz=st.sampled_from([50, 60, 49.5, 60.5]),
    bias_v=st.floats(-0.2, 0.2),
    rate=st.floats(0.9, 1.1),
    phase_s=st.floats(0, 0.02),
)
def test_a_current_is_measured_at_both_frequencies_with_any_phase_bias_and_oscillator(amps, hz, bias_v, rate, phase_s):
    clamp = Clamp(rate=rate)
    clamp.at_s = phase_s
    clamp.meter.open()
    clamp.flows(amps, hz=hz, bias_v=bias_v)
    assert clamp.measured() == pytest.approx(amps, rel=0.05, abs=0.01)


def test_the_bytes_are_those_of_the_data_sheet():
    """SBAS444E: the configuration after a reset is 8583h; ours is AIN0 - AIN1, ±2.048 V, continuous, 860 a second."""
    clamp = Clamp()
    assert clamp.bus.read_i2c_block_data(0x48, CONFIG, 2) == list(RESET.to_bytes(2, "big"))
    clamp.meter.open()
    assert clamp.bus.read_i2c_block_data(0x48, CONFIG, 2) == [0x04, 0xE3]
    clamp.chip.volts = lambda _: -1e-3
    clamp.at_s += 0.01
    assert clamp.bus.read_i2c_block_data(0x48, 0, 2) == [0xFF, 0xF0], "-16 steps of 62.5 µV"
    clamp.chip.volts = lambda _: 3.0
    clamp.at_s += 0.01
    assert clamp.bus.read_i2c_block_data(0x48, 0, 2) == [0x7F, 0xFF]


def test_a_chip_that_lost_power_is_set_again_and_measures_in_the_same_call():
    clamp = Clamp()
    clamp.meter.open()
    clamp.flows(3)
    clamp.chip.power_cycle()
    assert clamp.measured() == pytest.approx(3, rel=0.05)


def test_a_clamp_that_is_pulled_out_is_no_machine_that_stands_still():
    clamp = Clamp()
    clamp.meter.open()
    clamp.chip.volts = lambda _: 1.3
    with pytest.raises(HardwareError, match="not plugged in"):
        clamp.meter.read()
    clamp.flows(0)
    assert clamp.measured() < 0.01


@given(st.binary(min_size=2, max_size=2))
@settings(max_examples=30)
def test_a_bus_that_answers_nonsense_is_an_error(noise):
    class Noise:
        def transfer(self, written: bytes, reads: int) -> bytes:
            return noise[:reads]

    clamp = Clamp()
    clamp.meter.open()
    clamp.bus.chips[0x48] = Noise()
    if noise not in (b"\x04\xe3", b"\x84\xe3"):
        for look in (clamp.meter.read, clamp.meter.open):
            with pytest.raises(
                HardwareError, match=r"^ads1115: found the configuration 0x.*, wanted 0x04e3\. Another chip"
            ):
                look()


def test_thresholds_come_in_pairs_and_in_order():
    assert Clamp().meter.thresholds is None
    assert Clamp(running_above_a=2.0, stopped_below_a=1.0).meter.thresholds == (2, 1, 5)
    for wrong in ({"running_above_a": 2.0}, {"running_above_a": 1.0, "stopped_below_a": 1.0}):
        with pytest.raises(ValueError, match="wanted"):
            Ads1115Options(**wrong)


def test_the_mean_over_whole_periods_is_the_bias():
    assert alternating([1.5, 0.5, 1.5, 0.5]) == (1.0, 0.5)


def test_a_chip_in_another_process_answers_over_a_socket(tmp_path):
    bus = EmulatedBus()
    bus.chips[0x48] = Ads1115Chip(lambda _: 0.5)
    path = tmp_path / "meter.i2c"
    meter = Ads1115Meter(Ads1115Options(chip="emulated", i2c_socket=str(path)))
    with pytest.raises(HardwareError, match="nothing answers"):
        meter.open()
    board = Board(path, bus)
    try:
        meter.open()
        with pytest.raises(HardwareError, match="not plugged in"):
            meter.read()
    finally:
        board.close()
    with pytest.raises(HardwareError, match="nothing answers"):
        meter.read()
    meter.close()


# --- S0 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("mock_pins")
class TestS0(MeterContract):
    def make(self) -> Meter:
        return S0Meter(S0Options(pulse_pin=5, pulses_per_kwh=1000))

    def flows(self, level: float) -> None:
        raise NotImplementedError


@pytest.mark.usefixtures("mock_pins")
@pytest.mark.parametrize(("pulses_per_kwh", "pulses", "wh"), [(1000, 7, 7), (100, 3, 30), (6400, 13, 2), (480, 1, 2)])
def test_each_pulse_of_thirty_milliseconds_is_counted_and_the_count_is_whole_watt_hours(pulses_per_kwh, pulses, wh):
    meter = S0Meter(S0Options(pulse_pin=5, pulses_per_kwh=pulses_per_kwh))
    meter.open()
    assert meter.read() == (None, 0)
    PulseOutput(5, sleep=lambda _: None).pulse(pulses)
    assert meter.read() == (None, wh)
    meter.close()
    meter.open()
    assert meter.read().energy_wh == 0, "the count begins anew"
    meter.close()
    with pytest.raises(HardwareError, match="cannot be read"):
        meter.read()


@pytest.mark.usefixtures("mock_pins")
def test_a_pulse_passes_the_filter_against_noise():
    """gpiozero passes this on to the kernel, which reports only what lasts longer."""
    meter = S0Meter(S0Options(pulse_pin=5, pulses_per_kwh=1000))
    meter.open()
    assert 0 < meter._device.pin.bounce < SHORTEST_S / 2
    meter.close()


def test_a_pin_that_another_program_holds_is_a_hardware_error(mock_pins):
    other = DigitalInputDevice(5)
    with pytest.raises(HardwareError, match="GPIO 5 cannot be claimed"):
        S0Meter(S0Options(pulse_pin=5, pulses_per_kwh=1000)).open()
    other.close()


# --- a plug that measures ---------------------------------------------------------------------------------------------


class Measuring:
    """An output that measures; None while it does not answer."""

    power_w: float | None = 0.0
    energy_wh: int | None = 7


class TestPlug(MeterContract):
    @pytest.fixture(autouse=True)
    def wired(self):
        self.output = Measuring()

    def make(self) -> Meter:
        meter = PlugMeter(PlugOptions())
        meter.use(self.output)
        return meter

    def flows(self, level: float) -> None:
        self.output.power_w = level

    def unplug(self) -> None:
        self.output.power_w = self.output.energy_wh = None

    def plug(self) -> None:
        self.output.power_w, self.output.energy_wh = 0.0, 9
