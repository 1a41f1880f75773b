"""A person goes through the self-test at a real gate; power follows their badge only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fabgate.drivers.panels.log import LogOptions
from fabgate.errors import HardwareError
from fabgate.gate.config.gate_yaml import Driver, Inputs
from fabgate.gate.panel import trial
from fabgate.gate.selftest import steps
from fabgate.gate.selftest.watch import Watch
from fabgate.rules import vocabulary
from tests.gate.shell import Bench, wait


class Wires:
    """The inputs, each closed as long as nobody presses it."""

    def __init__(self) -> None:
        self.reads = 0
        self.levels = dict.fromkeys(("running", "stop", "estop", "flag"), False)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> dict[str, bool]:
        self.reads += 1
        return dict(self.levels)


class Scripted:
    """Does what it is told at a gate, and answers what it sees there."""

    def __init__(self, bench: Bench, wires: Wires, *, badge: str = "max", obeys: Callable[[str], bool]) -> None:
        self.bench = bench
        self.wires = wires
        self.badge = badge
        self.obeys = obeys
        self.told: list[str] = []
        self.powered_when_asked: list[tuple[str, bool]] = []

    def tell(self, text: str) -> None:
        self.told.append(text)
        if not self.obeys(text):
            return
        if text.startswith("Tap the badge"):
            self.bench.use(self.badge)
        elif text.startswith("Tap the same"):
            self.bench.tap(self.badge)
        elif text.startswith("Start the machine"):
            self.wires.levels["running"] = True
            wait(lambda: self.bench.daemon._gate.session.meter.running_since is not None, "it runs")  # type: ignore[union-attr]
            for _ in range(5):  # a jump of this clock would be a silence of the inputs
                upto = self.wires.reads + 2
                wait(lambda upto=upto: self.wires.reads >= upto, "a look at the inputs")
                self.bench.advance(200)
            self.wires.levels["running"] = False
        elif text.startswith("Press the stop"):
            self.wires.levels["stop"] = True
        elif text.startswith("Press the emergency"):
            self.wires.levels["stop"] = False
            self.wires.levels["estop"] = True
        elif text.startswith("Release"):
            self.wires.levels["estop"] = False

    def ask(self, question: str) -> str:
        self.powered_when_asked.append((question, self.bench.output.on))
        _, _, shown = question.rstrip("?").partition("the display says ")
        if shown:
            wait(lambda: shown in (self.bench.folder / "panel").read_text(), f"the display to say {shown}")
        if "has power" in question:
            return "y" if self.bench.output.on else "n"
        if "power is" in question:
            return "n" if self.bench.output.on else "y"
        return "y"


@contextlib.contextmanager
def started(folder: Path, **changes: object) -> Iterator[tuple[Bench, Wires]]:
    wires = Wires()
    inputs = Inputs(running_pin=5, stop_pin=6, estop_pin=13, flag_pin=19)
    panel = [Driver(driver="log", options=LogOptions(file=folder / "panel"))]
    bench = Bench(folder, **{"inputs": inputs, "panel": panel, **changes})
    bench.inputs = wires
    try:
        bench.start()
        bench.wait_for_status(lambda now: now.get("state") == "idle" and not now.get("causes"))
        yield bench, wires
    finally:
        bench.close()


def outcomes(test: steps.SelfTest) -> dict[str, str]:
    return {step.name: step.outcome for step in test.steps}


def test_every_step_is_ok_and_each_power_has_a_recorded_session(tmp_path: Path) -> None:
    with started(tmp_path) as (bench, wires):
        person = Scripted(bench, wires, obeys=lambda _text: True)
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        test.run()
        assert [step for step in test.steps if step.outcome in (steps.FAILED, steps.NOT_DONE)] == []
        missing = {name for name, outcome in outcomes(test).items() if outcome == steps.NOT_INSTALLED}
        assert missing == {"light", "sound", "read-back"}
        assert bench.levels == [True, False] * 3  # tap, stop button, emergency stop
        assert [data.basis.kind for data in bench.of("session.started")] == ["grant"] * 3
        assert [data.reason for data in bench.of("session.ended")][:2] == ["badge", "button"]
        shown = (tmp_path / "panel").read_text()
        assert "Badge not read" in shown
        assert "10 min left" in shown
        assert all(not on for question, on in person.powered_when_asked if "display" in question)


def test_a_member_who_is_no_maintainer_ends_the_test(tmp_path: Path) -> None:
    with started(tmp_path, panel=[]) as (bench, wires):
        person = Scripted(bench, wires, badge="ada", obeys=lambda _text: True)
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        test.run()
        assert outcomes(test)["reader"] == steps.FAILED
        assert not any("relay" in question for question, _ in person.powered_when_asked)
        assert "relay on" not in outcomes(test)
        assert bench.levels == [True]  # their own session, which goes on by the rules
        again = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        bench.wait_for_status(lambda now: now["state"] == "active")
        again.run()
        assert outcomes(again) == {"gate": steps.FAILED}


def test_a_button_that_does_nothing_is_found(tmp_path: Path) -> None:
    with started(tmp_path, panel=[]) as (bench, wires):
        person = Scripted(bench, wires, obeys=lambda text: not text.startswith("Press the stop"))
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=1))
        test.run()
        assert outcomes(test)["stop button"] == steps.FAILED
        assert outcomes(test)["stop button recorded"] == steps.FAILED
        assert outcomes(test)["relay off (stop button)"] == steps.FAILED


def test_what_happens_replaces_a_trial_and_no_trial_hides_it(tmp_path: Path) -> None:
    with started(tmp_path) as (bench, _wires):
        state = bench.config.state_dir
        assert trial.show(state, "identify")
        assert trial.show(state, "misread")  # a trial may follow another
        bench.tap("04FFFFFF")
        wait(lambda: "Unknown badge" in (tmp_path / "panel").read_text().splitlines()[-1], "the refusal")
        assert not trial.show(state, "identify")
        bench.use("ada")
        assert not trial.show(state, "identify")
        assert (state / trial._SOCKET).stat().st_mode & 0o777 == 0o600
        assert "Asked by" not in (tmp_path / "panel").read_text().splitlines()[-1]
    with pytest.raises(HardwareError, match="does not answer"):
        trial.show(state, "identify")


def test_no_message_names_a_way_to_power() -> None:
    kinds = {signal.kind for signal in trial.MESSAGES.values()}
    assert kinds <= {getattr(vocabulary.SignalKind, name) for name in ("EXTENDED", "MISREAD", "REFUSED", "IDENTIFY")}
