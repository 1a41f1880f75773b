"""Translates the reports of the threads into events for the rules, journal entries, and the gate's list of problems."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, structs

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.command_executor import CommandExecutor
from fabgate.gate.config.gate_yaml import NO_RUN_SENSE, NO_RUN_SENSE_FOR_COLLECTOR, Config
from fabgate.gate.hardware.meter_reports import MeterFault, MeterRecovered
from fabgate.gate.hardware.reader_thread import ReaderFault, ReaderRecovered, ReaderThread
from fabgate.gate.hardware.unsteady_reader import STEADY_MS, UnsteadyReader
from fabgate.gate.journal.facts import FactWriter
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.recorder import (
    CheckpointStored,
    EntriesStored,
    JournalFailed,
    JournalRecovered,
    JournalRenewed,
    JournalReopened,
    Recorder,
)
from fabgate.gate.journal.throttle import EntryThrottle
from fabgate.gate.journal.writer import NO_CHANGE, Change, Draft, Journal
from fabgate.gate.panel.panel_thread import PanelFault, PanelRecovered
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.gate.roster.source import FileSource, RosterConfirmed, RosterRefused, RosterStored
from fabgate.gate.uplink.commands import CommandChecker, RefusedError
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import (
    CommandArrived,
    CommandsRefused,
    DeliveryProblem,
    ForkFound,
    HistoryAgrees,
    HistoryDiffers,
    LinkChanged,
    MarkMoved,
    OwnCertificate,
    RosterNudged,
)
from fabgate.gate.workers import WORKS_AFTER_MS, WorkerFailed, WorkerRestarted
from fabgate.mqtt import certificates
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)

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


class ReaderReport(Struct, frozen=True):
    """One of several readers: its state (ok or fault), what is wrong, and how many cards it has read since the start."""

    name: str
    state: str
    cards_read: int
    problem: str = ""


class Reports:
    """The reports of one gate. ``problems`` are texts for people, by key."""

    def __init__(
        self,
        config: Config,
        *,
        recorder: Recorder,
        writer: FactWriter,
        in_force: RosterInForce,
        command_checker: CommandChecker,
        source: FileSource | HttpSource,
        reader_threads: Sequence[ReaderThread],
        uplink: Uplink | None,
        signal: Callable[[vocabulary.Signal], None],
        extension_ms: Callable[[int], int | None],
        badge_keys: Mapping[str, bytes],
        throttle: EntryThrottle,
        journal_id: str,
    ) -> None:
        self._config = config
        self._recorder = recorder
        self._writer = writer
        self._in_force = in_force
        self._command_checker = command_checker
        self._executor = CommandExecutor(
            in_force=in_force, source=source, reader_threads=reader_threads, signal=signal, extension_ms=extension_ms
        )
        self._reader_threads = reader_threads
        self._uplink = uplink
        self._badge_keys = badge_keys
        self._throttle = throttle
        self._unsteady = [UnsteadyReader() for _ in reader_threads]
        #: What is wrong with a reader, by its number.
        self._reader_faults: dict[int, str] = {}
        #: How many cards each reader has read.
        self._cards_read = [0] * len(reader_threads)
        self._queued: list[tuple[Draft, Change]] = []
        #: When threads that failed were started again.
        self._restarted_ms: dict[str, int] = {}
        self._journal_problems: dict[str, str] = {}
        #: When the gate's own certificate ends, with which it connects to the broker.
        self._certificate_ends: datetime | None = None
        self.problems: dict[str, str] = {}
        self.link = LinkChanged(connected=False, problem="not connected yet")
        self.stored = EntriesStored(0, 0)
        self.journal_id = journal_id
        #: What the contacts at the load say: open, closed, or "differs" where they disagree; "" where none is wired.
        self.read_back = ""

    def translate(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event]:
        """Return the events for the rules that follow from an event of any thread."""
        if isinstance(event, _RULES_EVENTS):
            if isinstance(event, vocabulary.Presented | vocabulary.Lying):
                self._cards_read[event.reader] += 1
            return [event]
        for translate in (
            self._from_journal,
            self._from_reader,
            self._from_roster,
            self._from_network,
            self._from_others,
        ):
            events = translate(event, now)
            if events is not None:
                return events
        raise TypeError(f"found the unknown event {event!r}")

    def choose_badge_key(self) -> None:
        """Digest badges under the key that the roster in force was made with, or the first where it names none."""
        first = next(iter(self._badge_keys.values()))
        for reader in self._reader_threads:
            reader.use_key(self._badge_keys.get(self._in_force.badge_key_id or "", first))

    def check_rules(self) -> None:
        """Report rules that this gate cannot apply as they are; ``fabgate check`` reports them as mistakes."""
        rules = self._in_force.rules()
        without_grace = wire.holder_mistake(self._in_force.machine)
        self.set_problem("grace", None if without_grace is None else f"machine.{without_grace}")
        idle_off_ms = rules.idle_off_ms
        lacks_run_sense = idle_off_ms is not None and not self._config.senses_work
        text = NO_RUN_SENSE if self._config.roster.file is not None else NO_RUN_SENSE_FOR_COLLECTOR
        problem = f"machine.idle_off_s: {text.format((idle_off_ms or 0) // 1000)}"
        self.set_problem("idle-off", problem if lacks_run_sense else None)

    def check_locks(self) -> None:
        """Report locks that the collector does not know, and so cannot lift: it was restored from a copy."""
        unknown = ", ".join(f"{lock.id} ({lock.reason})" for lock in self._in_force.unnamed_locks())
        problem = f"the roster does not know of {unknown}; a lock is lifted only by its id" if unknown else None
        self.set_problem("lock", problem)

    def queue_entry(self, event_type: str, data: wire.Data, now: vocabulary.Now) -> None:
        """Queue an entry that does not concern the rules, for ``write_entries``."""
        self._queue(self._writer.draft(event_type, data, now))

    def _queue(self, draft: Draft, change: Change | None = None) -> None:
        self._queued.append((draft, change or Change()))

    def write_entries(self, now: vocabulary.Now) -> None:
        """Record the queued entries. Call it after the rules' commands: power goes off before anything is recorded."""
        queued, self._queued = self._queued, []
        for draft, change in queued:
            admitted = self._throttle.admit([draft], now.boot_ms)
            if admitted or change != NO_CHANGE:
                self._recorder.append(admitted, change)
        due = self._throttle.due(now.boot_ms)
        if due:
            self._recorder.append(due)

    def journal_problem(self, key: str, detail: str | None) -> list[vocabulary.Event]:
        """Set or remove (None) a reason not to trust the journal; the cause ends when the last reason is removed."""
        if detail is not None:
            self._journal_problems[key] = detail
            self.problems["journal"] = detail
            return [
                vocabulary.CheckpointLate(detail)
                if key == "late"
                else vocabulary.CauseRaised(vocabulary.Cause.JOURNAL, detail)
            ]
        if self._journal_problems.pop(key, None) is None or self._journal_problems:
            return []
        self.problems.pop("journal", None)
        return [vocabulary.CauseCleared(vocabulary.Cause.JOURNAL)]

    def check_certificate(self, now: vocabulary.Now) -> None:
        """Report once that the gate's own certificate must be renewed. Needs a clock that can be trusted."""
        local = now.local if now.synced else None
        problem = "" if local is None else certificates.ending(self._certificate_ends, local, "gate's own")
        if problem and "certificate" not in self.problems:
            log.warning("%s", problem)
        self.set_problem("certificate", problem or None)

    def check_readers(self, now: vocabulary.Now) -> list[vocabulary.Event]:
        """Trust readers that kept recovering again, once they have answered for long enough."""
        detail = f"the reader has answered for {STEADY_MS // 60_000} minutes"
        return [
            self._reader_works(number, detail, now)
            for number, reader in enumerate(self._reader_threads)
            if reader.is_working and self._unsteady[number].is_over(now.boot_ms, answered_ms=reader.answered_ms)
        ]

    def check_workers(self, now: vocabulary.Now) -> None:
        """Trust threads that were started again, once they have run for long enough."""
        for name, at_ms in list(self._restarted_ms.items()):
            if now.boot_ms - at_ms > WORKS_AFTER_MS:
                del self._restarted_ms[name]
                self.problems.pop(f"thread-{name}", None)

    def is_faulty(self, reader: int) -> bool:
        """Return whether a reader has a fault that was reported."""
        return reader in self._reader_faults

    @property
    def readers(self) -> tuple[ReaderReport, ...]:
        """Return what is known of each reader of a gate with several; nothing for a gate with one."""
        if len(self._reader_threads) == 1:
            return ()
        return tuple(
            self._report_of(number, self._config.reader_name(number), count)
            for number, count in enumerate(self._cards_read)
        )

    @property
    def longest_pauses_ms(self) -> tuple[int, ...]:
        """Return the longest pause between two repetitions of a badge that each reader has made."""
        return tuple(reader.longest_pause_ms for reader in self._reader_threads)

    def _report_of(self, reader: int, name: str, count: int) -> ReaderReport:
        fault = self._reader_faults.get(reader)
        if fault is None:
            return ReaderReport(name, "ok", count)
        return ReaderReport(name, "fault", count, fault.removeprefix(f"{name}: "))

    def set_problem(self, key: str, text: str | None) -> None:
        """Note a problem, or with None its end."""
        if text is None:
            self.problems.pop(key, None)
        else:
            self.problems[key] = text

    # --- one kind of event each ---------------------------------------------------------------------------------------

    def _from_journal(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        match event:
            case JournalFailed(detail):
                return self.journal_problem("failed", detail)
            case JournalRecovered():
                self.problems.pop("thread-journal", None)
                return self.journal_problem("failed", None)
            case CheckpointStored():
                return self.journal_problem("late", None)
            case EntriesStored(_, unacknowledged, token, _):
                self.stored = event
                committed: list[vocabulary.Event] = [] if token is None else [vocabulary.Committed(token)]
                return committed + self._fullness(unacknowledged)
            case JournalRenewed(journal, head):
                # There is one more unacknowledged entry than before: the one that names the fork; see
                # ``Journal.renew``.
                return self._journal_replaced(journal, head, self.stored.unacknowledged + 1)
            case JournalReopened(journal, head, unacknowledged):
                return self._journal_replaced(journal, head, unacknowledged)
            case MarkMoved(seq, generation):
                self._recorder.acknowledge(seq, generation)
                return []
            case ForkFound():
                self._recorder.fork(uuid7().replace("-", ""), lambda journal: self._forked(journal, now))
                return []
        return None

    def _journal_replaced(self, journal: str, head: int, unacknowledged: int) -> list[vocabulary.Event]:
        log.warning("the journal continues as %s from entry %d", journal, head)
        self.journal_id = journal
        self.stored = EntriesStored(head, unacknowledged)
        if self._uplink is not None:
            self._uplink.journal_replaced()
        return self._fullness(unacknowledged)

    def _fullness(self, unacknowledged: int) -> list[vocabulary.Event]:
        if self._config.mqtt is None:
            return [
                vocabulary.CauseCleared(vocabulary.Cause.JOURNAL_FULL)
            ]  # the newest entries are kept, and none waits
        most = self._config.journal.max_entries
        detail = f"{unacknowledged} of {most} entries wait for the collector"
        self.set_problem("journal-full", detail if unacknowledged >= most * 0.8 else None)
        full = unacknowledged >= most
        return [
            vocabulary.CauseRaised(vocabulary.Cause.JOURNAL_FULL, detail)
            if full
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

    def _from_reader(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        match event:
            case ReaderFault(detail, reader):
                return [self._reader_fails(reader, detail, now)]
            case ReaderRecovered(detail, reader):
                works = self._reader_works(reader, detail, now)
                unsteady = self._unsteady[reader].recovered(now.boot_ms)
                return [self._reader_fails(reader, unsteady, now)] if unsteady else [works]
        return None

    def _reader_fails(self, reader: int, detail: str, now: vocabulary.Now) -> vocabulary.Event:
        named = self._record_reader("reader.fault", reader, detail, now)
        self._reader_faults[reader] = named
        self._tell_reader_faults()
        return vocabulary.ReaderFailed(reader, named)

    def _reader_works(self, reader: int, detail: str, now: vocabulary.Now) -> vocabulary.Event:
        self._record_reader("reader.recovered", reader, detail, now)
        self._reader_faults.pop(reader, None)
        self._tell_reader_faults()
        return vocabulary.ReaderWorks(reader)

    def _record_reader(self, event_type: str, reader: int, detail: str, now: vocabulary.Now) -> str:
        """Record what happened to a reader; return it as text, with the reader's name where there are several."""
        fault = wire.ReaderFault(clock=self._writer.clock(now), detail=detail)
        if len(self._reader_threads) > 1:
            detail = f"{self._config.reader_name(reader)}: {detail}"
            fault = structs.replace(fault, detail=detail, reader=reader + 1)
        self.queue_entry(event_type, fault, now)
        return detail

    def _tell_reader_faults(self) -> None:
        faults = [self._reader_faults[reader] for reader in sorted(self._reader_faults)]
        self.set_problem("reader", "; ".join(faults) or None)

    def _meter_fault(self, name: str, detail: str) -> list[vocabulary.Event]:
        """Report a meter that cannot be read."""
        if self.problems.get(name) != detail:
            log.error("%s cannot be read: %s", name, detail)
        self.problems[name] = detail
        return [vocabulary.MeterFailed(name)]

    def _from_roster(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        match event:
            case RosterStored(version, members, adopted):
                before = self._in_force.locks
                self._in_force.reload()
                self.choose_badge_key()
                self.problems.pop("roster", None)
                self.problems.pop("roster-members", None)
                self.check_locks()
                self.check_rules()
                if adopted:
                    log.warning("a person on this gate adopted the roster version %d", version)
                clock = self._writer.clock(now)
                data = wire.RosterReplaced(clock=clock, version=version, members=members, adopted=adopted)
                locks = self._in_force.locks
                change = Change(lock=locks.to_text()) if locks != before else Change()
                self._queue(self._writer.draft("roster.replaced", data, now), change)
                return self._in_force.changed(now, members=True)
            case RosterConfirmed():
                self.problems.pop("roster", None)
                self.check_locks()
                return self._in_force.changed(now)
            case RosterRefused(reason, refused, detail):
                # Members that are kept although they vanished stay a problem until a complete roster comes.
                in_part = refused is not None and refused == self._in_force.version
                log.error("the roster was %s: %s", "accepted in part" if in_part else "refused", detail or reason)
                self.problems["roster-members" if in_part else "roster"] = reason
                rejected = wire.RosterRejected(clock=self._writer.clock(now), reason=reason[:2000], version=refused)
                self.queue_entry("roster.rejected", rejected, now)
                return []
        return None

    def _from_network(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
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
                self._handled(event)  # before the fetch: a nudge that arrives meanwhile asks for another one
                self._executor.fetch_roster()
                return []
            case CommandArrived(command):
                self._handled(event)
                return self._command(command, now)
            case DeliveryProblem(detail):
                self.set_problem("delivery", detail or None)
                return []
            case HistoryDiffers(detail):
                self.problems["fork"] = detail
                return []
            case HistoryAgrees():
                self.problems.pop("fork", None)
                return []
            case CommandsRefused(count, detail):
                # Their sender is unknown. If each were answered or recorded, an attacker could fill the journal.
                self.problems["command"] = f"{count} refused since the start; the last one: {detail}"
                return []
        return None

    def _from_others(self, event: object, now: vocabulary.Now) -> list[vocabulary.Event] | None:
        match event:
            case MeterFault(name, detail):
                return self._meter_fault(name, detail)
            case MeterRecovered(name):
                log.info("%s measures again", name)
                self.problems.pop(name, None)
                return [vocabulary.MeterWorks(name)]
            case PanelFault(name, detail):
                self.problems[name] = detail
                return []
            case PanelRecovered(name):
                self.problems.pop(name, None)
                return []
            case WorkerFailed():
                return self._worker_failed(event)
            case WorkerRestarted(name):
                self._restarted_ms[name] = now.boot_ms
                return []
        return None

    def _handled(self, event: CommandArrived | RosterNudged) -> None:
        if self._uplink is not None:
            self._uplink.handled(event)

    def _worker_failed(self, failed: WorkerFailed) -> list[vocabulary.Event]:
        self._restarted_ms.pop(failed.name, None)
        self.problems.setdefault(f"thread-{failed.name}", failed.error)  # the first error of several is the cause
        if failed.name == "journal":
            return self.journal_problem("failed", failed.error)
        if failed.name == "inputs" and self._config.inputs.estop_pin is not None:
            return [vocabulary.CauseRaised(vocabulary.Cause.ESTOP, failed.error)]
        return []

    # --- commands -----------------------------------------------------------------------------------------------------

    def _command(self, command: wire.Command, now: vocabulary.Now) -> list[vocabulary.Event]:
        try:
            self._command_checker.check(command, now)
        except RefusedError as error:
            self._answer(error.command, "refused", str(error), now)
            return []
        except UsageError as error:
            log.warning("refused a command: %s", error)
            self.problems["command"] = str(error)
            return []
        self.problems.pop("command", None)
        execution = self._executor.execute(command, now)
        self.check_locks()
        self._answer(command, execution.outcome, execution.detail, now, execution.change)
        return list(execution.events)

    def _answer(
        self, command: wire.Command, outcome: str, detail: str, now: vocabulary.Now, change: Change | None = None
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
        self._queue(self._writer.draft("command.executed", data, now), change)
        if self._uplink is not None:
            self._uplink.reply(wire.Reply(id=command.id, outcome=outcome, detail=detail or None))
