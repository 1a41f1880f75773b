"""The gate: what happens is put in one inbox, the rules are asked, and what they order is done, in order.

Only this thread touches state and power. It waits for nothing but its inbox and the next deadline: the disk, the
reader and the network each have a thread that posts. An error in this loop means power off, exit, and a restart by
systemd; nothing is switched on by starting.

Start order: output claimed at its safe level → journal opened, an unfinished session closed with its uncertainty →
roster → reader → uplink.
"""

from __future__ import annotations

import fcntl
import logging
import signal
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, Final
from zoneinfo import ZoneInfo

import fabgate
from fabgate import wire
from fabgate.drivers.outputs import Output
from fabgate.drivers.readers import Reader
from fabgate.errors import FabgateError, HardwareError, JournalError, UsageError
from fabgate.gate import messages, systemd
from fabgate.gate.clock import Clock
from fabgate.gate.config import Config, make_driver
from fabgate.gate.facts import FactWriter, close_unfinished, wall_floor
from fabgate.gate.ids import uuid7
from fabgate.gate.journal import Change, Connect, Journal, plain_connect
from fabgate.gate.journal import Reader as JournalReader
from fabgate.gate.keys import badge_key
from fabgate.gate.notices import Notices
from fabgate.gate.people import machine_rules
from fabgate.gate.recorder import CheckpointKept, JournalSick, JournalWell, Recorder, Stored
from fabgate.gate.roster import Directory
from fabgate.gate.roster_source import FileSource, RosterRefused, RosterStored
from fabgate.gate.sensing import ReaderFault, ReaderRecovered, Sensing
from fabgate.gate.status import StatusFile
from fabgate.gate.uplink import LinkChanged, MarkMoved, Uplink
from fabgate.gate.workers import WorkerFailed, Workers
from fabgate.rules import words as w
from fabgate.rules.session import Gate

log = logging.getLogger(__name__)

CHECK_MS: Final = 1_000
#: A contactor that is closed this long after it was told to open has welded.
WELDED_MS: Final = 500
#: A checkpoint that is not on disk after this long: the disk hangs, and a session must not run on unrecorded.
CHECKPOINT_LATE_MS: Final = 60_000
#: A reader whose look takes this long hangs.
READER_LATE_MS: Final = 5_000
CLOCK_STEP: Final = timedelta(seconds=1)
JOURNAL_RETRY_S: Final = 2.0
STOP_S: Final = 2.5


