"""Passes an event of any thread to the file that translates its source."""

from __future__ import annotations

from collections.abc import Callable

from fabgate.gate.parts import Parts
from fabgate.gate.reports.commands import CommandReports
from fabgate.gate.reports.devices import DeviceReports
from fabgate.gate.reports.entries import EntryQueue
from fabgate.gate.reports.journal import JournalReports
from fabgate.gate.reports.network import NetworkReports
from fabgate.gate.reports.problems import Problems
from fabgate.gate.reports.readers import ReaderReports
from fabgate.gate.reports.roster import RosterReports
from fabgate.gate.reports.workers import WorkerReports
from fabgate.gate.uplink.commands import CommandChecker
from fabgate.rules import vocabulary

#: Events that the rules take as they are.
_RULES_EVENTS = (
    vocabulary.Presented,
    vocabulary.Lying,
    vocabulary.Removed,
    vocabulary.Misread,
    vocabulary.StopPressed,
    vocabulary.Running,
    vocabulary.EnergyCounted,
    vocabulary.FlagPressed,
    vocabulary.CauseRaised,
    vocabulary.CauseCleared,
    vocabulary.CheckpointLate,
    vocabulary.RosterChanged,
    vocabulary.Extend,
    vocabulary.Committed,
    vocabulary.Tick,
)


class Reports:
    """The reports of one gate, by source. `signal` shows a signal that a command asks for."""

    def __init__(self, parts: Parts, checker: CommandChecker, *, signal: Callable[[vocabulary.Signal], None]) -> None:
        self.problems = Problems()
        self.entries = EntryQueue(parts.recording)
        self.journal = JournalReports(parts, self.problems)
        self.readers = ReaderReports(parts, self.entries, self.problems)
        self.roster = RosterReports(parts, self.entries, self.problems)
        self.network = NetworkReports(self.problems)
        self.workers = WorkerReports(parts, self.journal, self.problems)
        self._translators = (
            self.journal.translate,
            self.readers.translate,
            self.roster.translate,
            self.network.translate,
            CommandReports(parts, checker, signal, self.roster, self.entries, self.problems).translate,
            DeviceReports(self.problems).translate,
            self.workers.translate,
        )
        #: What the contacts at the load say: open, closed, or "differs" where they disagree; "" where none is wired.
        self.read_back = ""

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event]:
        """Return the events for the rules that follow from an event of any thread."""
        if isinstance(event, _RULES_EVENTS):
            if isinstance(event, vocabulary.Presented | vocabulary.Lying):
                self.readers.cards_read[event.reader] += 1
            return [event]
        for translate in self._translators:
            events = translate(event, now)
            if events is not None:
                return events
        raise TypeError(f"found the unknown event {event!r}")
