"""Sessions at a simulated gate."""

from __future__ import annotations

from fabgate.demo.furnishing.people import CARDS, roster
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.taps import hold
from fabgate.demo.waiting import wait_for


def use(gate: SimulatedGate, who: str) -> None:
    """Run one whole session. The emulated reader takes the card again once the gate has seen it leave."""
    hold(gate.socket, CARDS[who], "power", lambda: gate.observer.on)
    hold(gate.socket, CARDS[who], "the end", lambda: not gate.observer.on and gate.status()["state"] == "idle")


def start_gate(workshop: Workshop) -> SimulatedGate:
    gate = workshop.add_gate("laser-1", {"name": "Laser 1", "limit_s": 600}, roster())
    workshop.ingest.start()
    gate.start()
    use(gate, "ada")
    wait_for("delivery", gate.settled)
    return gate
