"""A read-back that cannot see a weld is a problem that a person reads. It cuts nothing, and asks nobody for a badge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.gate.config.gate_yaml import Driver, Inputs, MachineSection
from fabgate.gate.hardware.inputs_thread import input_pins
from tests.gate.contactor import MIRROR, SECOND_MIRROR, Contactor
from tests.gate.shell import Bench, wait
from tests.gate.wires import Wires


@contextlib.contextmanager
def wired(folder: Path, contactor: Contactor, **changes: object) -> Iterator[Bench]:
    bench = Bench(folder, output=Driver(driver="gpio", options=contactor._options), **changes)
    bench.output = contactor  # type: ignore[assignment]
    bench.inputs = Wires(*input_pins(bench.config.inputs))
    try:
        bench.start()
        wait(lambda: not bench.causes, "the inputs")
        yield bench
    finally:
        bench.close()


def problems(bench: Bench) -> list[str]:
    bench.settle()
    return [key for key in bench.daemon._reports.problems if key == "read-back"]


@pytest.mark.parametrize("shorted", [{MIRROR}, {SECOND_MIRROR}, {MIRROR, SECOND_MIRROR}])
@pytest.mark.parametrize("two", [False, True])
def test_on_for_a_second_and_still_open_is_a_problem_until_the_contact_is_seen_to_close(
    tmp_path: Path, shorted: set[int], *, two: bool
) -> None:
    contactor = Contactor(two=two)
    with wired(tmp_path, contactor) as bench:
        contactor.shorted = shorted if two else {MIRROR}
        bench.use("ada")
        bench.advance(1_000)
        assert problems(bench) == []
        bench.advance(1)
        assert problems(bench) == ["read-back"]
        named = [f"GPIO {pin}" for pin in sorted(contactor.shorted)]
        bench.wait_for_status(lambda found: all(name in " ".join(found["problems"]) for name in named))
        assert bench.levels == [True], "nothing is cut"
        assert bench.causes == []
        bench.tap("ada")
        bench.use("bob")
        assert problems(bench) == ["read-back"], "it lasts until the contact is seen to close"
        contactor.shorted = set()
        contactor.move()
        bench.advance(100)
        assert problems(bench) == []
        bench.written()
        assert bench.of("output.fault") == []
        assert bench.of("machine.blocked") == []


def test_a_contact_that_follows_late_or_bounces_is_no_problem(tmp_path: Path) -> None:
    contactor = Contactor()
    with wired(tmp_path, contactor) as bench:
        contactor.shorted = {MIRROR}
        bench.use("ada")
        for _ in range(3):
            bench.advance(900)
            contactor.shorted = set()
            contactor.move()
            bench.advance(100)
            contactor.shorted = {MIRROR}
            contactor.move()
        assert problems(bench) == []


def test_an_emergency_stop_opens_the_contactor_and_is_no_problem(tmp_path: Path) -> None:
    contactor = Contactor()
    with wired(tmp_path, contactor, inputs=Inputs(estop_pin=13)) as bench:
        bench.use("ada")
        contactor.has_supply = False
        contactor.move()
        bench.inputs.levels["estop"] = True  # type: ignore[union-attr]
        wait(lambda: bench.causes == ["estop"], "the emergency stop")
        for _ in range(5):
            bench.advance(500)
        assert problems(bench) == []


def test_a_press_that_the_gate_has_not_read_yet_is_no_problem(tmp_path: Path) -> None:
    """Its inputs hang: nobody knows whether the emergency stop is pressed, until it counts as pressed."""
    contactor = Contactor()
    with wired(tmp_path, contactor, inputs=Inputs(estop_pin=13)) as bench:
        bench.use("ada")
        wires = bench.inputs
        assert isinstance(wires, Wires)
        wires.answers.clear()
        wires.hanging.wait()
        contactor.has_supply = False
        contactor.move()
        bench.advance(100)
        bench.advance(1_400)
        assert bench.causes == []
        assert problems(bench) == []
        bench.advance(200)
        assert bench.causes == ["estop"]
        assert problems(bench) == []
        wires.answers.set()


def test_a_machine_that_is_only_watched_has_no_such_problem(tmp_path: Path) -> None:
    contactor = Contactor()
    with wired(tmp_path, contactor, machine=MachineSection(name="Saw", mode="audit")) as bench:
        contactor.shorted = {MIRROR}
        bench.tap("ada")
        wait(lambda: bench.state == "active", "the session")
        for _ in range(3):
            bench.advance(1_000)
        assert problems(bench) == []
