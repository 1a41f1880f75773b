"""A gate to which chance does what can happen to a gate, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tests.collector.gates import Journal

#: What sessions are made of comes often, or few would ever end.
OFTEN = ["start", "progress", "end"]
MOVES = [*OFTEN, *OFTEN, *OFTEN, "wrong-end", "boot", "sync", "replace", "fork", "refuse", "jump"]


@dataclass
class Gate:
    """Writes what a gate could: one session at a time, cut off by restarts, lost journals and restored images."""

    journals: list[Journal] = field(default_factory=lambda: [Journal()])
    session: str | None = None
    count: int = 0
    energised_ms: int = 0

    def __post_init__(self) -> None:
        self.journals[0].write("gate.started", version="1")

    @property
    def journal(self) -> Journal:
        return self.journals[-1]

    def move(self, what: str, ms: int) -> None:
        journal = self.journal
        if what == "start" and self.session is None:
            self.count += 1
            self.session, self.energised_ms = f"s-{self.count}", 0
            journal.start(self.session, f"m-{self.count % 3}")
        elif what == "progress" and self.session:
            self.energised_ms += ms
            journal.progress(self.session, self.energised_ms, f"m-{self.count % 3}", running_ms=self.energised_ms // 2)
        elif what in {"end", "wrong-end"} and self.session:
            reason = "badge" if what == "end" else "power-loss"
            energised = self.energised_ms + ms if what == "end" else max(0, self.energised_ms - ms)
            member = f"m-{self.count % 3}"
            journal.end(self.session, energised, member, reason=reason, uncertainty_ms=0 if what == "end" else ms)
            if what == "end":
                self.session = None  # after the other, a second end may follow
        elif what == "boot":
            journal.boot, journal.boottime_ms, journal.synced = f"boot-{journal.head}-{len(self.journals)}", 0, False
            journal.write("gate.started", version="1")
        elif what in {"sync", "jump"}:
            journal.synced = True
            # All arrives at noon: what is dated before it may have waited, what is dated long after it is wrong.
            journal.off += timedelta(milliseconds=60 * (ms - 50_000)) if what == "jump" else timedelta()
            journal.write("clock.synced", time=None)
        elif what == "replace" and len(self.journals) < 3:
            new = Journal(
                gate=journal.gate,
                boot=journal.boot,
                synced=journal.synced,
                boottime_ms=journal.boottime_ms,
                off=journal.off,
            )
            new.write("gate.started", version="1", replaces=journal.name)
            self.journals.append(new)
            self.session = None
        elif what == "fork" and len(self.journals) < 3:
            self.journals.append(journal.fork(mark=min(ms % 7, journal.head)))
        elif what == "refuse":
            journal.write("access.refused", badge="d9", reasons=["unknown-badge"])
