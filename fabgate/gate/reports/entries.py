"""Entries that do not concern the rules: they wait until the rules' commands are carried out."""

from __future__ import annotations

from fabgate import wire
from fabgate.gate.journal.writer import NO_CHANGE, Change, Draft
from fabgate.gate.parts import Recording
from fabgate.rules import vocabulary


class EntryQueue:
    """The entries of one gate that are not recorded yet."""

    def __init__(self, recording: Recording) -> None:
        self._writer = recording.writer
        self._throttle = recording.throttle
        self._recorder = recording.recorder
        self._queued: list[tuple[Draft, Change]] = []

    def clock(self, now: vocabulary.Now) -> wire.Clock:
        """Return the wire form of a time."""
        return self._writer.clock(now)

    def put(self, event_type: str, data: wire.Data, now: vocabulary.Now, change: Change = NO_CHANGE) -> None:
        """Queue an entry, and what its transaction changes besides."""
        self._queued.append((self._writer.draft(event_type, data, now), change))

    def put_output_fault(self, detail: str, now: vocabulary.Now) -> None:
        """Queue an entry about a fault of the output."""
        self.put("output.fault", wire.Fault(clock=self.clock(now), detail=detail), now)

    def write(self, now: vocabulary.Now) -> None:
        """Record the queued entries. Call it after the rules' commands: power goes off before anything is recorded."""
        queued, self._queued = self._queued, []
        for draft, change in queued:
            admitted = self._throttle.admit([draft], now.boot_ms)
            if admitted or change != NO_CHANGE:
                self._recorder.append(admitted, change)
        due = self._throttle.due(now.boot_ms)
        if due:
            self._recorder.append(due)
