"""A whole gate whose machine is on a plug: the loop never waits for it, and says what the plug has said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.drivers.meters.plug import PlugMeter, PlugOptions
from fabgate.drivers.outputs.shelly import ShellyOutput
from fabgate.gate.config.gate_yaml import MachineSection
from fabgate.gate.hardware import meter_thread
from fabgate.rules import vocabulary
from tests.drivers.outputs.plugs import shelly_options
from tests.gate.shell import Bench, wait

KIND = vocabulary.SignalKind


@pytest.fixture
def shelly() -> Iterator[EmulatedShelly]:
    with EmulatedShelly(Plug()) as found:
        yield found


@pytest.fixture
def plugged(tmp_path: Path, shelly: EmulatedShelly) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.output = ShellyOutput(shelly_options(shelly, tmp_path, meter_lag_ms=0))  # type: ignore[assignment]
    try:
        yield bench.start()
    finally:
        bench.close()


def shows(bench: Bench) -> vocabulary.SignalKind | None:
    shown = bench.daemon._screen._shown
    return None if shown is None else shown[0].kind


def test_the_light_is_green_once_the_plug_has_confirmed_and_a_session_ends_with_its_power(
    plugged: Bench, shelly: EmulatedShelly
) -> None:
    bench, plug = plugged, shelly.plug
    wait(lambda: "/rpc/Script.List" in shelly.requests, "the plug to be examined")
    bench.settle()
    shelly.delay_s = 0.1
    bench.tap("ada")
    wait(lambda: shows(bench) is KIND.WAIT and bench.state == "active", "the moment between order and confirmation")
    wait(lambda: shows(bench) is KIND.GO, "the green light")
    assert plug.on
    shelly.delay_s = 0.0
    bench.advance(4_000)
    bench.tap("ada")
    wait(lambda: not plug.on, "the end of power")
    bench.written()
    (ended,) = bench.of("session.ended")
    assert ended.energised_ms < 4_000 < ended.energised_ms + ended.uncertainty_ms, "only what the plug has confirmed"
    assert bench.causes == []

    # Somebody switches the plug off at its button: the session ends, and the next tap begins another one.
    bench.tap("bob")
    wait(lambda: plug.on and shows(bench) is KIND.GO, "power for bob")
    plug.press_button()
    ended = bench.wait_for_entries("session.ended", 2)[1]
    assert (ended.member, ended.reason) == ("m-bob", "fault")
    wait(lambda: not bench.causes, "the all-clear")
    (blocked,) = bench.of("machine.blocked")
    assert (blocked.cause, "at its button" in blocked.detail) == ("output-away", True)
    bench.tap("bob")
    wait(lambda: plug.on, "power again")
    assert bench.stop() == 0
    assert not plug.on, "SIGTERM"


def test_a_plug_that_is_away_holds_the_machine_and_one_that_was_switched_on_is_off_and_on_record(
    plugged: Bench, shelly: EmulatedShelly
) -> None:
    bench, plug = plugged, shelly.plug
    wait(lambda: bench.daemon._output_thread._is_known_off, "the first look")
    plug.press_button()
    (alarm,) = bench.wait_for_entries("output.fault")
    assert alarm.detail.startswith("it was on without a session, and was switched off")
    wait(lambda: not plug.on, "the end of power")
    assert bench.causes == []

    bench.stop()
    shelly.pull_out()
    bench.start()
    wait(lambda: bench.causes == ["output-away"], "the cause")
    assert "does not answer" in bench.wait_for_status(lambda found: found["problems"])["problems"][0]
    bench.tap("ada")
    assert (bench.state, shows(bench)) == ("idle", KIND.BLOCKED)
    shelly.plug_in()
    wait(lambda: not bench.causes, "the all-clear")
    bench.wait_for_entries("machine.cleared")

    # A contact that has welded is locked until a maintainer has been there, and after a restart too.
    plug.load_w = 60.0
    bench.tap("ada")
    wait(lambda: plug.on, "power")
    plug.welded = True
    bench.tap("ada")
    wait(lambda: not plug.on and bench.daemon._output.read_back() is True, "watts while off")
    bench.advance(100)
    assert bench.causes == []
    bench.advance(501)
    assert bench.causes == ["output"]
    bench.stop()
    bench.start()
    assert bench.causes == ["output"]
    wait(lambda: bench.daemon._output.read_back() is True, "watts while off")
    bench.tap("max")
    assert bench.causes == ["output"], "still welded"
    plug.welded = False
    wait(lambda: bench.daemon._output.read_back() is None, "no watts")
    bench.tap("max")
    assert bench.causes == []


def test_the_plug_also_says_whether_the_machine_works_and_what_a_session_took(
    tmp_path: Path, shelly: EmulatedShelly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_thread, "EVERY_MS", 5)
    bench, plug = Bench(tmp_path), shelly.plug
    bench.output = ShellyOutput(shelly_options(shelly, tmp_path, meter_lag_ms=0))  # type: ignore[assignment]
    bench.meters = [PlugMeter(PlugOptions(running_above_w=60, stopped_below_w=30, stopped_after_s=0))]
    try:
        bench.start()
        wait(lambda: bench.daemon._gate._power.machine.counted_wh == 0, "the first count")
        plug.load_w = 2_000
        bench.tap("ada")
        wait(lambda: bench.daemon._gate._power.machine.working and bench.state == "active", "the machine to work")
        plug._wh += 42
        wait(lambda: bench.daemon._gate._power.machine.counted_wh >= 42, "a new count")
        bench.tap("ada")
        wait(lambda: bench.state == "idle", "the end")
        bench.written()
        assert bench.of("session.ended")[0].energy_wh in (42, 43)
        assert bench.causes == [], "watts that were measured before the plug went off are no alarm"
    finally:
        bench.close()


def test_after_a_kill_the_plugs_own_timer_is_in_doubt_and_a_machine_that_is_only_watched_has_none(
    tmp_path: Path, shelly: EmulatedShelly
) -> None:
    bench = Bench(tmp_path)
    bench.output = ShellyOutput(shelly_options(shelly, tmp_path))  # type: ignore[assignment]
    try:
        bench.start()
        bench.tap("ada")
        wait(lambda: shows(bench) is KIND.GO, "the green light")
        bench.written()
        bench.cut_power()
        bench.time.ms += 1_000
        bench.start()
        (ended,) = bench.wait_for_entries("session.ended")
        assert (ended.reason, ended.energised_ms) == ("restart", 0)
        assert ended.uncertainty_ms == 1_000 + 35_000
    finally:
        bench.close()
    watched = Bench(tmp_path / "audit", machine=MachineSection(name="Lamp", mode="audit"))
    watched.output = ShellyOutput(shelly_options(shelly, tmp_path / "audit"))  # type: ignore[assignment]
    try:
        watched.start()
        watched.tap("ada")
        watched.wait_for_entries("session.started")
        wait(lambda: shows(watched) is KIND.GO, "the green light")
        watched.advance(2_000)
        watched.tap("ada")
        (ended,) = watched.wait_for_entries("session.ended")
        assert (ended.energised_ms, ended.uncertainty_ms) == (2_000, 0)
    finally:
        watched.close()
