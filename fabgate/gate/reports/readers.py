"""What the readers' threads report."""

from __future__ import annotations

from msgspec import Struct, structs

from fabgate import wire
from fabgate.gate.hardware.reader_thread import ReaderFault, ReaderRecovered
from fabgate.gate.hardware.unsteady_reader import STEADY_MS, UnsteadyReader
from fabgate.gate.parts import Parts
from fabgate.gate.reports.entries import EntryQueue
from fabgate.gate.reports.problems import Problems
from fabgate.rules import vocabulary


class ReaderReport(Struct, frozen=True):
    """One of several readers: its state (ok or fault), what is wrong, and how many cards it has read since the start."""

    name: str
    state: str
    cards_read: int
    problem: str = ""


class ReaderReports:
    """The reports about one gate's readers, which have numbers from 0."""

    def __init__(self, parts: Parts, entries: EntryQueue, problems: Problems) -> None:
        self._config = parts.config
        self._threads = parts.hardware.readers
        self._entries = entries
        self._problems = problems
        self._unsteady = [UnsteadyReader() for _ in self._threads]
        #: What is wrong with a reader, by its number.
        self._faults: dict[int, str] = {}
        #: How many cards each reader has read.
        self.cards_read = [0] * len(self._threads)

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Return the events for the rules that follow from an event; None for one of another source."""
        match event:
            case ReaderFault(detail, reader):
                return [self._fails(reader, detail, now)]
            case ReaderRecovered(detail, reader):
                works = self._works(reader, detail, now)
                unsteady = self._unsteady[reader].recovered(now.boot_ms)
                return [self._fails(reader, unsteady, now)] if unsteady else [works]
        return None

    def check(self, now: vocabulary.Now) -> list[vocabulary.Event]:
        """Trust readers that kept recovering again, once they have answered for long enough."""
        detail = f"the reader has answered for {STEADY_MS // 60_000} minutes"
        return [
            self._works(number, detail, now)
            for number, reader in enumerate(self._threads)
            if reader.is_working and self._unsteady[number].is_over(now.boot_ms, answered_ms=reader.answered_ms)
        ]

    def is_faulty(self, reader: int) -> bool:
        """Return whether a reader has a fault that was reported."""
        return reader in self._faults

    @property
    def each(self) -> tuple[ReaderReport, ...]:
        """Return what is known of each reader of a gate with several; nothing for a gate with one."""
        if len(self._threads) == 1:
            return ()
        return tuple(
            self._report_of(number, self._config.reader_name(number), count)
            for number, count in enumerate(self.cards_read)
        )

    @property
    def longest_pauses_ms(self) -> tuple[int, ...]:
        """Return the longest pause between two repetitions of a badge that each reader has made."""
        return tuple(reader.longest_pause_ms for reader in self._threads)

    def _report_of(self, reader: int, name: str, count: int) -> ReaderReport:
        fault = self._faults.get(reader)
        if fault is None:
            return ReaderReport(name, "ok", count)
        return ReaderReport(name, "fault", count, fault.removeprefix(f"{name}: "))

    def _fails(self, reader: int, detail: str, now: vocabulary.Now) -> vocabulary.Event:
        named = self._record("reader.fault", reader, detail, now)
        self._faults[reader] = named
        self._note_faults()
        return vocabulary.ReaderFailed(reader, named)

    def _works(self, reader: int, detail: str, now: vocabulary.Now) -> vocabulary.Event:
        self._record("reader.recovered", reader, detail, now)
        self._faults.pop(reader, None)
        self._note_faults()
        return vocabulary.ReaderWorks(reader)

    def _record(self, event_type: str, reader: int, detail: str, now: vocabulary.Now) -> str:
        """Record what happened to a reader; return it as text, with the reader's name where there are several."""
        fault = wire.ReaderFault(clock=self._entries.clock(now), detail=detail)
        if len(self._threads) > 1:
            detail = f"{self._config.reader_name(reader)}: {detail}"
            fault = structs.replace(fault, detail=detail, reader=reader + 1)
        self._entries.put(event_type, fault, now)
        return detail

    def _note_faults(self) -> None:
        faults = [self._faults[reader] for reader in sorted(self._faults)]
        self._problems.note("reader", "; ".join(faults) or None)
