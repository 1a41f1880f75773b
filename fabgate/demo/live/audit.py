"""Compares a gate's journal with the collector's sessions and with the pins, while the gate runs.

A running session and entries that are still on their way are left out. A difference is reported once it has lasted for
a second, because journal and pins are not read at the same moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fabgate.demo import books
from fabgate.demo.processes.gate import SimulatedGate

SURE_AFTER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result: compared sessions, their power, entries that wait for the collector, and differences (`wrong`)."""

    sessions: int = 0
    energised_ms: int = 0
    waiting: int = 0
    wrong: tuple[str, ...] = ()


@dataclass(slots=True)
class Audit:
    """Follows the journal of one gate; each call of `look` reads only the new entries."""

    gate: SimulatedGate
    now_s: Callable[[], float] = time.monotonic
    #: The last refusal, with its member and all reasons; None after the start of a session.
    refusal: dict[str, Any] | None = None
    #: The result of the last call of `look`.
    verdict: Verdict = field(default_factory=Verdict)
    _bodies: list[bytes] = field(default_factory=list)
    _seen: tuple[int, ...] = ()
    _doubted_at_s: float | None = None

    def look(self, rows: Callable[[], Iterable[Mapping[str, Any]]]) -> Verdict:
        """Compare now. `rows` reads the collector's sessions; it is called once the collector has confirmed every entry."""
        waiting = self.gate.waiting()
        fresh = self.gate.entries(after=len(self._bodies) and _number(self._bodies[-1]))
        self._bodies += fresh
        for body in fresh:
            self._note(json.loads(body))
        stretches = self.gate.observer.stretches()
        seen = len(self._bodies), waiting, len(stretches)
        if seen == self._seen and self._doubted_at_s is None:
            return self.verdict
        self._seen = seen
        book = books.read(self._bodies, self.gate.boots)
        over, running_ms = books.ended(book)
        observed = [one for one in stretches if running_ms is None or one.on_ns // 1_000_000 < running_ms]
        seen_by = self.gate.observer
        wrong = [
            *over.wrong,
            *books.against_observer(over, observed, tolerance_ms=seen_by.tolerance_ms, outlives_ms=seen_by.outlives_ms),
        ]
        if not waiting:
            wrong += books.against_collector(over, [row for row in rows() if row["session"] in over.sessions])
        energised_ms = sum(session.energised_ms for session in over.sessions.values())
        self.verdict = Verdict(len(over.sessions), energised_ms, waiting, self._sure(wrong))
        return self.verdict

    def _note(self, entry: dict[str, Any]) -> None:
        kind, data = entry["type"], entry["data"]
        if kind == "fabgate.access.refused.v1":
            self.refusal = {"member": data.get("member"), "reasons": data["reasons"]}
        elif kind == "fabgate.session.started.v1":
            self.refusal = None

    def _sure(self, wrong: list[str]) -> tuple[str, ...]:
        now_s = self.now_s()
        if not wrong:
            self._doubted_at_s = None
        elif self._doubted_at_s is None:
            self._doubted_at_s = now_s
        sure = self._doubted_at_s is not None and now_s - self._doubted_at_s >= SURE_AFTER_S
        return tuple(wrong) if sure else ()


def _number(body: bytes) -> int:
    return int(json.loads(body)["sequence"])
