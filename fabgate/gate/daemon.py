"""The gate: what happens is put in one inbox, the rules are asked, and what they order is done, in order.

Only this thread touches state and power. It waits for nothing but its inbox and the next deadline: the disk, the
reader and the network each have a thread that posts. An error in this loop means power off, exit, and a restart by
systemd; nothing is switched on by starting.

Start order: output claimed at its safe level → journal opened, an unfinished session closed with its uncertainty →
roster → reader → uplink.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, Final

import fabgate
from fabgate import wire
from fabgate.drivers.inputs import GpioInputs
from fabgate.drivers.outputs import Output
from fabgate.drivers.readers import Reader
from fabgate.errors import FabgateError, HardwareError, JournalError, UsageError
from fabgate.gate import systemd
from fabgate.gate.clock import Clock, open_clock
from fabgate.gate.config.gate_yaml import Config, make_driver
from fabgate.gate.config.keys import badge_keys
from fabgate.gate.inputs_thread import Levels, Watching, pins
from fabgate.gate.journal.episodes import CROWD, Episodes, is_crowd
from fabgate.gate.journal.facts import FactWriter, close_unfinished, describe, since_checkpoint, wall_floor
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import Reader as JournalReader
from fabgate.gate.journal.recorder import Recorder, Stored
from fabgate.gate.journal.writer import Change, Connect, Journal, OpenSession, plain_connect
from fabgate.gate.panel import messages
from fabgate.gate.panel.face import Face
from fabgate.gate.panel.notices import Notices
from fabgate.gate.reader_thread import LATE_MS, ReaderFault, ReaderRecovered, Sensing
from fabgate.gate.reports import Reports
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.in_force import Standing
from fabgate.gate.roster.locks import Locked
from fabgate.gate.roster.source import FileSource
from fabgate.gate.since import Since
from fabgate.gate.status import StatusFile, without_age
from fabgate.gate.terminal.rename import previous_journal
from fabgate.gate.uplink.commands import CommandDesk
from fabgate.gate.uplink.connection import LinkChanged, Uplink
from fabgate.gate.workers import Workers
from fabgate.rules import vocabulary as w
from fabgate.rules.session import Gate

log = logging.getLogger(__name__)

CHECK_MS: Final = 1_000
#: A contactor that is closed this long after it was told to open has welded.
WELDED_MS: Final = 500
#: How soon to look again at one that is closed and should not be.
CLOSED_LOOK_MS: Final = 100
#: A checkpoint that is not on disk after this long: the disk hangs, and a session must not run on unrecorded. It is 60 s
#: in the design, and the uncertainty after a power cut counts on them: so two looks earlier.
CHECKPOINT_LATE_MS: Final = 60_000 - 2 * CHECK_MS
#: How often the journal's files are looked at while nothing is written to them.
FILES_LOOK_MS: Final = 10_000
#: Inputs whose look takes this long hang.
INPUTS_LATE_MS: Final = 1_500
CLOCK_STEP: Final = timedelta(seconds=1)
JOURNAL_RETRY_S: Final = 2.0
STOP_S: Final = 2.5
SEEN_COMMANDS: Final = 1_000
#: While somebody waits for power the loop leaves the interpreter to the journal's thread: whatever can wait (panel,
#: status, the looks at the hardware) waits so long for its confirmation, once. Measured: a fifth of the time from badge
#: to power.
HURRY_S: Final = 0.005
#: How long a thread that computes (a new roster is read) keeps the interpreter when the loop wants it. A decision asks
#: for it several times, and Python's own 5 ms would add up.
SWITCH_S: Final = 0.0005


class Daemon:
    """One gate. Drivers, clock and the database's `connect` can be given for tests; else the configuration decides."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        output: Output | None = None,
        reader: Reader | None = None,
        inputs: Levels | None = None,
        connect: Connect = plain_connect,
        notify: Callable[..., None] = systemd.notify,
    ) -> None:
        self._config = config
        self._notify = notify
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._clock = clock or open_clock(config.clock.source, config.state_dir)
        self._output = output or make_driver("output", config.output)
        self._reader = reader or make_driver("reader", config.reader)
        wired = pins(config.inputs)
        self._watching = (
            Watching(inputs or GpioInputs(wired), list(wired), self.post, boot_ms=self._clock.boot_ms)
            if wired
            else None
        )
        self._journal = Journal(config.state_dir / "journal.db", config.topics, connect=connect)
        self._workers = Workers(self.post)
        newest = config.journal.max_entries if config.mqtt is None else None  # nothing is ever confirmed
        self._recorder = Recorder(self._journal, self.post, keep=self._keep_journal, keep_newest=newest)
        self._notices = Notices(config.panel)
        self._face = Face(self._notices, config.machine.name or config.gate, config.lang)
        self._status_file = StatusFile(config.state_dir / "status.json", config)
        self._standing = Standing(config)
        self._writer = FactWriter(
            boot=self._clock.boot,
            new_uid=uuid7,
            checkpoint_ms=config.journal.checkpoint_s * 1000,
            roster=lambda: self._standing.version,
        )
        self._badge_keys: dict[str, bytes] = {}
        self._episodes = Episodes()
        self._gate: Gate
        self._reports: Reports
        self._sensing: Sensing | None = None
        self._source: FileSource | HttpSource | None = None
        self._uplink: Uplink | None = None
        self._stopping = False
        self._stop_reason = ""
        #: A start waits for the journal: see ``HURRY_S``.
        self._hurried = False
        #: What was ordered and not yet shown or logged.
        self._untold: list[w.Record | w.Signal] = []
        self._on = False
        #: Since when the contactor is seen closed while it should be open.
        self._closed_since_ms: int | None = None
        #: When checkpoints were asked for that are not on disk yet, the oldest first (boot milliseconds).
        self._checkpoints_asked: list[int] = []
        self._wall_minus_boot = timedelta()
        self._synced = False
        self._fed_ms = 0
        self._files_looked_ms = 0
        self._reader_hangs = False
        self._told: Any = None
        #: The same as far as status.json has it: an age alone wears out no card.
        self._shown_in_file: Any = None
        self._since = Since()
        self._lock_file: int | None = None

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
        sys.setswitchinterval(SWITCH_S)
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
        try:
            self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Read-only, so that a read-only file system gets as far as the journal and its clear message.
            self._lock_file = os.open(self._config.state_dir / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"{self._config.state_dir}: the state directory cannot be used ({error})") from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{self._config.state_dir}: another fabgate runs on this state directory; stop it first"
            ) from error

    def _open_journal(self) -> bool:
        """Open the journal, however long the disk takes to recover; say whether to go on. The output is off."""
        told = ""
        while True:
            try:
                self._journal.open()
                self._journal.keep_reserve()
                # Before this start is an entry: a gate that cannot run is started again each second, for days.
                self._badge_keys = badge_keys(self._config)
                self._begin_journal()
            except (JournalError, sqlite3.Error) as error:
                self._journal.close()
                if str(error) != told:
                    told = str(error)
                    log.error("%s", error)
                    self._notices.show(
                        messages.notice(w.Signal(w.SignalKind.BLOCKED, detail="journal"), "", lang=self._config.lang)
                    )
                    status = wire.Status(online=True, version=fabgate.__version__, problems=[f"journal: {error}"])
                    state = wire.State(state="idle", causes=[w.Cause.JOURNAL.value])
                    self._status_file.write(state, status, LinkChanged(connected=False), Stored(0, 0), "")
            else:
                return True
            # READY comes only once badges are taken; until then systemd must not think that the start hangs.
            patience = f"EXTEND_TIMEOUT_USEC={round(JOURNAL_RETRY_S * 5_000_000)}"
            self._notify("STATUS=blocked: the journal cannot be opened", "WATCHDOG=1", patience)
            try:
                event = self._inbox.get(timeout=JOURNAL_RETRY_S)
            except Empty:
                continue
            if isinstance(event, w.Stopping):
                return False

    def _begin_journal(self) -> None:
        """Close the session that the last run left open, and say that this run began: one transaction."""
        self._clock.floor = wall_floor(self._journal.last_time_ms())
        self._standing.locked = Locked.from_text(self._journal.lock())
        self._standing.reload()
        now = self._clock.now()
        clock = self._writer.clock(now)
        replaces = previous_journal(self._config.state_dir) if self._journal.head == 0 else None
        started = wire.GateStarted(clock=clock, version=fabgate.__version__, replaces=replaces)
        drafts = [self._writer.draft("gate.started", started, now)]
        left = self._journal.open_session()
        closes: frozenset[str] = frozenset()
        if left is not None:
            ended = close_unfinished(
                left,
                boot=self._clock.boot,
                boot_ms=now.boot_ms,
                clock=clock,
                checkpoint_ms=self._config.journal.checkpoint_s * 1000,
                since_ms=self._since_checkpoint(left, now),
            )
            log.warning(
                "a session of %s was left open: closed as %s with %d ms and an uncertainty of %d ms",
                ended.member,
                ended.reason,
                ended.energised_ms,
                ended.uncertainty_ms,
            )
            drafts.append(self._writer.draft("session.ended", ended, now))
            closes = frozenset({left.session})
            self._face.power_was_cut()
        self._episodes = Episodes(crowded=is_crowd(self._journal.recent_types(most=CROWD)))
        admitted = self._episodes.admit(drafts, now.boot_ms)
        if admitted:
            self._journal.append(admitted, Change(closes=closes))

    def _since_checkpoint(self, left: OpenSession, now: w.Now) -> int | None:
        for body in self._journal.recent("session.started", most=1):
            with contextlib.suppress(UsageError):  # what an earlier version wrote otherwise ties no clock to another
                return since_checkpoint(left, wire.decode_entry(body), now)
        return None

    def _start(self) -> None:
        config = self._config
        keys = self._badge_keys
        key = next(iter(keys.values()))
        stored = config.state_dir / "roster.db"
        if config.roster.url is not None:
            self._source = HttpSource(
                config, stored, self.post, boot=self._clock.boot, now=self._clock.now, badge_keys=keys
            )
            self._standing.age_ms = self._source.age_ms
        else:
            assert config.roster.file is not None
            self._source = FileSource(
                config.roster.file,
                stored,
                self.post,
                badge_key=key,
                topics=config.topics,
                fallback=config.machine.rules(),
            )
        self._standing.mend = self._source.mend
        self._gate = Gate(
            self._standing.look_up,
            self._standing.rules(),
            new_id=uuid7,
            run_sense=config.inputs.running_pin is not None,
            continuous=self._reader.continuous,
            checkpoint_ms=config.journal.checkpoint_s * 1000,
            latched=self._journal.latched(),
        )
        self._sensing = Sensing(
            self._reader,
            self.post,
            badge_key=key,
            boot_ms=self._clock.boot_ms,
            other_keys=list(keys.values()),
            emergency={entry.digest for entry in config.emergency_badges},
        )
        self._reports = Reports(
            config,
            recorder=self._recorder,
            writer=self._writer,
            standing=self._standing,
            desk=CommandDesk(
                boot=self._clock.boot,
                seen=self._seen_commands(),
            ),
            source=self._source,
            sensing=self._sensing,
            signal=self._untold.append,
            extension_ms=self._gate.extension_ms,
            badge_keys=keys,
            episodes=self._episodes,
        )
        self._reports.journal_id = self._journal.id
        self._reports.choose_badge_key()
        self._reports.look_at_rules()
        self._reports.look_at_locks()
        if config.mqtt is not None:
            reader = JournalReader(self._journal.path)
            self._uplink = Uplink(config, reader, self.post, boot_ms=self._clock.boot_ms)
            self._reports.uplink = self._uplink
        now = self._clock.now()
        kept = Stored(self._journal.head, self._journal.unacknowledged, floor=self._journal.floor)
        full = self._reports.translate(kept, now)
        for event in [*full, *self._standing.changed(now)]:
            self._handle(event, now)
        self._start_threads()
        self._wall_minus_boot = self._clock.wall_minus_boot()
        self._watch_clock(now)
        self._reports.write(now)
        self._show_untold(now)
        self._tell(now)
        self._notify("READY=1", "STATUS=ready")
        log.info(
            "ready: %s, journal %s at entry %d", config.topics.account, self._journal.id, self._reports.stored.head
        )

    def _seen_commands(self) -> set[str]:
        """Return the ids of commands that were obeyed before: none is obeyed twice."""
        seen = set()
        for body in self._journal.recent("command.executed", most=SEEN_COMMANDS):
            with contextlib.suppress(UsageError):  # what an earlier version wrote otherwise is no reason not to start
                data = wire.decode_data(wire.decode_entry(body))
                if isinstance(data, wire.CommandExecuted):
                    seen.add(data.command)
        return seen

    def _start_threads(self) -> None:
        assert self._source is not None
        assert self._sensing is not None
        self._workers.start("journal", self._recorder.run)
        self._workers.start("roster", self._source.run)
        self._workers.start("reader", self._sensing.run)
        if self._watching is not None:
            self._workers.start("inputs", self._watching.run)
        if self._uplink is not None:
            self._workers.start("network", self._uplink.run_network)
            self._workers.start("uplink", self._uplink.run)

    def _loop(self) -> None:
        feed_s = systemd.watchdog_s()
        while not self._stopping:
            waited, self._hurried = self._hurried, False
            try:
                event = self._inbox.get(timeout=HURRY_S if waited else self._timeout_s(feed_s))
            except Empty:
                event = w.Tick()
            now = self._clock.now()
            if isinstance(event, w.Stopping):
                self._last_words(event, now)
                break
            for known in self._reports.translate(event, now):
                self._handle(known, now)
            if not self._hurried or waited:
                self._follow_up(now, feed_s)

    def _follow_up(self, now: w.Now, feed_s: float | None) -> None:
        """Do what an event leaves to be done once power is as it should be: look, record, tell, feed the watchdog."""
        self._show_untold(now)
        self._check(now)
        self._show_untold(now)
        self._reports.write(now)
        self._tell(now)
        if feed_s is not None and now.boot_ms - self._fed_ms >= feed_s * 1000:
            self._fed_ms = now.boot_ms
            self._notify("WATCHDOG=1")

    def _timeout_s(self, feed_s: float | None) -> float:
        wait_ms = CHECK_MS if feed_s is None else min(CHECK_MS, round(feed_s * 1000))
        if self._closed_since_ms is not None:
            wait_ms = min(wait_ms, CLOSED_LOOK_MS)
        deadline = self._gate.deadline()
        if deadline is not None:
            wait_ms = min(wait_ms, max(0, deadline - self._clock.boot_ms()))
        return wait_ms / 1000

    def _last_words(self, event: w.Stopping, now: w.Now) -> None:
        """End what runs, off first, and say that this stop was meant."""
        self._stopping = True
        self._handle(event, now)
        self._show_untold(now)
        stopping = wire.GateStopping(clock=self._writer.clock(now), reason=self._stop_reason)
        self._reports.note("gate.stopping", stopping, now)
        self._reports.write(now)

    def _end(self) -> None:
        self._notify("STOPPING=1")
        for part in (
            self._uplink,
            self._sensing,
            self._watching,
            self._source,
            self._recorder,
            self._notices,
            self._status_file,
        ):
            if part is not None:
                part.stop()
        left = self._workers.stop(timeout_s=STOP_S)
        if left:
            log.warning("these threads did not end in time: %s", ", ".join(left))
        self._output.close()
        if "journal" not in left:
            self._journal.close()
        self._standing.close()
        if self._lock_file is not None:
            os.close(self._lock_file)

    # --- the rules, and what they order -------------------------------------------------------------------------------

    def _handle(self, event: w.Event, now: w.Now) -> None:
        for command in self._gate.handle(event, now):
            self._carry_out(command, now)

    def _carry_out(self, command: w.Command, now: w.Now) -> None:
        match command:
            case w.SetPower(on):
                self._set_power(now, on=on)
            case w.Record(token, facts, at):
                drafts, change = self._writer.drafts(facts, at, self._gate.rules)
                self._recorder.append(self._episodes.admit(drafts, at.boot_ms), change, token=token)
                self._hurried = self._hurried or self._gate.state == "starting"
                self._untold.append(command)
            case w.Checkpoint(session, energised_ms, running_ms, at):
                self._checkpoints_asked.append(at.boot_ms)
                self._recorder.checkpoint(session, energised_ms=energised_ms, running_ms=running_ms, boot_ms=at.boot_ms)
            case w.Signal():
                self._untold.append(command)
            case w.ClearFault(member, lang):
                if self._output.read_back() is not True:
                    self.post(w.CauseCleared(w.Cause.OUTPUT, member))
                else:
                    self._untold.append(w.Signal(w.SignalKind.REFUSED, lang=lang, reasons=(messages.STILL_CLOSED,)))

    def _show_untold(self, now: w.Now) -> None:
        """Log what was recorded; show what has just happened, and what is."""
        untold = self._untold.copy()
        self._untold.clear()
        for command in untold:
            for fact in command.facts if isinstance(command, w.Record) else ():
                log.info("%s", describe(fact))
        self._face.show(
            [command for command in untold if isinstance(command, w.Signal)],
            self._gate.shown,
            mode=self._gate.rules.mode,
            lock=self._standing.locked.lock,
            boot_ms=now.boot_ms,
        )

    def _set_power(self, now: w.Now, *, on: bool) -> None:
        try:
            self._output.set(on=on)
        except HardwareError as error:
            self.post(w.CauseRaised(w.Cause.OUTPUT, str(error)))
            self._reports.note("output.fault", wire.Fault(clock=self._writer.clock(now), detail=str(error)), now)
            return
        self._on = on

    # --- what is watched ----------------------------------------------------------------------------------------------

    def _check(self, now: w.Now) -> None:
        """Look at what no thread reports: the contactor, a hanging disk or reader, the roster's age, the wall clock."""
        self._watch_contactor(now)
        self._watch_checkpoint(now)
        self._watch_files(now)
        self._watch_reader(now)
        self._watch_inputs(now)
        for event in [*self._standing.changed(now), *self._reports.look_at_reader(now)]:
            self._handle(event, now)
        self._reports.look_at_certificate(now)
        self._watch_clock(now)

    def _watch_contactor(self, now: w.Now) -> None:
        """Take a contactor that stayed closed, look after look, for a welded one; a bounce is none."""
        if self._on or w.Cause.OUTPUT in self._gate.causes or self._output.read_back() is not True:
            self._closed_since_ms = None
            return
        self._output.set(on=False)  # once more: a line that failed to go low may do so now
        if self._closed_since_ms is None:
            self._closed_since_ms = now.boot_ms
        if now.boot_ms - self._closed_since_ms > WELDED_MS:
            self._closed_since_ms = None
            detail = "the contactor is closed while it should be open: welded, or bridged"
            self._reports.note("output.fault", wire.Fault(clock=self._writer.clock(now), detail=detail), now)
            self._handle(w.CauseRaised(w.Cause.OUTPUT, detail), now)

    def _watch_reader(self, now: w.Now) -> None:
        """Notice a poll that hangs, and that it came back: the reader's thread knows of neither."""
        assert self._sensing is not None
        silent_ms = now.boot_ms - self._sensing.looked_at_ms
        hangs = silent_ms > LATE_MS
        told: ReaderFault | ReaderRecovered | None = None
        if hangs and "reader" not in self._reports.problems:
            self._reader_hangs = True
            told = ReaderFault(f"the reader has not answered for {silent_ms // 1000} s")
        elif self._reader_hangs and not hangs:
            self._reader_hangs = False
            if self._sensing.well:  # else it answered once and failed: its thread told that, and will tell the rest
                told = ReaderRecovered("the reader answers again")
        if told is not None:
            for event in self._reports.translate(told, now):
                self._handle(event, now)

    def _watch_inputs(self, now: w.Now) -> None:
        """Take inputs that do not answer for pressed, above all the emergency stop."""
        if self._watching is not None and now.boot_ms - self._watching.looked_at_ms > INPUTS_LATE_MS:
            self._watching.distrust()
            if self._config.inputs.estop_pin is not None:
                self._handle(w.CauseRaised(w.Cause.ESTOP, "the inputs do not answer"), now)

    def _watch_checkpoint(self, now: w.Now) -> None:
        kept_ms = self._recorder.checkpoint_kept_ms
        asked = self._checkpoints_asked if self._gate.session is not None else []
        self._checkpoints_asked = [ms for ms in asked if ms > kept_ms]
        if self._checkpoints_asked and now.boot_ms - self._checkpoints_asked[0] > CHECKPOINT_LATE_MS:
            for event in self._reports.journal_problem("late", "the disk does not answer"):
                self._handle(event, now)

    def _watch_files(self, now: w.Now) -> None:
        """Have the journal's thread see whether the files are still its own: the next tap should not be the first to."""
        if now.boot_ms - self._files_looked_ms >= FILES_LOOK_MS:
            self._files_looked_ms = now.boot_ms
            self._recorder.look()

    def _watch_clock(self, now: w.Now) -> None:
        """Tie the boot clock to wall time when it becomes known, and again after each step above a second."""
        self._clock.zone = self._standing.zone
        difference = self._clock.wall_minus_boot()
        step = difference - self._wall_minus_boot
        if now.synced and (not self._synced or abs(step) > CLOCK_STEP):
            step_ms = round(step / timedelta(milliseconds=1)) if self._synced else None
            synced = wire.ClockSynced(clock=self._writer.clock(now), step_ms=step_ms)
            self._reports.note("clock.synced", synced, now)
            self._synced = True
        # A slow drift is followed while the clock is kept. Without a keeper nothing is: when it comes back, whatever
        # moved meanwhile is a step against the last word that the collector has.
        if now.synced:
            self._wall_minus_boot = difference

    # --- small tools --------------------------------------------------------------------------------------------------

    def _keep_journal(self, journal: Journal) -> None:
        now = self._clock.now()
        before_ms = 0  # nobody knows how old an entry is while the clock is wrong; how many there are is known
        if now.synced and now.local is not None:
            before_ms = round(now.local.timestamp() * 1000) - self._config.journal.keep_days * 86_400_000
        journal.trim(before_ms=before_ms, most=self._config.journal.max_entries)

    def _tell(self, now: w.Now) -> None:
        """Give the newest state to whoever shows it, when it changed."""
        gate, session, reports = self._gate, self._gate.session, self._reports
        state = wire.State(
            state=gate.state,
            causes=[cause.value for cause in gate.causes],
            session=session.id if session else None,
            member=session.member if session else None,
            since=self._since.of(session.id if session else gate.state, now),
            energised_ms=session.meter.energised_ms if session else 0,
            running_ms=session.meter.running_ms if session else 0,
        )
        status = wire.Status(
            online=True,
            version=fabgate.__version__,
            boot=self._clock.boot,
            roster=self._standing.info(now),
            synced=now.synced,
            reader="fault" if "reader" in reports.problems else "ok",
            problems=sorted(f"{key}: {text}" for key, text in reports.problems.items()),
        )
        told = (state, status, reports.link, reports.stored, reports.journal_id)
        if told == self._told:
            return
        if self._uplink is not None and (self._told is None or state != self._told[0]):
            self._uplink.tell(state)
        if self._uplink is not None and (self._told is None or status != self._told[1]):
            self._uplink.tell(status)
        if self._uplink is not None and (self._told is None or reports.stored != self._told[3]):
            self._uplink.stored(reports.stored.head)  # with a mark, too: entries may have been trimmed behind it
        ageless = (state, without_age(status), *told[2:])
        if ageless != self._shown_in_file:
            self._shown_in_file = ageless
            self._status_file.write(*told)
        self._told = told


def run(config: Config) -> int:
    """Run a gate in this process until SIGTERM; return the exit code."""
    daemon = Daemon(config)
    daemon.handle_signals()
    try:
        return daemon.run()
    except FabgateError as error:
        log.error("%s", error)
        return error.exit_code
