"""What do the threads report, and what does it mean for the rules?

The reader, the journal, the network and the roster's source each say what happened in their own words. Here that
becomes the rules' words, an entry where it is worth one, and a line among the gate's problems.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import NO_RUN_SENSE, Config
from fabgate.gate.journal.episodes import Episodes
from fabgate.gate.journal.facts import FactWriter
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.recorder import CheckpointKept, JournalSick, JournalWell, Recorder, Renewed, Reopened, Stored
from fabgate.gate.journal.writer import NO_CHANGE, Change, Draft, Journal
from fabgate.gate.reader_thread import ReaderFault, ReaderRecovered, Sensing
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.in_force import Standing
from fabgate.gate.roster.origin import of_collector
from fabgate.gate.roster.source import FileSource, RosterConfirmed, RosterRefused, RosterStored
from fabgate.gate.unsteady_reader import STEADY_MS, Unsteady
from fabgate.gate.uplink.commands import CommandDesk, RefusedError
from fabgate.gate.uplink.connection import (
    CommandArrived,
    CommandsRefused,
    ForkFound,
    HistoryAgrees,
    HistoryDiffers,
    LinkChanged,
    MarkMoved,
    OwnCertificate,
    RosterNudged,
    Uplink,
)
from fabgate.gate.workers import WorkerFailed, WorkerRestarted
from fabgate.mqtt import certificates
from fabgate.rules import vocabulary as w

log = logging.getLogger(__name__)

_RULES_OWN = (
    w.Presented,
    w.Lying,
    w.Removed,
    w.Misread,
    w.StopPressed,
    w.Running,
    w.FlagPressed,
    w.CauseRaised,
    w.CauseCleared,
    w.CheckpointLate,
    w.RosterChanged,
    w.Extend,
    w.Committed,
    w.Tick,
)


class Reports:
    """The translator of one gate. ``problems`` are what a person should know, by key."""

    def __init__(
        self,
        config: Config,
        *,
        recorder: Recorder,
        writer: FactWriter,
        standing: Standing,
        desk: CommandDesk,
        source: FileSource | HttpSource,
        sensing: Sensing,
        signal: Callable[[w.Signal], None],
        extension_ms: Callable[[int], int | None],
        badge_keys: Mapping[str, bytes],
        episodes: Episodes,
    ) -> None:
        self._config = config
        self._recorder = recorder
        self._writer = writer
        self._standing = standing
        self._desk = desk
        self._source = source
        self._sensing = sensing
        self._signal = signal
        self._extension_ms = extension_ms
        self._badge_keys = badge_keys
        self._episodes = episodes
        self._unsteady = Unsteady()
        self._notes: list[tuple[Draft, Change]] = []
        self._journal_problems: dict[str, str] = {}
        self.uplink: Uplink | None = None
        self.problems: dict[str, str] = {}
        self.link = LinkChanged(connected=False, problem="not connected yet")
        #: Of the gate's own certificate, with which it connects to the broker.
        self._certificate_ends: datetime | None = None
        self.stored = Stored(0, 0)
        self.journal_id = ""

    def translate(self, event: object, now: w.Now) -> list[w.Event]:
        """Return what the rules are told of an event."""
        if isinstance(event, _RULES_OWN):
            return [event]
        for of_kind in (self._of_journal, self._of_reader, self._of_roster, self._of_network):
            answer = of_kind(event, now)
            if answer is not None:
                return answer
        if isinstance(event, WorkerFailed):
            return self._worker_failed(event)
        if isinstance(event, WorkerRestarted):
            self.problems.pop(f"thread-{event.name}", None)
            return []
        raise TypeError(f"nobody knows what {event!r} means")

    def choose_badge_key(self) -> None:
        """Digest badges under the key that the roster in force was made with; without a word of it, the first."""
        first = next(iter(self._badge_keys.values()))
        self._sensing.use_key(self._badge_keys.get(self._standing.badge_key_id or "", first))

    def look_at_rules(self) -> None:
        """Report rules that this gate cannot keep as they are written: ``fabgate check`` calls them mistakes."""
        rules = self._standing.rules()
        without_grace = wire.holder_mistake(self._standing.machine)
        if without_grace is not None:
            self.problems["grace"] = f"machine.{without_grace}"
        else:
            self.problems.pop("grace", None)
        idle_off_ms = rules.idle_off_ms
        if idle_off_ms is not None and self._config.inputs.running_pin is None:
            self.problems["idle-off"] = f"machine.idle_off_s: {NO_RUN_SENSE.format(idle_off_ms // 1000)}"
        else:
            self.problems.pop("idle-off", None)

    def look_at_locks(self) -> None:
        """Tell of locks that nobody may know how to take off: a collector restored from a copy has forgotten them."""
        found = ", ".join(f"{lock.id} ({lock.reason})" for lock in self._standing.unnamed_locks())
        if found:
            self.problems["lock"] = f"the roster does not know of {found}; a lock falls only when its id is named"
        else:
            self.problems.pop("lock", None)

    def note(self, event_type: str, data: wire.Data, now: w.Now) -> None:
        """Put down something that the rules need not know; ``write`` records it."""
        self._note(self._writer.draft(event_type, data, now))

    def _note(self, draft: Draft, change: Change | None = None) -> None:
        self._notes.append((draft, change or Change()))

    def write(self, now: w.Now) -> None:
        """Record what was put down. Called once the rules' orders are carried out: off comes before any record."""
        notes, self._notes = self._notes, []
        for draft, change in notes:
            admitted = self._episodes.admit([draft], now.boot_ms)
            if admitted or change != NO_CHANGE:
                self._recorder.append(admitted, change)
        due = self._episodes.due(now.boot_ms)
        if due:
            self._recorder.append(due)

    def journal_problem(self, key: str, detail: str | None) -> list[w.Event]:
        """Note or (with None) drop a reason why the journal cannot be relied on; the cause follows the last one."""
        if detail is not None:
            self._journal_problems[key] = detail
            self.problems["journal"] = detail
            return [w.CheckpointLate(detail) if key == "late" else w.CauseRaised(w.Cause.JOURNAL, detail)]
        if self._journal_problems.pop(key, None) is None or self._journal_problems:
            return []
        self.problems.pop("journal", None)
        return [w.CauseCleared(w.Cause.JOURNAL)]

    # --- one kind each ------------------------------------------------------------------------------------------------

    def _of_journal(self, event: object, now: w.Now) -> list[w.Event] | None:
        match event:
            case JournalSick(detail):
                return self.journal_problem("sick", detail)
            case JournalWell():
                self.problems.pop("thread-journal", None)
                return self.journal_problem("sick", None)
            case CheckpointKept():
                return self.journal_problem("late", None)
            case Stored(_, unacknowledged, token, _):
                self.stored = event
                confirmed: list[w.Event] = [] if token is None else [w.Committed(token)]
                return confirmed + self._fullness(unacknowledged)
            case Renewed(journal, head):
                # One more waits than before: the entry that names the fork; see ``Journal.renew``.
                return self._goes_on(journal, head, self.stored.unacknowledged + 1)
            case Reopened(journal, head, unacknowledged):
                return self._goes_on(journal, head, unacknowledged)
            case MarkMoved(seq, generation):
                self._recorder.acknowledge(seq, generation)
                return []
            case ForkFound():
                self._recorder.fork(uuid7().replace("-", ""), lambda journal: self._forked(journal, now))
                return []
        return None

    def _goes_on(self, journal: str, head: int, unacknowledged: int) -> list[w.Event]:
        log.warning("the journal goes on as %s from entry %d", journal, head)
        self.journal_id = journal
        self.stored = Stored(head, unacknowledged)
        if self.uplink is not None:
            self.uplink.renewed()
        return self._fullness(unacknowledged)

    def _fullness(self, unacknowledged: int) -> list[w.Event]:
        if self._config.mqtt is None:
            return [w.CauseCleared(w.Cause.JOURNAL_FULL)]  # the newest are kept, and nothing waits
        most = self._config.journal.max_entries
        detail = f"{unacknowledged} of {most} entries wait for the collector"
        if unacknowledged >= most * 0.8:
            self.problems["journal-full"] = detail
        else:
            self.problems.pop("journal-full", None)
        full = unacknowledged >= most
        return [w.CauseRaised(w.Cause.JOURNAL_FULL, detail) if full else w.CauseCleared(w.Cause.JOURNAL_FULL)]

    def _forked(self, journal: Journal, now: w.Now) -> Draft:
        data = wire.JournalForked(
            clock=self._writer.clock(now),
            journal=journal.id,
            floor=journal.floor,
            head=journal.head,
            mark=journal.mark,
        )
        return self._writer.draft("journal.forked", data, now)

    def _of_reader(self, event: object, now: w.Now) -> list[w.Event] | None:
        match event:
            case ReaderFault(detail):
                return self._reader_fault(detail, now)
            case ReaderRecovered(detail):
                self.note("reader.recovered", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
                unsteady = self._unsteady.recovered(now.boot_ms)
                if unsteady:
                    return self._reader_fault(unsteady, now)
                self.problems.pop("reader", None)
                return [w.CauseCleared(w.Cause.READER)]
        return None

    def _reader_fault(self, detail: str, now: w.Now) -> list[w.Event]:
        self.note("reader.fault", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
        self.problems["reader"] = detail
        return [w.CauseRaised(w.Cause.READER, detail)]

    def look_at_certificate(self, now: w.Now) -> None:
        """Say that the gate's own certificate is to be renewed, as soon as it is; by a clock that can be trusted."""
        local = now.local if now.synced else None
        said = "" if local is None else certificates.ending(self._certificate_ends, local, "gate's own")
        if said and "certificate" not in self.problems:
            log.warning("%s", said)
        if said:
            self.problems["certificate"] = said
        else:
            self.problems.pop("certificate", None)

    def look_at_reader(self, now: w.Now) -> list[w.Event]:
        """Believe a reader that kept recovering once it has answered for long enough."""
        sensing = self._sensing
        if not (sensing.well and self._unsteady.is_over(now.boot_ms, looked_at_ms=sensing.looked_at_ms)):
            return []
        detail = f"the reader has answered for {STEADY_MS // 60_000} minutes"
        self.note("reader.recovered", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
        self.problems.pop("reader", None)
        return [w.CauseCleared(w.Cause.READER)]

    def _of_roster(self, event: object, now: w.Now) -> list[w.Event] | None:
        match event:
            case RosterStored(version, members, adopted):
                before = self._standing.locked
                self._standing.reload()
                self.choose_badge_key()
                self.problems.pop("roster", None)
                self.problems.pop("roster-members", None)
                self.look_at_locks()
                self.look_at_rules()
                if adopted:
                    log.warning("a person on this gate adopted the roster version %d", version)
                clock = self._writer.clock(now)
                data = wire.RosterReplaced(clock=clock, version=version, members=members, adopted=adopted)
                locked = self._standing.locked
                change = Change(lock=locked.to_text()) if locked != before else Change()
                self._note(self._writer.draft("roster.replaced", data, now), change)
                return self._standing.changed(now, members=True)
            case RosterConfirmed():
                self.problems.pop("roster", None)
                self.look_at_locks()
                return self._standing.changed(now)
            case RosterRefused(reason, refused, detail):
                # Members that are kept although they vanished stay a problem until a roster comes without that.
                kept = refused is not None and refused == self._standing.version
                log.error("the roster was %s: %s", "taken in part" if kept else "not taken", detail or reason)
                self.problems["roster-members" if kept else "roster"] = reason
                rejected = wire.RosterRejected(clock=self._writer.clock(now), reason=reason[:2000], version=refused)
                self.note("roster.rejected", rejected, now)
                return []
        return None

    def _of_network(self, event: object, now: w.Now) -> list[w.Event] | None:
        match event:
            case LinkChanged(_, problem):
                if problem and problem != self.link.problem:
                    log.warning("no connection to the broker: %s", problem)
                self.link = event
                return []
            case OwnCertificate(ends):
                self._certificate_ends = ends
                return []
            case RosterNudged():
                self._taken(event)  # before the roster is asked for: a nudge that comes meanwhile is another one
                self._fetch()
                return []
            case CommandArrived(command):
                self._taken(event)
                return self._command(command, now)
            case HistoryDiffers(detail):
                self.problems["fork"] = detail
                return []
            case HistoryAgrees():
                self.problems.pop("fork", None)
                return []
            case CommandsRefused(count, detail):
                # Whoever sent them is not known: no answer, no entry, or the journal could be filled from afar.
                self.problems["command"] = f"{count} refused since the start; the last one: {detail}"
                return []
        return None

    def _taken(self, event: CommandArrived | RosterNudged) -> None:
        if self.uplink is not None:
            self.uplink.taken(event)

    def _worker_failed(self, failed: WorkerFailed) -> list[w.Event]:
        self.problems[f"thread-{failed.name}"] = failed.error
        if failed.name == "journal":
            return self.journal_problem("sick", failed.error)
        if failed.name == "inputs" and self._config.inputs.estop_pin is not None:
            return [w.CauseRaised(w.Cause.ESTOP, failed.error)]
        return []

    # --- commands -----------------------------------------------------------------------------------------------------

    def _command(self, command: wire.Command, now: w.Now) -> list[w.Event]:
        try:
            self._desk.check(command, now)
        except RefusedError as error:
            self._answer(error.command, "refused", str(error), now)
            return []
        except UsageError as error:
            log.warning("refused a command: %s", error)
            self.problems["command"] = str(error)
            return []
        self.problems.pop("command", None)
        events, change, outcome = self._obey(command, now)
        self._answer(command, *outcome, now, change)
        return events

    def _obey(self, command: wire.Command, now: w.Now) -> tuple[list[w.Event], Change, tuple[str, str]]:
        done = ("done", "")
        match command.verb:
            case "lock" | "unlock":
                assert command.lock is not None
                assert command.roster is not None
                locked = self._standing.locked.by_command(
                    command.verb,
                    command.lock,
                    command.roster,
                    self._standing.version,
                    source="" if command.collector is None else of_collector(command.collector),
                    roster_source=self._standing.source,
                )
                if locked is None and self._standing.locked.agrees(command.verb, command.lock):
                    return [], Change(), ("done", "the roster had said so already")
                if locked is None:
                    return [], Change(), ("refused", "a newer roster or command has said otherwise")
                self._standing.locked = locked
                self.look_at_locks()
                self._fetch()
                if command.verb == "unlock" and locked.lock is not None:
                    done = ("done", f"still locked: {locked.lock.reason}")
                return self._standing.changed(now), Change(lock=locked.to_text()), done
            case "stop":
                return [w.StopPressed(actor=command.actor)], Change(), done
            case "extend":
                return self._extend((command.seconds or 0) * 1000, command.actor)
            case "fetch-roster":
                self._fetch()
            case "identify":
                self._signal(w.Signal(w.SignalKind.IDENTIFY, detail=command.actor))
            case "clear-fault":
                # Only the reader: an output or a welded contactor needs a maintainer's eyes on site.
                self._sensing.reopen()
        return [], Change(), done

    def _extend(self, by_ms: int, actor: str) -> tuple[list[w.Event], Change, tuple[str, str]]:
        given_ms = self._extension_ms(by_ms)
        if given_ms is None:
            return [], Change(), ("refused", "no session runs that could get more time")
        if given_ms <= 0:
            return [], Change(), ("refused", "the session may last no longer: it has its longest time already")
        part = "" if given_ms == by_ms else f"{given_ms // 1000} s of {by_ms // 1000} s: a session gets no more"
        return [w.Extend(by_ms, actor)], Change(), ("done", part)

    def _answer(
        self, command: wire.Command, outcome: str, detail: str, now: w.Now, change: Change | None = None
    ) -> None:
        log.info("command %s by %s: %s %s", command.verb, command.actor, outcome, detail)
        data = wire.CommandExecuted(
            clock=self._writer.clock(now),
            command=command.id,
            verb=command.verb,
            outcome=outcome,
            actor=command.actor,
            reason=detail or command.reason,
        )
        self._note(self._writer.draft("command.executed", data, now), change)
        if self.uplink is not None:
            self.uplink.reply(wire.Reply(id=command.id, outcome=outcome, detail=detail or None))

    def _fetch(self) -> None:
        if isinstance(self._source, HttpSource):
            self._source.fetch_now()
