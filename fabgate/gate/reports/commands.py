"""What the collector asks of the gate: its commands, which are answered, and its nudges to fetch a roster."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.command_executor import CommandExecutor
from fabgate.gate.journal.writer import NO_CHANGE, Change
from fabgate.gate.parts import Parts
from fabgate.gate.reports.entries import EntryQueue
from fabgate.gate.reports.problems import Problems
from fabgate.gate.reports.roster import RosterReports
from fabgate.gate.uplink.commands import CommandChecker, RefusedError
from fabgate.gate.uplink.events import CommandArrived, CommandsRefused, RosterNudged
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)


class CommandReports:
    """The commands that reach one gate."""

    def __init__(
        self,
        parts: Parts,
        checker: CommandChecker,
        signal: Callable[[vocabulary.Signal], None],
        roster: RosterReports,
        entries: EntryQueue,
        problems: Problems,
    ) -> None:
        self._uplink = parts.uplink
        self._checker = checker
        self._executor = CommandExecutor(parts, signal)
        self._roster = roster
        self._entries = entries
        self._problems = problems

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Return the events for the rules that follow from an event; None for one of another source."""
        match event:
            case RosterNudged():
                self._handled(event)  # before the fetch: a nudge that arrives meanwhile asks for another one
                self._executor.fetch_roster()
                return []
            case CommandArrived(command):
                self._handled(event)
                return self._execute(command, now)
            case CommandsRefused(count, detail):
                # Their sender is unknown. If each were answered or recorded, an attacker could fill the journal.
                self._problems["command"] = f"{count} refused since the start; the last one: {detail}"
                return []
        return None

    def _handled(self, event: CommandArrived | RosterNudged) -> None:
        if self._uplink is not None:
            self._uplink.handled(event)

    def _execute(self, command: wire.Command, now: vocabulary.Now) -> list[vocabulary.Event]:
        try:
            self._checker.check(command, now)
        except RefusedError as error:
            self._answer(error.command, "refused", str(error), now)
            return []
        except UsageError as error:
            log.warning("refused a command: %s", error)
            self._problems["command"] = str(error)
            return []
        self._problems.pop("command", None)
        execution = self._executor.execute(command, now)
        self._roster.check_locks()
        self._answer(command, execution.outcome, execution.detail, now, execution.change)
        return list(execution.events)

    def _answer(
        self, command: wire.Command, outcome: str, detail: str, now: vocabulary.Now, change: Change = NO_CHANGE
    ) -> None:
        log.info("command %s by %s: %s %s", command.verb, command.actor, outcome, detail)
        data = wire.CommandExecuted(
            clock=self._entries.clock(now),
            command=command.id,
            verb=command.verb,
            outcome=outcome,
            actor=command.actor,
            reason=detail or command.reason,
        )
        self._entries.put("command.executed", data, now, change)
        if self._uplink is not None:
            self._uplink.reply(wire.Reply(id=command.id, outcome=outcome, detail=detail or None))
