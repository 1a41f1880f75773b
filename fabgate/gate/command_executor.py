"""Executes the commands of the collector that were accepted: what each changes, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from fabgate import wire
from fabgate.gate.journal.writer import Change
from fabgate.gate.parts import Parts
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.origin import of_collector
from fabgate.rules import vocabulary


class Execution(msgspec.Struct, frozen=True):
    """The result of a command: events for the rules, what the journal stores, and the answer."""

    outcome: str = "done"
    detail: str = ""
    events: tuple[vocabulary.Event, ...] = ()
    change: Change = Change()


def _refused(detail: str) -> Execution:
    return Execution("refused", detail)


class CommandExecutor:
    """Executes the commands of one gate. `signal` shows a signal that a command asks for."""

    def __init__(self, parts: Parts, signal: Callable[[vocabulary.Signal], None]) -> None:
        self._in_force = parts.roster.in_force
        self._source = parts.roster.source
        self._readers = parts.hardware.readers
        self._signal = signal
        self._rules = parts.rules

    def execute(self, command: wire.Command, now: vocabulary.Now) -> Execution:
        """Execute a command that ``CommandChecker`` has accepted."""
        match command.verb:
            case "lock" | "unlock":
                return self._lock_or_unlock(command, now)
            case "stop":
                return Execution(events=(vocabulary.StopPressed(actor=command.actor),))
            case "extend":
                return self._extend((command.seconds or 0) * 1000, command.actor)
            case "fetch-roster":
                self.fetch_roster()
            case "identify":
                self._signal(vocabulary.Signal(vocabulary.SignalKind.IDENTIFY, detail=command.actor))
            case "clear-fault":
                # Only readers can be reopened: an output fault or a welded contactor needs a maintainer at the machine.
                for reader in self._readers:
                    reader.reopen()
        return Execution()

    def fetch_roster(self) -> None:
        """Fetch the roster now, if it comes from a collector."""
        if isinstance(self._source, HttpSource):
            self._source.fetch_now()

    def _lock_or_unlock(self, command: wire.Command, now: vocabulary.Now) -> Execution:
        assert command.lock is not None
        assert command.roster is not None
        assert command.collector is not None
        locks = self._in_force.locks.by_command(
            command.verb,
            command.lock,
            command.roster,
            self._in_force.version,
            source=of_collector(command.collector),
            roster_source=self._in_force.source,
        )
        if locks is None and self._in_force.locks.agrees(command.verb, command.lock):
            return Execution(detail="the roster had done this already")
        if locks is None:
            return _refused("a newer roster or command overrules it")
        self._in_force.locks = locks
        self.fetch_roster()
        still_locked = command.verb == "unlock" and locks.lock is not None
        return Execution(
            detail=f"still locked: {locks.lock.reason}" if still_locked and locks.lock else "",
            events=tuple(self._in_force.changed(now)),
            change=Change(lock=locks.to_text()),
        )

    def _extend(self, by_ms: int, actor: str) -> Execution:
        given_ms = self._rules.extension_ms(by_ms)
        if given_ms is None:
            return _refused("no session is running that could be extended")
        if given_ms <= 0:
            return _refused("the session has its longest time already, or its end has begun")
        detail = (
            ""
            if given_ms == by_ms
            else f"{given_ms // 1000} s of {by_ms // 1000} s: the session then has its longest time"
        )
        return Execution(detail=detail, events=(vocabulary.Extend(by_ms, actor),))
