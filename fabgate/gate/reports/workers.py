"""What is reported about the threads themselves: one failed, or was started again."""

from __future__ import annotations

from fabgate.gate.parts import Parts
from fabgate.gate.reports.journal import JournalReports
from fabgate.gate.reports.problems import Problems
from fabgate.gate.workers import WORKS_AFTER_MS, WorkerFailed, WorkerRestarted
from fabgate.rules import vocabulary


class WorkerReports:
    """The reports about one gate's threads."""

    def __init__(self, parts: Parts, journal: JournalReports, problems: Problems) -> None:
        self._has_estop = parts.config.inputs.estop_pin is not None
        self._journal = journal
        self._problems = problems
        #: When threads that failed were started again.
        self._restarted_ms: dict[str, int] = {}

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Return the events for the rules that follow from an event; None for one of another source."""
        match event:
            case WorkerFailed(name, error):
                return self._failed(name, error)
            case WorkerRestarted(name):
                self._restarted_ms[name] = now.boot_ms
                return []
        return None

    def check(self, now: vocabulary.Now) -> None:
        """Trust threads that were started again, once they have run for long enough."""
        for name, at_ms in list(self._restarted_ms.items()):
            if now.boot_ms - at_ms > WORKS_AFTER_MS:
                del self._restarted_ms[name]
                self._problems.pop(f"thread-{name}", None)

    def _failed(self, name: str, error: str) -> list[vocabulary.Event]:
        self._restarted_ms.pop(name, None)
        self._problems.setdefault(f"thread-{name}", error)  # the first error of several is the cause
        if name == "journal":
            return self._journal.note_problem("failed", error)
        if name == "inputs" and self._has_estop:
            return [vocabulary.CauseRaised(vocabulary.Cause.ESTOP, error)]
        return []