class Daemon:
    """One gate. Drivers, clock and the database's `connect` can be given for tests; else the configuration decides."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        output: Output | None = None,
        reader: Reader | None = None,
        connect: Connect = plain_connect,
        notify: Callable[..., None] = systemd.notify,
    ) -> None:
        self._config = config
        self._notify = notify
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._clock = clock or Clock(config.clock.source)
        self._output = output or make_driver("output", config.output)
        self._reader = reader or make_driver("reader", config.reader)
        self._journal = Journal(config.state_dir / "journal.db", config.topics, connect=connect)
        self._workers = Workers(self.post)
        self._recorder = Recorder(self._journal, self.post, keep=self._keep_journal)
        self._notices = Notices(config.panel)
        self._status_file = StatusFile(config.state_dir / "status.json")
        self._emergency = {entry.digest: w.Emergency(entry.label) for entry in config.emergency_badges}
        self._directory: Directory | None = None
        self._badge_key = b""
        self._uplink: Uplink | None = None
        self._writer: FactWriter
        self._gate: Gate
        self._sensing: Sensing
        self._source: FileSource
        self._stopping = False
        self._stop_reason = ""
        self._on = False
        self._on_changed_ms = 0
        self._checkpoint_asked: int | None = None
        self._journal_problems: set[str] = set()
        self._problems: dict[str, str] = {}
        self._link = LinkChanged(connected=False, problem="not connected yet")
        self._stored = Stored(0, 0)
        self._wall_minus_boot = timedelta()
        self._synced = False
        self._told: Any = None
        self._lock_file: Any = None

    # --- life ---------------------------------------------------------------------------------------------------------

    def post(self, event: object) -> None:
        """Put an event into the inbox; any thread may."""
        self._inbox.put(event)

    def stop(self, reason: str = "asked to stop") -> None:
        """Ask the loop to end in order; any thread and any signal handler may."""
        self._stop_reason = reason
        self.post(w.Stopping())

    def run(self) -> int:
        """Run until asked to stop; return the exit code. Whatever happens, the output is off when this returns."""
        try:
            self._claim_state_dir()
            self._output.open()
            self._workers.start("panel", self._notices.run)
            self._workers.start("status", self._status_file.run)
            if self._open_journal():
                self._start()
                self._loop()
            return 0
        finally:
            self._output.set(on=False)
            self._end()

    def handle_signals(self) -> None:
        """End in order on SIGTERM and SIGINT. Python does nothing by itself on SIGTERM, and the pin would stay."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda found, _frame: self.stop(signal.Signals(found).name))

    def _claim_state_dir(self) -> None:
        self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = (self._config.state_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{self._config.state_dir}: another fabgate runs on this state directory; stop it first"
            ) from error

    def _open_journal(self) -> bool:
        """Open the journal, however long the disk takes to recover; say whether to go on. The output is off."""
        told = False
        while True:
            try:
                self._journal.open()
                self._journal.keep_reserve()
                self._close_unfinished()
            except JournalError as error:
                self._journal.close()
                if not told:
                    told = True
                    log.error("%s", error)
                    self._notices.show(messages.notice(w.Signal(w.SignalKind.BLOCKED, detail="journal"), ""))
                    self._write_blocked_status(str(error))
            else:
                return True
            self._notify("STATUS=blocked: the journal cannot be opened", "WATCHDOG=1")
            try:
                event = self._inbox.get(timeout=JOURNAL_RETRY_S)
            except Empty:
                continue
            if isinstance(event, w.Stopping):
                return False

    def _close_unfinished(self) -> None:
        """Close the session that the last run left open, and say that this run began: one transaction."""
        self._clock.floor = wall_floor(self._journal.last_time_ms())
        self._writer = FactWriter(
            boot=self._clock.boot,
            new_uid=uuid7,
            checkpoint_ms=self._config.journal.checkpoint_s * 1000,
            roster=lambda: self._directory.version if self._directory else 0,
        )
        now = self._clock.now()
        clock = self._writer.clock(now)
        drafts = [self._writer.draft("gate.started", wire.GateStarted(clock=clock, version=fabgate.__version__), now)]
        left = self._journal.open_session()
        closes: frozenset[str] = frozenset()
        if left is not None:
            ended = close_unfinished(left, boot=self._clock.boot, boot_ms=now.boot_ms, clock=clock)
            log.warning(
                "the session %s of %s was left open: closed as %s with %d ms and an uncertainty of %d ms",
                ended.session,
                ended.member,
                ended.reason,
                ended.energised_ms,
                ended.uncertainty_ms,
            )
            drafts.append(self._writer.draft("session.ended", ended, now))
            closes = frozenset({left.session})
            self._problems["last-session"] = f"{ended.reason}"
        head = self._journal.append(drafts, Change(closes=closes))
        self._stored = Stored(head, self._journal.unacknowledged)

    def _start(self) -> None:
        config = self._config
        self._badge_key = badge_key(config)
        fallback = config.machine.rules()
        self._source = FileSource(
            config.roster.file or config.state_dir / "none",
            config.state_dir / "roster.db",
            self.post,
            badge_key=self._badge_key,
            topics=config.topics,
            fallback=fallback,
        )
        self._gate = Gate(
            self._look_up,
            machine_rules(fallback),
            new_id=uuid7,
            run_sense=config.inputs.running_pin is not None,
            continuous=self._reader.continuous,
            checkpoint_ms=config.journal.checkpoint_s * 1000,
            latched=self._journal.latched(),
        )
        self._open_directory()
        if self._directory is not None:
            self.post(w.RosterChanged(machine_rules(self._directory.machine)))
        self._sensing = Sensing(self._reader, self.post, badge_key=self._badge_key, boot_ms=self._clock.boot_ms)
        self._workers.start("journal", self._recorder.run)
        self._workers.start("roster", self._source.run)
        self._workers.start("reader", self._sensing.run)
        if config.mqtt is not None:
            self._uplink = Uplink(config, JournalReader(self._journal.path), self.post)
            self._workers.start("network", self._uplink.run_network)
            self._workers.start("uplink", self._uplink.run)
        self._wall_minus_boot = self._clock.wall_minus_boot()
        self._watch_clock(self._clock.now())
        self._tell()
        self._notify("READY=1", "STATUS=idle")
        log.info("ready: %s, journal %s at entry %d", config.topics.account, self._journal.id, self._stored.head)

    def _loop(self) -> None:
        feed_s = systemd.watchdog_s()
        while not self._stopping:
            try:
                event = self._inbox.get(timeout=self._timeout_s(feed_s))
            except Empty:
                event = w.Tick()
            now = self._clock.now()
            self._take(event, now)
            self._check(now)
            self._notify("WATCHDOG=1")

    def _timeout_s(self, feed_s: float | None) -> float:
        wait_ms = CHECK_MS if feed_s is None else min(CHECK_MS, round(feed_s * 1000))
        deadline = self._gate.deadline()
        if deadline is not None:
            wait_ms = min(wait_ms, max(0, deadline - self._clock.boot_ms()))
        return wait_ms / 1000

    def _end(self) -> None:
        self._notify("STOPPING=1")
        for part in (self._uplink, getattr(self, "_sensing", None), getattr(self, "_source", None)):
            if part is not None:
                part.stop()
        self._recorder.stop()
        self._notices.stop()
        self._status_file.stop()
        left = self._workers.stop(timeout_s=STOP_S)
        if left:
            log.warning("these threads did not end in time: %s", ", ".join(left))
        self._output.close()
        self._journal.close()

    # --- one event ----------------------------------------------------------------------------------------------------

    def _take(self, event: object, now: w.Now) -> None:
        for known in self._translate(event, now):
            for command in self._gate.handle(known, now):
                self._carry_out(command, now)
        self._tell()

    def _translate(self, event: object, now: w.Now) -> list[w.Event]:  # noqa: C901 - one line an event, read as a table
        """Turn what the threads say into the rules' words, and record what the rules need not know."""
        match event:
            case JournalSick(detail):
                return self._journal_problem("sick", detail, there=True)
            case JournalWell():
                return self._journal_problem("sick", "", there=False)
            case CheckpointKept(boot_ms):
                if self._checkpoint_asked is not None and boot_ms >= self._checkpoint_asked:
                    self._checkpoint_asked = None
                return self._journal_problem("late", "", there=False)
            case Stored():
                self._stored = event
                if self._uplink is not None:
                    self._uplink.stored(event.head)
                full = event.unacknowledged >= self._config.journal.max_entries
                detail = f"{event.unacknowledged} entries wait for the collector"
                return [w.CauseRaised(w.Cause.JOURNAL_FULL, detail) if full else w.CauseCleared(w.Cause.JOURNAL_FULL)]
            case ReaderFault(detail):
                self._note("reader.fault", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
                self._problems["reader"] = detail
                return [w.CauseRaised(w.Cause.READER, detail)]
            case ReaderRecovered(detail):
                self._note("reader.recovered", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
                self._problems.pop("reader", None)
                return [w.CauseCleared(w.Cause.READER)]
            case RosterStored(version, members):
                self._open_directory()
                data = wire.RosterReplaced(clock=self._writer.clock(now), version=version, members=members)
                self._note("roster.replaced", data, now)
                self._problems.pop("roster", None)
                assert self._directory is not None
                return [w.RosterChanged(machine_rules(self._directory.machine))]
            case RosterRefused(reason, refused):
                log.error("the roster was not taken: %s", reason)
                self._problems["roster"] = reason
                rejected = wire.RosterRejected(clock=self._writer.clock(now), reason=reason[:2000], version=refused)
                self._note("roster.rejected", rejected, now)
                return []
            case LinkChanged():
                if event.problem and event.problem != self._link.problem:
                    log.warning("no connection to the broker: %s", event.problem)
                self._link = event
                return []
            case MarkMoved(seq):
                self._recorder.acknowledge(seq)
                return []
            case WorkerFailed(name, error):
                return self._worker_failed(name, error)
            case w.Stopping():
                self._stopping = True
                stopping = wire.GateStopping(clock=self._writer.clock(now), reason=self._stop_reason)
                # Off first, then the record of the session, then that of the stop.
                for command in self._gate.handle(event, now):
                    self._carry_out(command, now)
                self._note("gate.stopping", stopping, now)
                return []
        return [event]  # type: ignore[list-item]  # the rest are the rules' own words

    def _worker_failed(self, name: str, error: str) -> list[w.Event]:
        self._problems[f"thread-{name}"] = error
        if name == "journal":
            return self._journal_problem("sick", error, there=True)
        if name == "reader":
            return [w.CauseRaised(w.Cause.READER, error)]
        return []

    def _carry_out(self, command: w.Command, now: w.Now) -> None:
        match command:
            case w.SetPower(on):
                self._set_power(now, on=on)
            case w.Record(token, facts, at):
                drafts, change = self._writer.drafts(facts, at, self._gate.rules)
                self._recorder.append(drafts, change, token=token)
                for fact in facts:
                    log.info("%s", fact)
            case w.Checkpoint(session, energised_ms, running_ms, at):
                if self._checkpoint_asked is None:
                    self._checkpoint_asked = at.boot_ms
                self._recorder.checkpoint(session, energised_ms=energised_ms, running_ms=running_ms, boot_ms=at.boot_ms)
            case w.Signal():
                self._notices.show(messages.notice(command, self._config.machine.name or self._config.gate))
            case w.ClearFault(member):
                if self._output.read_back() is not True:
                    self.post(w.CauseCleared(w.Cause.OUTPUT, member))

    def _set_power(self, now: w.Now, *, on: bool) -> None:
        try:
            self._output.set(on=on)
        except HardwareError as error:
            self.post(w.CauseRaised(w.Cause.OUTPUT, str(error)))
            data = wire.Fault(clock=self._writer.clock(now), detail=str(error))
            self._note("output.fault", data, now)
            return
        if on != self._on:
            self._on, self._on_changed_ms = on, now.boot_ms

    # --- what is watched ----------------------------------------------------------------------------------------------

    def _check(self, now: w.Now) -> None:
        """Look at what no thread reports: the contactor, a hanging disk, the wall clock."""
        if (
            not self._on
            and w.Cause.OUTPUT not in self._gate.causes
            and now.boot_ms - self._on_changed_ms > WELDED_MS
            and self._output.read_back() is True
        ):
            detail = "the contactor is closed while it should be open: welded, or bridged"
            self._note("output.fault", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
            self._take(w.CauseRaised(w.Cause.OUTPUT, detail), now)
        silent_ms = now.boot_ms - self._sensing.looked_at_ms
        if silent_ms > READER_LATE_MS and "reader" not in self._problems:
            self.post(ReaderFault(f"the reader has not answered for {silent_ms // 1000} s"))
        if self._gate.session is None:
            self._checkpoint_asked = None
        elif self._checkpoint_asked is not None and now.boot_ms - self._checkpoint_asked > CHECKPOINT_LATE_MS:
            for event in self._journal_problem("late", "the disk does not answer", there=True):
                self._take(event, now)
        self._watch_clock(now)

    def _watch_clock(self, now: w.Now) -> None:
        """Tie the boot clock to wall time when it becomes known, and again after each step above a second."""
        difference = self._clock.wall_minus_boot()
        step = difference - self._wall_minus_boot
        if now.synced and (not self._synced or abs(step) > CLOCK_STEP):
            step_ms = round(step / timedelta(milliseconds=1)) if self._synced else None
            self._note("clock.synced", wire.ClockSynced(clock=self._writer.clock(now), step_ms=step_ms), now)
            self._synced = True
        if abs(step) > CLOCK_STEP or now.synced:
            self._wall_minus_boot = difference

    def _journal_problem(self, key: str, detail: str, *, there: bool) -> list[w.Event]:
        if there:
            self._journal_problems.add(key)
            self._problems["journal"] = detail
            return [w.CauseRaised(w.Cause.JOURNAL, detail)]
        self._journal_problems.discard(key)
        if self._journal_problems:
            return []
        self._problems.pop("journal", None)
        return [w.CauseCleared(w.Cause.JOURNAL)]

    # --- small tools --------------------------------------------------------------------------------------------------

    def _look_up(self, digest: str) -> w.Holder | None:
        found = self._emergency.get(digest)
        if found is not None:
            return found
        return None if self._directory is None else self._directory.find(digest)

    def _open_directory(self) -> None:
        try:
            fresh = Directory(self._config.state_dir / "roster.db")
        except UsageError as error:
            if self._directory is None:
                log.info("%s", error)
            return
        old, self._directory = self._directory, fresh
        self._clock.zone = ZoneInfo(fresh.tz)
        if old is not None:
            old.close()

    def _note(self, event_type: str, data: wire.Data, now: w.Now) -> None:
        self._recorder.append([self._writer.draft(event_type, data, now)])

    def _keep_journal(self, journal: Journal) -> None:
        before = self._clock.now().local
        if before is not None:
            before -= timedelta(days=self._config.journal.keep_days)
            journal.trim(before_ms=round(before.timestamp() * 1000), most=self._config.journal.max_entries)

    def _tell(self) -> None:
        """Give the newest state to whoever shows it, when it changed."""
        gate, session = self._gate, self._gate.session
        state = wire.State(
            state=gate.state,
            causes=[cause.value for cause in gate.causes],
            session=session.id if session else None,
            member=session.member if session else None,
            energised_ms=session.meter.energised_ms if session else 0,
            running_ms=session.meter.running_ms if session else 0,
        )
        status = wire.Status(
            online=True,
            version=fabgate.__version__,
            boot=self._clock.boot,
            roster=wire.RosterInfo(version=self._directory.version) if self._directory else None,
            synced=self._synced,
            reader="fault" if "reader" in self._problems else "ok",
            problems=sorted(f"{key}: {text}" for key, text in self._problems.items()),
        )
        told = (state, status, self._link, self._stored)
        if told == self._told:
            return
        if self._uplink is not None and (self._told is None or state != self._told[0]):
            self._uplink.tell(state)
        if self._uplink is not None and (self._told is None or status != self._told[1]):
            self._uplink.tell(status)
        self._told = told
        self._status_file.write(state, status, self._link, self._stored, self._journal.id, self._config)

    def _write_blocked_status(self, problem: str) -> None:
        status = wire.Status(online=True, version=fabgate.__version__, problems=[f"journal: {problem}"])
        state = wire.State(state="idle", causes=[w.Cause.JOURNAL.value])
        self._status_file.write(state, status, self._link, self._stored, "", self._config)


def run(config: Config) -> int:
    """Run a gate in this process until SIGTERM; return the exit code."""
    daemon = Daemon(config)
    daemon.handle_signals()
    try:
        return daemon.run()
    except FabgateError as error:
        log.error("%s", error)
        return error.exit_code
