"""A meter in a gate: what it measures becomes work, what cannot be read is work, and current without power is a fault."""

from __future__ import annotations

import threading

import pytest
from msgspec import UNSET

from fabgate.drivers.meters import Measurement, Thresholds
from fabgate.errors import HardwareError
from fabgate.gate.hardware import meter_thread
from fabgate.gate.hardware.meter_reports import MeterFault, MeterRecovered
from fabgate.gate.hardware.meter_thread import MeterThread
from fabgate.rules import vocabulary
from tests.gate.shell import Bench, wait


class FakeMeter:
    """A clamp whose current a test sets; it can be unplugged, or hang."""

    unit = "A"
    counts = True
    thresholds = Thresholds(2.0, 1.0, 3.0)

    def __init__(self) -> None:
        self.level = 0.0
        self.energy_wh = 500
        self.plugged = True
        self.answers = threading.Event()
        self.answers.set()
        self.reads = 0

    def open(self) -> None:
        if not self.plugged:
            raise HardwareError("the fake meter is unplugged")

    def read(self) -> Measurement:
        self.answers.wait()
        if not self.plugged:
            raise HardwareError("the fake meter is unplugged")
        self.reads += 1
        return Measurement(self.level, self.energy_wh)

    def close(self) -> None:
        pass


def test_a_thread_tells_what_changed_and_takes_what_it_cannot_read_for_work():
    meter, told, ms = FakeMeter(), [], [0]
    thread = MeterThread(meter, "meter", told.append, boot_ms=lambda: ms[0])
    for second in range(4):
        ms[0] = second * 1_000
        thread.measure()
    assert told == [vocabulary.EnergyCounted(500), vocabulary.Running(on=False, by="meter")]
    told.clear()
    meter.level = 2.5
    thread.measure()
    thread.distrust()
    meter.level = 0
    thread.measure()
    assert told == [
        vocabulary.Running(on=True, by="meter"),
        vocabulary.Running(on=True, by="meter", known=False),
        vocabulary.EnergyCounted(None),
        MeterRecovered("meter"),
        vocabulary.EnergyCounted(500),
    ]
    told.clear()
    meter.plugged = False

    def told_of_the_fault(event: object) -> None:
        told.append(event)
        if isinstance(event, MeterFault):
            thread.stop()

    thread._post = told_of_the_fault
    thread.run()
    assert told == [
        vocabulary.Running(on=True, by="meter", known=False),
        vocabulary.EnergyCounted(None),
        MeterFault("meter", "the fake meter is unplugged"),
        vocabulary.Running(on=True, by="meter", known=False),
        vocabulary.EnergyCounted(None),
    ]
    assert thread.seen is None


def test_a_count_that_goes_on_by_itself_is_not_lost_by_silence():
    class Keeping(FakeMeter):
        keeps_count = True

    meter, told = Keeping(), []
    thread = MeterThread(meter, "meter", told.append, boot_ms=lambda: 0)
    thread.measure()
    thread._fail("silence")
    meter.energy_wh = 517
    thread.measure()
    assert [event for event in told if isinstance(event, vocabulary.EnergyCounted)] == [
        vocabulary.EnergyCounted(500),
        vocabulary.EnergyCounted(517),
    ]


@pytest.fixture
def metered(tmp_path, monkeypatch):
    """A gate with a clamp, which is read again and again."""
    monkeypatch.setattr(meter_thread, "EVERY_MS", 2)
    monkeypatch.setattr(meter_thread, "REOPEN_S", 0.01)
    bench = Bench(tmp_path)
    bench.meters = [FakeMeter()]
    yield bench.start()
    bench.meters[0].answers.set()
    bench.close()


def seconds(bench: Bench, count: int) -> None:
    """Let seconds pass; in each, what flows is measured."""
    (meter,) = bench.meters
    for _ in range(count):
        bench.advance(1_000)
        if meter.answers.is_set() and meter.plugged:
            upto = meter.reads + 2
            wait(lambda upto=upto: meter.reads >= upto, "a measurement")
        bench.settle()


def test_current_without_power_is_a_fault_of_the_output_within_five_seconds_and_latched(metered):
    bench, (meter,) = metered, metered.meters
    bench.use("ada")
    meter.level = 8.0
    seconds(bench, 3)
    assert bench.causes == []
    bench.tap("ada")
    wait(lambda: bench.state == "idle", "the end")
    seconds(bench, 5)
    assert bench.causes == ["output"]
    bench.written()
    assert [fault.detail for fault in bench.of("output.fault")] == [
        "8.0 A flow while the output is off: the contactor is welded, or bridged"
    ]
    bench.tap("max")
    seconds(bench, 1)
    bench.written()
    assert (bench.causes, bench.of("machine.cleared")) == (["output"], []), "current still flows"
    meter.level = 0.2
    seconds(bench, 1)
    bench.tap("max")
    wait(lambda: not bench.causes, "the all-clear")


def test_an_output_that_measures_finds_power_without_a_session_by_itself(metered):
    """What it said last may be of the time before it went off."""
    bench, (meter,) = metered, metered.meters
    bench.daemon._meter_threads[0].is_of_output = True
    meter.level = 8.0
    seconds(bench, 5)
    assert bench.causes == []


def test_a_meter_that_hangs_counts_as_work_and_is_told(metered):
    bench, (meter,) = metered, metered.meters
    seconds(bench, 6)
    assert not bench.daemon._gate._power.machine.working
    meter.answers.clear()
    seconds(bench, 4)
    assert bench.daemon._gate._power.machine.working
    bench.wait_for_status(lambda found: "meter: the meter does not answer" in found["problems"])
    meter.answers.set()
    seconds(bench, 6)
    bench.wait_for_status(lambda found: not found["problems"])
    assert not bench.daemon._gate._power.machine.working


def test_a_tap_ends_a_session_whose_meter_is_broken_and_the_record_says_what_is_not_known(metered):
    bench, (meter,) = metered, metered.meters
    bench.use("ada")
    meter.level = 8.0
    seconds(bench, 2)
    meter.plugged = False
    bench.wait_for_status(lambda found: "meter: the fake meter is unplugged" in found["problems"])
    bench.settle()
    before = bench.daemon._gate.session.meter
    seconds(bench, 3)
    bench.tap("ada")
    wait(lambda: not bench.output.on, "the end")
    bench.written()
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.running_ms, ended.running_unknown_ms) == ("badge", before.running_ms, 3_000)


def test_a_session_has_the_energy_of_its_time_and_one_that_a_restart_cut_has_none(metered):
    bench, (meter,) = metered, metered.meters
    seconds(bench, 1)
    bench.use("ada")
    meter.energy_wh = 512
    seconds(bench, 1)
    bench.tap("ada")
    bench.written()
    assert bench.of("session.ended")[0].energy_wh == 12
    bench.use("ada")
    bench.cut_power()
    bench.start()
    assert bench.of("session.ended")[1].energy_wh is UNSET
