"""A person goes through the self-test at a real gate; power follows their badge only."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin

from fabgate.drivers.meters.s0 import S0Options
from fabgate.drivers.panels.lights import LightsOptions
from fabgate.drivers.panels.log import LogOptions
from fabgate.errors import HardwareError
from fabgate.gate.config.gate_yaml import Driver, Inputs, MachineSection
from fabgate.gate.hardware.inputs_thread import input_pins
from fabgate.gate.panel import messages, trial
from fabgate.gate.selftest import steps
from fabgate.gate.selftest.watch import Watch
from fabgate.rules import vocabulary
from tests.gate.contactor import MIRROR, SECOND_MIRROR, Contactor
from tests.gate.shell import Bench, digest, wait
from tests.gate.wires import Wires

#: What three LEDs show: red, green and amber.
LIGHTS = {"is green": [0, 1, 0], "is amber?": [0, 0, 1], "is red": [1, 0, 0], "three lights blink": [1, 1, 1]}


class Scripted:
    """Does what it is told at a gate, and answers what it sees there."""

    def __init__(
        self,
        bench: Bench,
        wires: Wires,
        *,
        badge: str = "max",
        obeys: Callable[[str], bool] = lambda _text: True,
        answers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.bench = bench
        #: What to answer to questions with these words, each once and in this order; anything else is answered truthfully.
        self.answers = list(answers)
        self.wires = wires
        self.badge = badge
        self.obeys = obeys
        self.told: list[str] = []
        self.powered_when_asked: list[tuple[str, bool]] = []
        self.looked_for: Counter[str] = Counter()

    def displayed(self) -> str:
        """Return all that the display has shown."""
        return (self.bench.folder / "panel").read_text()

    def tell(self, text: str) -> None:
        self.told.append(text)
        for words, act in self.acts.items():
            if text.startswith(words) and self.obeys(text):
                act()

    @property
    def acts(self) -> dict[str, Callable[[], None]]:
        """What they do, by the first words of the instruction."""
        machine = self.bench.config.machine
        shown = digest(self.badge)
        return {
            "Tap the badge": lambda: self.bench.tap(self.badge),
            "Tap the same": lambda: self.bench.tap(self.badge),
            "Tap any badge on reader 2": lambda: self.bench.post(vocabulary.Presented(digest("04FFFFFF"), 1)),
            "Lay the badge": lambda: self.bench.post(vocabulary.Presented(shown)),
            "Take the badge": lambda: (
                self.bench.post(vocabulary.Removed(shown)),
                self.pass_s(machine.grace_s + machine.run_on_s),
            ),
            "Wait until the session ends": lambda: self.bench.advance(machine.limit_s * 1000),
            "Start the machine": self.run_the_machine,
            "Let the machine work": self.take_energy,
            "Press the stop": self.press_stop,
            "Press the emergency": lambda: self.wires.levels.update(estop=True),
            "Release": lambda: self.wires.levels.update(estop=False),
        }

    def pass_s(self, seconds: int) -> None:
        """Let time pass; a jump of this clock would be a silence of the inputs."""
        for _ in range(seconds * 2):
            if not self.wires.levels:
                self.bench.advance(500)
                continue
            upto = self.wires.reads + 2
            wait(lambda upto=upto: self.wires.reads >= upto, "a look at the inputs")
            self.bench.advance(500)

    def run_the_machine(self) -> None:
        self.wires.levels["running"] = True
        wait(lambda: self.bench.daemon._gate.session.meter.running_since is not None, "it runs")  # type: ignore[union-attr]
        self.pass_s(1)
        self.wires.levels["running"] = False

    def take_energy(self) -> None:
        """Let the meter on GPIO 22 close its contact for some pulses."""
        for _ in range(3):
            Device.pin_factory.pin(22).drive_low()
            Device.pin_factory.pin(22).drive_high()

    def press_stop(self) -> None:
        self.wires.levels["stop"] = True
        wait(lambda: self.bench.daemon._gate.state != "active", "the stop button")
        self.wires.levels["stop"] = False
        self.pass_s(self.bench.config.machine.run_on_s)

    def ask(self, question: str) -> str:
        self.powered_when_asked.append((question, self.bench.output.on))
        _, _, shown = question.rstrip("?").partition("the display says ")
        if shown:  # nobody answers before they have seen it
            self.looked_for[shown] += 1
            wait(lambda: self.displayed().count(shown) >= self.looked_for[shown], f"the display to say {shown}")
        for n, (words, answer) in enumerate(self.answers):
            if words in question:
                del self.answers[n]
                return answer
        for light, pins in LIGHTS.items():
            if light in question:
                wait(lambda pins=pins: [Device.pin_factory.pin(n).state for n in (13, 19, 26)] == pins, light)
        if "has power" in question:
            self.pass_s(2)  # as long as it takes to look
            return "y" if self.bench.output.on else "n"
        if "power is" in question:
            return "n" if self.bench.output.on else "y"
        return "y"


@contextlib.contextmanager
def started(folder: Path, *, output: Contactor | None = None, **changes: object) -> Iterator[tuple[Bench, Wires]]:
    inputs = Inputs(running_pin=5, stop_pin=6, estop_pin=13, flag_pin=19)
    panel = [Driver(driver="log", options=LogOptions(file=folder / "panel"))]
    if output is not None:
        changes["output"] = Driver(driver="gpio", options=output._options)
    bench = Bench(folder, **{"inputs": inputs, "panel": panel, **changes})
    bench.inputs = wires = Wires(*input_pins(bench.config.inputs))
    if output is not None:
        bench.output = output  # type: ignore[assignment]
    try:
        bench.start()
        bench.wait_for_status(lambda now: now.get("state") == "idle" and not now.get("causes"))
        yield bench, wires
    finally:
        bench.close()


def outcomes(test: steps.SelfTest) -> dict[str, str]:
    return {step.name: step.outcome for step in test.steps}


def test_every_step_is_ok_and_each_power_has_a_recorded_session(tmp_path: Path) -> None:
    with started(tmp_path, reader=[Driver(driver="simulated"), Driver(driver="serial")]) as (bench, wires):
        person = Scripted(bench, wires, obeys=lambda _text: True)
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        test.run()
        assert [step for step in test.steps if step.outcome in (steps.FAILED, steps.NOT_DONE)] == []
        missing = {name for name, outcome in outcomes(test).items() if outcome == steps.NOT_INSTALLED}
        assert missing == {"light", "sound", "read-back"}
        assert [name for name in outcomes(test) if "reader" in name] == ["reader 1 (simulated)", "reader 2 (serial)"]
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


@pytest.fixture
def pins() -> Iterator[None]:
    """Replace the pins of this computer."""
    before, Device.pin_factory = Device.pin_factory, MockFactory(pin_class=MockPWMPin)
    yield
    Device.pin_factory.reset()
    Device.pin_factory = before


@pytest.mark.usefixtures("pins")
def test_a_card_that_stays_in_its_holder_is_taken_out_and_three_lights_are_told_as_such(tmp_path: Path) -> None:
    machine = MachineSection(name="Saw", mode="hold", grace_s=2, run_on_s=1, finish="cut")
    lights = Driver(driver="lights", options=LightsOptions(lights="three"))
    with started(tmp_path, machine=machine, panel=[lights]) as (bench, wires):
        person = Scripted(bench, wires)
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        test.run()
        assert [step for step in test.steps if step.outcome in (steps.FAILED, steps.NOT_DONE)] == []
        assert [data.reason for data in bench.of("session.ended")][:2] == ["removed", "button"]
        assert bench.levels == [True, False] * 3
        assert "Do you see or hear this: all three lights blink?" in [asked for asked, _ in person.powered_when_asked]
        assert person.powered_when_asked[-1][0] == "Is this true: the light is amber and blinks?"
        assert person.told.count("Take the badge away.") == 3


@pytest.mark.parametrize(
    ("mode", "has_stop", "reason"), [("timed", True, "button"), ("timed", False, "limit"), ("audit", False, "badge")]
)
def test_each_mode_has_its_own_way_to_end(tmp_path: Path, mode: Any, has_stop: bool, reason: str) -> None:
    machine = MachineSection(name="Laser", mode=mode, limit_s=600, finish="cut")
    inputs = Inputs(stop_pin=6) if has_stop else Inputs()
    with started(tmp_path, machine=machine, inputs=inputs, panel=[]) as (bench, wires):
        test = steps.SelfTest(bench.config, Scripted(bench, wires), Watch(bench.config, patience_s=20))
        test.run()
        assert [step for step in test.steps if step.outcome in (steps.FAILED, steps.NOT_DONE)] == []
        assert bench.of("session.ended")[0].reason == reason
        assert outcomes(test)["relay on"] == (steps.NOT_INSTALLED if mode == "audit" else steps.OK)


def test_what_a_person_denies_has_failed_and_what_they_want_once_more_is_shown_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(messages._SHOWN_S, vocabulary.SignalKind.REFUSED, 1)
    with started(tmp_path) as (bench, wires):
        bench.tap("04FFFFFF")  # the panel shows this refusal first
        answers = [
            ("Badge not read", "r"),
            ("Badge not read", "n"),
            ("has power", "r"),
            ("has power", "n"),
            ("power is off", "y"),
            ("power is off", "y"),
            ("power is off", "n"),
            ("report a defect", "r"),
        ]
        person = Scripted(bench, wires, answers=answers)
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        test.run()
        assert person.answers == []
        assert any("Wait until it is gone" in told for told in person.told)
        failed = {step.name for step in test.steps if step.outcome == steps.FAILED}
        assert failed == {"display: misread", "relay on", "relay off (stop button)"}
        assert "emergency stop" not in outcomes(test)  # no more sessions at a machine that stays on
        assert bench.levels == [True, False] * 2
        shown = (tmp_path / "panel").read_text()
        assert shown.count("Badge not read") == 2
        assert sum("Hold the button for defects" in told for told in person.told) == 2


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


@pytest.mark.parametrize("shorted", [set(), {MIRROR}, {SECOND_MIRROR}])
@pytest.mark.parametrize("two", [False, True])
def test_a_read_back_that_does_not_change_with_the_contactor_has_failed(
    tmp_path: Path, shorted: set[int], *, two: bool
) -> None:
    contactor = Contactor(two=two)
    with started(tmp_path, output=contactor, panel=[]) as (bench, wires):
        contactor.shorted = shorted
        test = steps.SelfTest(bench.config, Scripted(bench, wires), Watch(bench.config, patience_s=20))
        test.run()
        is_seen = not shorted & {MIRROR, *([SECOND_MIRROR] if two else [])}
        failed = {step.name for step in test.steps if step.outcome == steps.FAILED}
        assert failed == (set() if is_seen else {"read-back"})
        assert bench.levels == [True, False] * 3


@pytest.mark.usefixtures("pins")
@pytest.mark.parametrize(("per_kwh", "is_seen"), [(1_000, True), (100, True), (10_000, False)])
@pytest.mark.parametrize("is_silent", [False, True])
def test_a_meter_that_counts_nothing_has_failed(
    tmp_path: Path, per_kwh: int, *, is_seen: bool, is_silent: bool
) -> None:
    options = S0Options(pulse_pin=22, pulses_per_kwh=per_kwh)
    with started(tmp_path, panel=[], inputs=Inputs(), meter=[Driver(driver="s0", options=options)]) as (bench, wires):
        wait(lambda: bench.daemon._levels()[0].energy_wh == 0, "the meter")
        patience_s = 20 if is_seen and not is_silent else 0
        person = Scripted(bench, wires, obeys=lambda text: not (is_silent and text.startswith("Let the machine work")))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(steps, "_WH_S", 36 if patience_s else 0)
            test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=max(patience_s, 3)))
            test.run()
        assert outcomes(test)["meter"] == (steps.OK if is_seen and not is_silent else steps.FAILED)
        seconds = {1_000: "36 s", 100: "360 s", 10_000: "36 s"}[per_kwh]
        assert not patience_s or any(
            text.endswith(f"has counted the energy: {seconds} at the most.") for text in person.told
        )


def test_power_before_the_first_tap_is_asked_for_and_ends_the_test(tmp_path: Path) -> None:
    with started(tmp_path, panel=[]) as (bench, wires):
        person = Scripted(bench, wires, answers=[("power is off", "n")])
        test = steps.SelfTest(bench.config, person, Watch(bench.config, patience_s=20))
        test.run()
        assert outcomes(test)["off before the first tap"] == steps.FAILED
        assert "relay on" not in outcomes(test)
        assert bench.levels == []
