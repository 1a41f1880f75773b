"""Reads what the wall shows: the cards, and each machine with its power, display, session, cable, clock and audit.

These are names of states, numbers and times; the page adds the texts.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from fabgate.demo.furnishing.people import CARDS, CARRIERS, KINDS
from fabgate.demo.live.audit import Audit
from fabgate.demo.live.hands import Hands
from fabgate.demo.live.picture import panel
from fabgate.demo.processes.display import Display
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.errors import JournalError

LOCKS: Final = frozenset({"lock-now", "lock-idle"})
LIVE_STATES: Final = {"starting": "starting", "active": "in-use", "finishing": "finishing"}


def cards() -> list[dict[str, Any]]:
    """Return the cards of the wall with their first holders, which may have changed in the collector."""
    return [
        {
            "id": who,
            "kind": KINDS[who],
            "name": CARRIERS.get(who, ""),
            "spelling": spelling,
            "bytes": len(spelling.removeprefix("em-hex:").replace(":", "")) // 2,
        }
        for who, spelling in CARDS.items()
    ]


class Seen:
    """Reads the state of all machines; from one thread at a time."""

    def __init__(self, workshop: Workshop, hands: Hands) -> None:
        self._workshop = workshop
        self._hands = hands
        self._audits = {gate.name: Audit(gate) for gate in workshop.gates}
        #: When each line came on, as wall time: computed once, so that it does not drift.
        self._on_at: dict[int, str] = {}

    def machines(self) -> list[dict[str, Any]]:
        """Return each machine and its gate as they are now."""
        return [self._machine(gate) for gate in self._workshop.gates]

    def _machine(self, gate: SimulatedGate) -> dict[str, Any]:
        running = gate.process.running
        status = gate.status() if running else {}
        light, lines = panel(gate.shown()) if running else ("off", ())
        member = status.get("member")
        audit = self._audits[gate.name]
        # A journal that cannot be read now is read at the next poll.
        try:
            verdict = audit.look(self._workshop.sessions)
        except JournalError:
            verdict = audit.verdict
        return {
            "gate": gate.name,
            "title": status.get("machine") or gate.title,
            "mode": self._workshop.modes[gate.name],
            "state": _state(gate, status),
            "causes": status.get("causes", []),
            "who": member or None,
            "on_since": self._since(gate.observer.since_ns),
            "light": light,
            "lines": lines,
            "picture": _picture(gate.display, running=running),
            "lying": self._hands.lying(gate) or None,
            "has_mains": gate.is_powered,
            "runs": running,
            "is_plugged": not gate.cable.is_pulled,
            "is_linked": status.get("mqtt", {}).get("connected", False),
            "clock_ahead_s": round(gate.clock.ahead_s),
            "clock_synced": gate.clock.synced,
            "refusal": audit.refusal
            and {
                "who": audit.refusal["member"],
                "reasons": audit.refusal["reasons"],
            },
            "sessions": verdict.sessions,
            "energised_ms": verdict.energised_ms,
            "waiting": verdict.waiting,
            "wrong": list(verdict.wrong),
        }

    def _since(self, since_ns: int | None) -> str | None:
        if since_ns is None:
            return None
        if since_ns not in self._on_at:
            on_s = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_ns) / 1e9
            self._on_at = {
                **dict(list(self._on_at.items())[-10:]),
                since_ns: datetime.fromtimestamp(time.time() - on_s, UTC).isoformat(),
            }
        return self._on_at[since_ns]


def _picture(display: Display | None, *, running: bool) -> dict[str, Any] | None:
    """Return what the display shows; nothing without a gate, as its lines, although a real one keeps what it showed last."""
    if display is None:
        return None
    return display.picture() if running else {**display.picture(), "strokes": "", "is_lit": False}


def _state(gate: SimulatedGate, status: dict[str, Any]) -> str:
    """Return the name of the gate's state: one that the floor page uses, or no-power, not-running or not-ready."""
    if not gate.is_powered:
        return "no-power"
    if not gate.process.running:
        return "not-running"
    if not status:
        return "not-ready"
    live = LIVE_STATES.get(status.get("state", ""))
    causes = set(status.get("causes", ()))
    # as on the floor page, a locked machine does not count as out of order
    return live or ("blocked" if causes - LOCKS else "locked" if causes else "free")
