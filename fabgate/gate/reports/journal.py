"""What the journal's thread reports, and what the collector says about this journal."""

from __future__ import annotations

import logging

from fabgate import wire
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.recorder import (
    CheckpointStored,
    EntriesStored,
    JournalFailed,
    JournalRecovered,
    JournalRenewed,
    JournalReopened,
)
from fabgate.gate.journal.writer import Draft, Journal
from fabgate.gate.parts import Parts
from fabgate.gate.reports.problems import Problems
from fabgate.gate.uplink.events import ForkFound, MarkMoved
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)


class JournalReports:
    """The reports about one gate's journal."""

    def __init__(self, parts: Parts, problems: Problems) -> None:
        self._writer = parts.recording.writer
        self._recorder = parts.recording.recorder
        self._uplink = parts.uplink
        #: How many entries may wait for a collector; None for a gate without one.
        self._most = None if parts.config.mqtt is None else parts.config.journal.max_entries
        self._problems = problems
        #: Why the journal is not to be trusted.
        self._reasons: dict[str, str] = {}
        self.id = parts.recording.journal
        self.stored = EntriesStored(0, 0)

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Return the events for the rules that follow from an event; None for one of another source."""
        match event:
            case JournalFailed(detail):
                return self.note_problem("failed", detail)
            case JournalRecovered():
                self._problems.pop("thread-journal", None)
                return self.note_problem("failed", None)
            case CheckpointStored():
                return self.note_problem("late", None)
            case EntriesStored(_, unacknowledged, token, _):
                self.stored = event
                committed: list[vocabulary.Event] = [] if token is None else [vocabulary.Committed(token)]
                return committed + self._fullness(unacknowledged)
            case JournalRenewed(journal, head):
                # There is one more unacknowledged entry than before: the one that names the fork; see
                # ``Journal.renew``.
                return self._replaced(journal, head, self.stored.unacknowledged + 1)
            case JournalReopened(journal, head, unacknowledged):
                return self._replaced(journal, head, unacknowledged)
            case MarkMoved(seq, generation):
                self._recorder.acknowledge(seq, generation)
                return []
            case ForkFound():
                self._recorder.fork(uuid7().replace("-", ""), lambda journal: self._forked(journal, now))
                return []
        return None

    def note_problem(self, key: str, detail: str | None) -> list[vocabulary.Event]:
        """Set or remove (None) a reason not to trust the journal; the cause ends when the last reason is removed."""
        if detail is not None:
            self._reasons[key] = detail
            self._problems["journal"] = detail
            return [
                vocabulary.CheckpointLate(detail)
                if key == "late"
                else vocabulary.CauseRaised(vocabulary.Cause.JOURNAL, detail)
            ]
        if self._reasons.pop(key, None) is None or self._reasons:
            return []
        self._problems.pop("journal", None)
        return [vocabulary.CauseCleared(vocabulary.Cause.JOURNAL)]

    def _replaced(self, journal: str, head: int, unacknowledged: int) -> list[vocabulary.Event]:
        log.warning("the journal continues as %s from entry %d", journal, head)
        self.id = journal
        self.stored = EntriesStored(head, unacknowledged)
        if self._uplink is not None:
            self._uplink.journal_replaced()
        return self._fullness(unacknowledged)

    def _fullness(self, unacknowledged: int) -> list[vocabulary.Event]:
        most = self._most
        if most is None:  # the newest entries are kept, and none waits
            return [vocabulary.CauseCleared(vocabulary.Cause.JOURNAL_FULL)]
        detail = f"{unacknowledged} of {most} entries wait for the collector"
        self._problems.note("journal-full", detail if unacknowledged >= most * 0.8 else None)
        return [
            vocabulary.CauseRaised(vocabulary.Cause.JOURNAL_FULL, detail)
            if unacknowledged >= most
            else vocabulary.CauseCleared(vocabulary.Cause.JOURNAL_FULL)
        ]

    def _forked(self, journal: Journal, now: vocabulary.Now) -> Draft:
        data = wire.JournalForked(
            clock=self._writer.clock(now),
            journal=journal.id,
            floor=journal.floor,
            head=journal.head,
            mark=journal.mark,
        )
        return self._writer.draft("journal.forked", data, now)
