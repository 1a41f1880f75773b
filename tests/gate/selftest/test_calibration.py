"""A person shows a gate its machine, and gets thresholds that keep the states apart; power follows their badge only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.drivers.meters import Measurement, Thresholds
from fabgate.drivers.meters.ads1115 import Ads1115Options
from fabgate.errors import HardwareError, UsageError
from fabgate.gate.config.gate_yaml import Driver
from fabgate.gate.hardware import meter_thread
from fabgate.gate.selftest import calibration
from fabgate.gate.selftest.calibration import Calibration, Found, NotFoundError, Watched, thresholds
from fabgate.gate.selftest.watch import Watch
from tests.gate.shell import Bench, wait


class Clamp:
    """A clamp without thresholds, which measures what a test lets flow."""

    unit = "A"
    counts = False
    thresholds: Thresholds | None = None

    def __init__(self) -> None:
        self.level: float = 0.02
        self.reads = 0
        self.plugged = True

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> Measurement:
        if not self.plugged:
            raise HardwareError("the clamp is unplugged")
        self.reads += 1
        return Measurement(self.level)


class Scripted:
    """Does what they are told; `acts` are what else happens, by the first words of an instruction."""

    def __init__(self, bench: Bench, clamp: Clamp, *, badge: str = "max", running: float = 8.0) -> None:
        self.bench = bench
        self.told: list[str] = []
        self.acts: dict[str, Callable[[], object]] = {
            "Tap the badge": lambda: bench.tap(badge),
            "Leave the machine switched on": lambda: setattr(clamp, "level", 0.6),
            "Let the machine do its lightest work": lambda: setattr(clamp, "level", running),
        }

    def tell(self, text: str) -> None:
        self.told.append(text)
        for words, act in self.acts.items():
            if text.startswith(words):
                act()

    def ask(self, question: str) -> str:
        assert self.bench.output.on
        return "y"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(meter_thread, "EVERY_MS", 2)
    monkeypatch.setattr(calibration, "LOOKS", 3)
    bench = Bench(tmp_path, meter=[Driver(driver="ads1115", options=Ads1115Options())])
    bench.meters = [Clamp()]
    bench.start()
    bench.wait_for_status(lambda now: now.get("state") == "idle")
    yield bench
    bench.close()


def found_by(bench: Bench, person: Scripted) -> Found:
    (clamp,) = bench.meters or []

    def pause(_seconds: float) -> None:
        upto = clamp.reads + 2
        wait(lambda: clamp.reads >= upto or not clamp.plugged, "a measurement")

    return Calibration(bench.config, person, Watch(bench.config, patience_s=20), pause=pause).run()


def test_the_machine_is_watched_in_three_states_and_power_has_a_recorded_session(bench):
    person = Scripted(bench, *bench.meters)
    found = found_by(bench, person)
    assert (found.unit, found.off.most, found.standing.most, found.running.least) == ("A", 0.02, 0.6, 8.0)
    assert calibration.as_yaml(found) == ["    running_above_a: 3.4", "    stopped_below_a: 1.4"]
    assert bench.levels == [True], "their session goes on by the rules"
    bench.written()
    assert [data.member for data in bench.of("session.started")] == ["m-max"]


def test_a_member_who_is_no_maintainer_calibrates_nothing(bench):
    person = Scripted(bench, *bench.meters, badge="ada")
    with pytest.raises(NotFoundError, match="a session of m-ada, wanted that of a maintainer"):
        found_by(bench, person)
    assert not any(text.startswith(("Leave the machine", "Let the machine")) for text in person.told)


def test_a_session_that_ends_meanwhile_and_a_meter_that_is_silent_give_no_thresholds(bench):
    person = Scripted(bench, *bench.meters)
    person.acts["Stop the machine"] = lambda: (
        bench.tap("max"),
        wait(lambda: bench.status()["state"] == "idle", "the end"),
    )
    with pytest.raises(NotFoundError, match="the session ended"):
        found_by(bench, person)
    bench.wait_for_status(lambda now: now["state"] == "idle")
    bench.meters[0].plugged = False
    bench.wait_for_status(lambda now: now["problems"])
    with pytest.raises(NotFoundError, match="no measurement of the machine switched off"):
        found_by(bench, person)


def test_without_a_meter_or_with_a_machine_in_use_nothing_begins(bench):
    bench.use("ada")
    bench.wait_for_status(lambda now: now["state"] == "active")
    with pytest.raises(NotFoundError, match="not idle"):
        found_by(bench, Scripted(bench, *bench.meters))
    bench.config = type(bench.config)(
        **{name: getattr(bench.config, name) for name in bench.config.__struct_fields__} | {"meter": []}
    )
    with pytest.raises(UsageError, match="no meter"):
        found_by(bench, Scripted(bench, *bench.meters))


levels = st.floats(0, 100).map(lambda level: round(level, 3))


@given(levels, levels, levels, levels)
def test_thresholds_keep_what_was_seen_apart_or_there_are_none(one, other, third, fourth):
    standing, running = Watched.of([one, other]), Watched.of([third, fourth])
    try:
        above, below = thresholds(standing, running)
    except NotFoundError:
        assert running.least < standing.most * 1.5 or running.least == 0
        return
    assert standing.most < below < above < running.least
