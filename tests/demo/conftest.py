"""One workshop a module, and every machine free and whole before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fabgate.demo.process import wait_for
from fabgate.demo.script import open_workshop
from tests.demo.running import Demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    workshop = open_workshop(tmp_path_factory.mktemp("wall"), timed_s=30)
    try:
        made = Demo(workshop)
        yield made
        made.wall.close()
        made.hands.close()
    finally:
        workshop.close()


@pytest.fixture
def page(demo: Demo) -> Demo:
    """The same, with every machine free and whole."""
    for gate in demo.workshop.gates:
        demo.hands.restore_power(gate).result(30)
        demo.hands.start(gate).result(30)
        if gate.observer.on:  # a session of the test before: a gate that starts ends it
            demo.hands.kill_and_start(gate).result(30)
        demo.hands.plug(gate).result(5)
        demo.hands.take_out(gate).result(5)
        demo.hands.set_clock_right(gate).result(5)
        wait_for("the gate to be linked", lambda gate=gate: gate.status().get("mqtt", {}).get("connected", False))
    return demo
