"""Buttons and run-sense: quick to stop, sure of an all-clear, and a broken wire is a pressed button."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.drivers.inputs import CLOSE_POLLS, OPEN_POLLS, Debounced
from fabgate.errors import HardwareError
from fabgate.gate.config.gate_yaml import Inputs
from fabgate.gate.hardware.inputs_thread import InputsThread, input_pins
from fabgate.rules import vocabulary
from tests.gate.wires import GONE, Wires


def settled(*names: str) -> tuple[Wires, InputsThread, list]:
    wires, told = Wires(*names), []
    inputs = InputsThread(wires, list(names), told.append)
    for _ in range(CLOSE_POLLS):
        inputs.poll()
    return wires, inputs, told


def test_an_emergency_stop_counts_after_two_looks_and_clears_after_five() -> None:
    wires, inputs, told = settled("estop")
    assert told == [vocabulary.CauseCleared(vocabulary.Cause.ESTOP)]
    wires.levels["estop"] = True
    inputs.poll()
    assert len(told) == 1
    inputs.poll()
    assert told[-1] == vocabulary.CauseRaised(vocabulary.Cause.ESTOP, "pressed, or its wire is broken")
    wires.levels["estop"] = False
    for _ in range(CLOSE_POLLS - 1):
        inputs.poll()
    assert isinstance(told[-1], vocabulary.CauseRaised)
    inputs.poll()
    assert told[-1] == vocabulary.CauseCleared(vocabulary.Cause.ESTOP)


def test_each_input_speaks_its_own_word() -> None:
    wires, inputs, told = settled("running", "stop", "flag")
    assert told == [vocabulary.Running(on=False), vocabulary.FlagPressed(down=False)]
    told.clear()
    for name in wires.levels:
        wires.levels[name] = True
    for _ in range(OPEN_POLLS):
        inputs.poll()
    assert told == [vocabulary.Running(on=True), vocabulary.StopPressed(), vocabulary.FlagPressed(down=True)]


def test_inputs_that_cannot_be_read_count_as_pressed_and_recover() -> None:
    wires, told = Wires("estop", "running"), []
    inputs: InputsThread

    def post(event: object) -> None:
        told.append(event)
        if event == vocabulary.CauseCleared(vocabulary.Cause.ESTOP):
            if wires.is_broken or len(told) > 6:
                inputs.stop()
            wires.is_broken = True
        elif wires.is_broken and isinstance(event, vocabulary.Running) and len(told) > 4:
            wires.is_broken = False

    inputs = InputsThread(wires, ["estop", "running"], post)
    inputs.run()
    assert told[:2] == [
        vocabulary.CauseRaised(vocabulary.Cause.ESTOP, "not seen to be closed yet"),
        vocabulary.Running(on=True, known=False),
    ]
    assert vocabulary.Running(on=True) not in told, "a part that cannot be read proves no job"
    assert vocabulary.CauseRaised(vocabulary.Cause.ESTOP, GONE) in told
    assert told[-1] == vocabulary.CauseCleared(vocabulary.Cause.ESTOP) or told[-2] == vocabulary.CauseCleared(
        vocabulary.Cause.ESTOP
    )


def test_buttons_that_cannot_be_read_are_no_act_of_a_person() -> None:
    _, inputs, told = settled("stop", "flag")
    told.clear()
    inputs.distrust()
    inputs.poll()
    assert told[:2] == [vocabulary.StopPressed(known=False), vocabulary.FlagPressed(down=False)]
    assert vocabulary.StopPressed() not in told


@given(st.lists(st.booleans(), max_size=60))
def test_noise_shorter_than_its_looks_never_counts(levels: list[bool]) -> None:
    debounced, run, last = Debounced(), 0, True
    for level in levels:
        run = run + 1 if level == last else 1
        last = level
        changed = debounced.update(is_open=level)
        if changed:
            assert run >= (OPEN_POLLS if level else CLOSE_POLLS)
            assert debounced.pressed is level


def test_the_configured_pins_are_named_without_their_suffix() -> None:
    assert input_pins(Inputs(stop_pin=5, estop_pin=6)) == {"stop": 5, "estop": 6}


def test_real_gpiozero_reads_an_open_circuit_as_pressed() -> None:
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    from fabgate.drivers.inputs import GpioInputs

    before, Device.pin_factory = Device.pin_factory, MockFactory()
    try:
        inputs = GpioInputs({"stop": 5})
        inputs.open()
        assert inputs.read() == {"stop": True}  # pulled up, nothing closes it: a broken wire
        Device.pin_factory.pin(5).drive_low()
        assert inputs.read() == {"stop": False}
        with pytest.raises(HardwareError, match=r"GPIO 99 \(flag\)"):
            GpioInputs({"flag": 99}).open()
        inputs.close()
    finally:
        Device.pin_factory.reset()
        Device.pin_factory = before


def test_inputs_that_hang_count_as_pressed_until_they_are_seen_to_be_closed_again() -> None:
    wires, told, ms = Wires("estop"), [], [0]
    inputs = InputsThread(wires, ["estop"], told.append, boot_ms=lambda: ms[0])
    for _ in range(CLOSE_POLLS):
        inputs.poll()
    assert told == [vocabulary.CauseCleared(vocabulary.Cause.ESTOP)]
    inputs.distrust()  # the loop saw that nothing answered
    told.clear()
    inputs.poll()
    assert told == [vocabulary.CauseRaised(vocabulary.Cause.ESTOP, "the inputs do not answer")]
    for _ in range(CLOSE_POLLS):
        inputs.poll()
    assert told[-1] == vocabulary.CauseCleared(vocabulary.Cause.ESTOP)
