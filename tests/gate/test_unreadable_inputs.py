"""Inputs that cannot be read: what they switch off goes off, as a fault and not as a person's act."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.gate.config.gate_yaml import Inputs
from fabgate.gate.hardware.inputs_thread import input_pins
from tests.gate.shell import Bench, wait
from tests.gate.wires import GONE, Wires

SILENT = "the inputs do not answer"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path, inputs=Inputs(stop_pin=20, flag_pin=21))
    found.inputs = Wires(*input_pins(found.config.inputs))
    found.start()
    seen = found.inputs.reads
    wait(lambda: found.inputs.reads > seen + 10, "the inputs")  # type: ignore[union-attr]
    found.settle()
    yield found
    found.inputs.answers.set()
    found.close()


def problems(bench: Bench) -> list[str]:
    return [text for key, text in bench.daemon._reports.problems.items() if key == "inputs"]


def advance(bench: Bench, ms: int) -> None:
    """Let time pass; a jump of this clock is no silence of the inputs."""
    thread = bench.daemon._inputs_thread
    assert thread is not None
    thread.answered_ms = bench.time.ms + ms
    bench.advance(ms)


def ends(bench: Bench) -> list[str]:
    bench.written()
    return [str(data.reason) for data in bench.of("session.ended")]


def test_a_stop_button_that_cannot_be_read_ends_the_session_as_a_fault_and_is_named(bench: Bench) -> None:
    bench.use("ada")
    bench.inputs.is_broken = True  # type: ignore[union-attr]
    wait(lambda: not bench.output.on, "power off")
    assert ends(bench) == ["fault"]
    advance(bench, 1_000)
    assert problems(bench) == [GONE]
    bench.wait_for_status(lambda found: f"inputs: {GONE}" in found["problems"])
    bench.inputs.is_broken = False  # type: ignore[union-attr]
    wait(lambda: advance(bench, 1_000) or not problems(bench), "the end of the problem")
    assert bench.causes == []


def test_inputs_that_hang_end_it_at_once_and_only_once(bench: Bench) -> None:
    bench.use("ada")
    bench.inputs.answers.clear()  # type: ignore[union-attr]
    bench.inputs.hanging.wait()  # type: ignore[union-attr]
    bench.advance(1_400)
    assert bench.output.on
    bench.advance(200)
    wait(lambda: not bench.output.on, "power off")
    assert (ends(bench), problems(bench)) == (["fault"], [SILENT])
    bench.use("bob")
    bench.advance(5_000)
    assert bench.output.on, "what cannot be read is no button that is pressed again and again"


def test_a_pressed_button_is_a_person(bench: Bench) -> None:
    bench.use("ada")
    bench.inputs.levels["stop"] = True  # type: ignore[union-attr]
    wait(lambda: not bench.output.on, "power off")
    assert (ends(bench), problems(bench)) == (["button"], [])


@pytest.mark.parametrize("hangs", [False, True])
def test_a_flag_button_that_cannot_be_read_asks_nothing_that_the_next_tap_would_answer(
    bench: Bench, *, hangs: bool
) -> None:
    if hangs:
        bench.inputs.answers.clear()  # type: ignore[union-attr]
        bench.advance(5_000)
    else:
        bench.inputs.is_broken = True  # type: ignore[union-attr]
        wait(lambda: advance(bench, 100) or problems(bench), "the problem")
    advance(bench, 5_000)
    bench.use("ada")
    advance(bench, 5_000)
    bench.tap("ada")
    assert ends(bench) == ["badge"]
    assert bench.of("machine.flagged") == []
