"""An observer of the machine's plug and of the journal, who knows nothing of the gate's inside.

It follows each command as the daemon would carry it out, measures power and work with a clock of its own, and objects
to everything that the two rules, the design of sessions or the counting of minutes forbid.
"""

from __future__ import annotations

from fabgate.rules import vocabulary

START_MS = 3_000


def check_off_first(commands: list[vocabulary.Command]) -> None:
    """Check that an answer that switches off does so first and once, and does not switch on as well."""
    switches = [
        (place, command.on) for place, command in enumerate(commands) if isinstance(command, vocabulary.SetPower)
    ]
    if any(not on for _, on in switches):
        assert switches == [(0, False)], f"off is not the first command, or not the only switch: {commands}"
    assert len(switches) <= 1, f"one answer switches twice: {commands}"


class Observer:
    """Watches one machine. In audit mode, where no power shows it, a session counts from when the gate is active."""

    def __init__(self) -> None:
        self.level = False
        self.records: dict[int, vocabulary.Record] = {}
        self.tapped_at: dict[str, int] = {}
        self.open: str | None = None
        self.ended: set[str] = set()
        self.started: dict[str, vocabulary.Started] = {}
        self.on_since: int | None = None
        self.worked_ms = 0
        self.counted_ms = 0
        self.counted_work_ms = 0

    def passed(self, ms: int, *, works: bool) -> None:
        """Note that the machine spent `ms` as it was, working or not."""
        if self.on_since is not None and works:
            self.worked_ms += ms

    def took_over(self, at_ms: int) -> None:
        """Note that a session of audit mode became active, where no pin shows it."""
        self._begins(at_ms)

    def watch(self, event: vocabulary.Event, commands: list[vocabulary.Command], at_ms: int, *, audit: bool) -> None:
        """Check the commands that answer one event."""
        check_off_first(commands)
        for command in commands:
            if isinstance(command, vocabulary.SetPower):
                if command.on:
                    assert not audit, "audit mode switches nothing"
                    self._rises(event, at_ms)
                self.level = command.on
            elif isinstance(command, vocabulary.Record):
                self._records(event, command, at_ms, audit=audit)

    def _rises(self, event: vocabulary.Event, at_ms: int) -> None:
        assert not self.level, "switched on twice"
        assert isinstance(event, vocabulary.Committed), "power without the journal's confirmation"
        (started,) = (fact for fact in self.records[event.token].facts if isinstance(fact, vocabulary.Started))
        assert started.energised_from_ms is None, "power must have been on in a handover"
        assert self.open == started.session, "power for a session that is over"
        assert at_ms - self.tapped_at[started.session] <= START_MS, "power long after the tap"
        self._begins(at_ms)

    def _begins(self, at_ms: int) -> None:
        self.on_since = at_ms
        self.worked_ms = self.counted_ms = self.counted_work_ms = 0

    def _records(self, event: vocabulary.Event, record: vocabulary.Record, at_ms: int, *, audit: bool) -> None:
        assert record.token not in self.records
        assert record.token > max(self.records, default=0)
        assert record.facts
        self.records[record.token] = record
        for fact in record.facts:
            if isinstance(fact, vocabulary.Started):
                self._started(event, fact, at_ms)
            elif isinstance(fact, vocabulary.Ended):
                self._ended(fact)
            elif isinstance(fact, vocabulary.Refused):
                assert fact.reasons
        if self.open is None and self.on_since is not None:
            # The chain of sessions that shared one stretch of power is over.
            assert audit or not self.level, "recorded before the power was off"
            assert self.counted_ms == at_ms - self.on_since, "a millisecond is lost or invented"
            assert self.counted_work_ms == self.worked_ms, "work is lost or invented"
            self.on_since = None

    def _started(self, event: vocabulary.Event, fact: vocabulary.Started, at_ms: int) -> None:
        assert self.open is None, "two sessions own the machine"
        assert fact.session not in self.started, "an id twice"
        assert (fact.energised_from_ms is None) is (self.on_since is None)
        self.started[fact.session] = fact
        self.open = fact.session
        if fact.continues is None:
            assert isinstance(event, vocabulary.Presented), "a session without a tap"
            self.tapped_at[fact.session] = at_ms

    def _ended(self, fact: vocabulary.Ended) -> None:
        assert self.open == fact.session, "an end without a session"
        assert fact.session not in self.ended, "ended twice"
        assert 0 <= fact.running_ms <= fact.energised_ms
        if self.on_since is None:
            assert fact.energised_ms == 0, "minutes without power"
        self.ended.add(fact.session)
        self.open = None
        self.counted_ms += fact.energised_ms
        self.counted_work_ms += fact.running_ms
