"""Kills gate, collector and broker at random, and cuts the network: no entry is lost, doubled or invented.

The pins report to a pipe that this test reads. So the records are compared with the machine's real power, not with what
the gate believes.
"""

from __future__ import annotations

import random
import signal
import time
from functools import partial

import pytest

from fabgate.demo.furnishing.people import CARDS, roster
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.taps import hold, lay
from fabgate.demo.waiting import wait_for
from fabgate.errors import FabgateError
from tests.e2e import records
from tests.e2e.conftest import SOAK
from tests.support.mosquitto import Mosquitto

pytestmark = [pytest.mark.broker, pytest.mark.kills]

KILLS = {"gate": 200, "collector": 50, "broker": 50} if SOAK else {"gate": 20, "collector": 5, "broker": 5}


def test_random_kills_lose_double_or_invent_no_entry(workshop: Workshop, plain_broker: Mosquitto) -> None:
    chance = random.Random(20261125)
    gates = [
        workshop.add_gate("laser-1", {"name": "Laser 1", "limit_s": 600, "handover": True}, roster()),
        workshop.add_gate("saw-1", {"name": "Saw 1", "limit_s": 2, "run_on_s": 0}, roster()),
    ]
    workshop.ingest.start()
    for gate in gates:
        gate.start()
    left = dict(KILLS)
    breaks = [what for what, times in left.items() for _ in range(times)]
    breaks += ["cut"] * (len(breaks) // 4)
    chance.shuffle(breaks)
    for what in breaks:
        for _ in range(chance.randrange(1, 4)):
            _tap(chance.choice(gates), chance)
        _break(what, chance.choice(gates), workshop, plain_broker)
    _settle(gates)
    heads = {gate.name: records.journal(gate) for gate in gates}
    for gate in gates:
        assert gate.process.end() == 0
    wrong = [line for gate in gates for line in records.disagreements(workshop, gate, heads[gate.name])]
    assert wrong == []
    everything = records.uids(workshop)
    assert len(everything) == len(set(everything))
    assert sum(len(gate.observer.stretches()) for gate in gates) > len(breaks) // 4  # machines really ran


def _tap(gate: SimulatedGate, chance: random.Random) -> None:
    try:
        lay(gate.socket, CARDS[chance.choice(["ada", "bob", "mo", "stranger"])], for_ms=chance.randrange(100, 200))
    except (FabgateError, OSError):
        return  # the gate was killed during the tap
    time.sleep(chance.uniform(0, 0.4))  # a person's pace, not a deadline


def _break(what: str, gate: SimulatedGate, workshop: Workshop, plain_broker: Mosquitto) -> None:
    if what == "gate":
        gate.process.end(signal.SIGKILL)
        wait_for("the power to go off", lambda: not gate.observer.on)
        gate.start()
        assert not gate.observer.on, "the start turned the power on"
    elif what == "collector":
        workshop.ingest.end(signal.SIGKILL)
        workshop.ingest.start()
    elif what == "broker":
        plain_broker.kill()
        plain_broker.start()
    else:
        gate.cable.pull()
        wait_for("the gate to notice", lambda: not gate.status()["mqtt"]["connected"])
        gate.cable.plug()


def _settle(gates: list[SimulatedGate]) -> None:
    """End all sessions, and wait until every entry is acknowledged."""
    for gate in gates:
        wait_for(f"{gate.name} to be confirmed", partial(_is_settled, gate))


def _is_settled(gate: SimulatedGate) -> bool:
    """Whether no session runs and every entry is acknowledged. First ends a session that runs, with its member's card.

    The card stays until the gate shows the end: a second short tap would start the next session.
    """
    if gate.status()["state"] != "idle":
        who = "ada" if gate.status().get("member") == "m-1" else "bob"
        hold(gate.socket, CARDS[who], "the end of the session", lambda: gate.status()["state"] == "idle")
    return gate.settled()
