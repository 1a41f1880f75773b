"""The actions of the demo: tap a card, pull a cable, kill a gate; for the keyboard and for the wall.

Each gate has one thread for slow actions, so that two actions at the same gate never overlap.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from fabgate import badge
from fabgate.demo.furnishing.people import CARDS, CARRIERS, FOB
from fabgate.demo.live.events import Events
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.start import HOLDER
from fabgate.demo.taps import lay, place, remove
from fabgate.errors import FabgateError, UsageError

TAP_MS: Final = 200
#: The largest jump of a clock in seconds: a day.
FARTHEST_S: Final = 86_400


class Hands:
    """The actions. Each returns at once; its future holds the error as a text, or ""."""

    def __init__(self, workshop: Workshop, events: Events) -> None:
        self._workshop = workshop
        self._events = events
        self._lying: dict[str, str] = {}
        self._hands = {gate.name: ThreadPoolExecutor(1) for gate in workshop.gates}

    def close(self) -> None:
        """Wait for running actions and drop all others, so that nothing starts afterwards."""
        for hand in self._hands.values():
            hand.shutdown(cancel_futures=True)

    def gate(self, name: str) -> SimulatedGate:
        """Return a gate by its name. Raises UsageError."""
        for gate in self._workshop.gates:
            if gate.name == name:
                return gate
        raise UsageError(
            f"found no gate {name!r}, wanted one of: {', '.join(gate.name for gate in self._workshop.gates)}"
        )

    def lying(self, gate: SimulatedGate) -> str:
        """Return the card in the holder of a gate, or ""."""
        if not gate.process.running:
            self._lying.pop(gate.name, None)  # the emulated reader ended with the process, and the card is gone
        return self._lying.get(gate.name, "")

    # --- cards --------------------------------------------------------------------------------------------------------

    def card(self, gate: SimulatedGate, who: str) -> Future[str]:
        """Tap a card; at a holder, insert it or, if it is inside, remove it. Raises UsageError."""
        if who not in CARDS:
            raise UsageError(f"found no card {who!r}, wanted one of: {', '.join(CARDS)}")
        if gate.name != HOLDER:
            return self._do(gate, f"{_called(who)} taps", lambda: self._tap(gate, who))
        if who == FOB:
            raise UsageError("found a 125 kHz fob, wanted a card: the holder has a reader for 13.56 MHz")
        lay_there = self.lying(gate)
        if lay_there == who:
            return self.take_out(gate)
        if lay_there:
            self.take_out(gate)
        self._lying[gate.name] = who
        return self._do(gate, f"{_called(who)} puts a card in", lambda: place(gate.socket, CARDS[who]))

    @staticmethod
    def _tap(gate: SimulatedGate, who: str) -> None:
        if who == FOB:
            gate.tap_fob(badge.parse(CARDS[who]))
        else:
            lay(gate.socket, CARDS[who], for_ms=TAP_MS)

    def take_out(self, gate: SimulatedGate) -> Future[str]:
        """Take the card out of the holder."""
        who = self._lying.pop(gate.name, "")
        return self._do(gate, f"the card of {who or 'nobody'} is taken out", lambda: remove(gate.socket))

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def pull(self, gate: SimulatedGate) -> Future[str]:
        """Cut the network."""
        return self._do(gate, "the network is cut; the gate keeps working", gate.cable.pull)

    def plug(self, gate: SimulatedGate) -> Future[str]:
        """Restore the network."""
        return self._do(gate, "the network is back", gate.cable.plug)

    def kill(self, gate: SimulatedGate) -> Future[str]:
        """Kill the gate's process."""
        return self._do(gate, "kill -9", lambda: gate.process.end(signal.SIGKILL))

    def start(self, gate: SimulatedGate) -> Future[str]:
        """Start a gate that does not run, as systemd would."""
        return self._do(gate, "started again", lambda: None if gate.process.running else gate.start())

    def kill_and_start(self, gate: SimulatedGate) -> Future[str]:
        """Kill the gate's process, and start it again."""

        def both() -> None:
            gate.process.end(signal.SIGKILL)
            gate.start()

        return self._do(gate, "kill -9, and started again", both)

    def cut_power(self, gate: SimulatedGate) -> Future[str]:
        """Cut the power."""
        return self._do(gate, "the mains fail", lambda: gate.cut_power() if gate.is_powered else None)

    def restore_power(self, gate: SimulatedGate) -> Future[str]:
        """Restore the power."""
        return self._do(gate, "the mains are back", lambda: None if gate.is_powered else gate.restore_power())

    def jump_clock(self, gate: SimulatedGate, by_s: float) -> Future[str]:
        """Set the gate's wall clock forward or back. Raises UsageError for more than a day."""
        if not -FARTHEST_S <= by_s <= FARTHEST_S:
            raise UsageError(f"found a jump of {by_s:g} s, wanted at most a day ({FARTHEST_S} s) forward or back")
        return self._do(gate, f"its clock jumps by {by_s:+.0f} s", lambda: gate.jump_clock(by_s))

    def set_clock_right(self, gate: SimulatedGate) -> Future[str]:
        """Set the gate's wall clock right."""
        return self._do(gate, "its clock is set right", gate.set_clock_right)

    def lock(self, gate: SimulatedGate) -> Future[str]:
        """Lock the machine, or unlock it, as a manager would."""
        locked = any(cause.startswith("lock") for cause in gate.status().get("causes", ()))
        words = ("unlock", gate.name) if locked else ("lock", gate.name, "--when", "idle", "--reason", "Broken belt")
        return self._do(gate, f"a manager sends {words[0]}", lambda: self._workshop.collector(*words, "--actor", "you"))

    def _do(self, gate: SimulatedGate, what: str, work: Callable[[], object]) -> Future[str]:
        def run() -> str:
            self._events.add(gate.name, what)
            try:
                work()
            except (FabgateError, OSError) as error:
                why = " ".join(str(error).split())
                self._events.add(gate.name, f"{what}: {why}")
                return why
            return ""

        return self._hands[gate.name].submit(run)


def _called(who: str) -> str:
    return "a lost card" if who == "lost" else CARRIERS.get(who) or f"a {who}"
