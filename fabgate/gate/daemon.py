"""The gate: events come into one inbox, the rules decide, and their commands are carried out in order.

Only this thread touches state and power. It waits for nothing but its inbox and the next deadline: the disk, each
reader and the network have a thread that posts events. An error in this loop means power off, exit, and a restart
by systemd; starting switches nothing on.

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import fabgate
from fabgate import wire
from fabgate.drivers.outputs import Output
from fabgate.drivers.readers import Reader
from fabgate.errors import FabgateError, HardwareError, JournalError, UsageError
from fabgate.gate import systemd, wiring
from fabgate.gate.checks import CHECK_MS, Checks
from fabgate.gate.clock import Clock, open_clock
from fabgate.gate.config.authorities import Authorities
from fabgate.gate.config.gate_yaml import Config, make_driver
from fabgate.gate.config.keys import badge_keys
from fabgate.gate.hardware.inputs_thread import InputLevels
from fabgate.gate.hardware.reader_thread import ReaderThread
from fabgate.gate.journal.facts import FactWriter, describe
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.recorder import EntriesStored, Recorder
from fabgate.gate.journal.throttle import EntryThrottle
from fabgate.gate.journal.writer import Connect, Journal, open_connection
from fabgate.gate.panel import messages
from fabgate.gate.panel.costs import Costs
from fabgate.gate.panel.panel_thread import Panels
from fabgate.gate.panel.screen import Screen, since_ms
from fabgate.gate.panel.trial import Level, Trial, Trials
from fabgate.gate.parts import Hardware, Parts, Recording, Rosters
from fabgate.gate.reports.reports import Reports
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.gate.roster.source import FileSource
from fabgate.gate.run_start import RunStart, executed_commands, record_start
from fabgate.gate.status.publisher import Publisher
from fabgate.gate.status.status_file import StatusFile
from fabgate.gate.uplink.commands import CommandChecker
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import LinkChanged
from fabgate.gate.workers import Workers
from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate

if TYPE_CHECKING:  # a gate imports what its gate.yaml names
    from fabgate.drivers.meters import Meter

log = logging.getLogger(__name__)

JOURNAL_RETRY_S: Final = 2.0
STOP_S: Final = 2.5
#: While a start waits for power, the loop leaves the interpreter to the journal's thread: everything that can wait
#: (panel, status, checks of the hardware) waits up to this long for the confirmation, once. Measured: it saves a fifth of
#: the time from badge to power.
HURRY_S: Final = 0.005
#: How long a computing thread (reading a new roster) keeps the interpreter when the loop wants it. A decision asks for it
#: several times, so with Python's default of 5 ms it waits up to 58 ms (docs/decisions/0084).
SWITCH_S: Final = 0.0001


class Daemon:
    """One gate. Tests can pass drivers, clock and the database's `connect`; otherwise the configuration decides."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        output: Output | None = None,
        readers: Sequence[Reader] = (),
        inputs: InputLevels | None = None,
        meters: Sequence[Meter] | None = None,
        connect: Connect = open_connection,
        notify: Callable[..., None] = systemd.notify,
    ) -> None:
        self._config = config
        self._notify = notify
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._clock = clock or open_clock(config.clock.source, config.state_dir)
        driver: Output = output or make_driver("output", config.output)
        self._output_thread = wiring.make_output_thread(driver, self.post)
        #: What the loop drives: with an output on a network, its thread.
        self._output: Output = driver if self._output_thread is None else self._output_thread
        self._readers: Sequence[Reader] = readers or [make_driver("reader", one) for one in config.reader]
        self._inputs_thread = wiring.make_inputs_thread(config, inputs, self.post, self._clock)
        self._meter_threads = wiring.make_meter_threads(config, meters, driver, self.post, self._clock)
        self._journal = Journal(config.state_dir / "journal.db", config.topics, connect=connect)
        self._workers = Workers(self.post)
        newest = config.journal.max_entries if config.mqtt is None else None  # without a broker nothing is confirmed
        self._recorder = Recorder(self._journal, self.post, trim=self._trim_journal, keep_newest=newest)
        self._panel = Panels(config.panel, boot_ms=self._clock.boot_ms, post=self.post)
        self._screen = Screen(self._panel, config.machine.name or config.gate, config.lang)
        self._trials = Trials(config.state_dir, self.post, self._levels)
        self._status_file = StatusFile(config.state_dir / "status.json", config)
        self._writer = FactWriter(
            boot=self._clock.boot,
            new_uid=uuid7,
            checkpoint_ms=config.journal.checkpoint_s * 1000,
            roster=lambda: self._in_force.version,
            bounds=self._bounds_ms,
        )
        self._badge_keys: dict[str, bytes] = {}
        # The parts that need the open journal: see ``_start``.
        self._throttle: EntryThrottle
        self._in_force: RosterInForce
        self._costs: Costs
        self._gate: Gate
        self._reports: Reports
        self._checks: Checks
        self._publisher: Publisher
        self._reader_threads: Sequence[ReaderThread] = ()
        self._source: FileSource | HttpSource | None = None
        self._uplink: Uplink | None = None
        self._stopping = False
        self._stop_reason = ""
        #: Whether a start waits for the journal: see ``HURRY_S``.
        self._is_hurried = False
        #: Records and signals that are not logged and shown yet.
        self._unshown: list[vocabulary.Record | vocabulary.Signal] = []
        self._on = False
        self._watchdog_fed_ms = 0
        #: What is closed last, in the reverse order.
        self._resources = contextlib.ExitStack()

    # --- start and stop -----------------------------------------------------------------------------------------------

    def post(self, event: object) -> None:
        """Put an event into the inbox. Thread-safe."""
        self._inbox.put(event)

    def _levels(self) -> list[Level]:
        """Return what the meters measured last. Thread-safe."""
        return [Level(meter.name, meter.unit, *(meter.fresh() or (None, None))) for meter in self._meter_threads]

    def stop(self, reason: str = "asked to stop") -> None:
        """Ask the loop to end. Can be called from any thread or signal handler."""
        self._stop_reason = reason
        self.post(vocabulary.Stopping())

    def run(self) -> int:
        """Run until ``stop`` is called; return the exit code. The output is off when this returns, whatever happens."""
        sys.setswitchinterval(SWITCH_S)
        try:
            self._claim_state_dir()
            self._output.open()
            if self._output_thread is not None:
                self._workers.start("output", self._output_thread.run)
            for name, show in self._panel.named.items():
                self._workers.start(name, show)
            self._workers.start("status", self._status_file.run)
            run_start = self._open_journal()
            if run_start is not None:
                self._start(run_start)
                self._loop()
            return 0
        finally:
            self._output.set(on=False)
            self._end()

    def handle_signals(self) -> None:
        """Stop cleanly on SIGTERM and SIGINT. Python's default for SIGTERM would end the process with the pin on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: self.stop(signal.Signals(received).name))

    def _claim_state_dir(self) -> None:
        try:
            self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Read-only, so that on a read-only file system the start fails at the journal, with its clear message.
            lock_file = os.open(self._config.state_dir / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"{self._config.state_dir}: the state directory cannot be used ({error})") from error
        self._resources.callback(os.close, lock_file)
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{self._config.state_dir}: another fabgate runs on this state directory; stop it first"
            ) from error

    def _open_journal(self) -> RunStart | None:
        """Open the journal, trying until the disk works; return None if ``stop`` is called first.

        The output stays off.
        """
        last_error = ""
        while True:
            try:
                self._journal.open()
                self._journal.keep_reserve()
                # Read before the start is recorded: systemd restarts a gate that cannot run every second, and each
                # start would be an entry.
                self._badge_keys = badge_keys(self._config)
                return record_start(
                    self._journal,
                    self._writer,
                    self._config,
                    self._clock,
                    session_was_cut=self._screen.power_was_cut,
                    stays_on_ms=0 if self._output_thread is None else self._output_thread.stays_on_ms,
                )
            except (JournalError, sqlite3.Error) as error:
                self._journal.close()
                if str(error) != last_error:
                    last_error = str(error)
                    log.error("%s", error)
                    self._show_journal_error(last_error)
            # READY comes only once badges are accepted; until then systemd must not think that the start hangs.
            patience = f"EXTEND_TIMEOUT_USEC={round(JOURNAL_RETRY_S * 5_000_000)}"
            self._notify("STATUS=blocked: the journal cannot be opened", "WATCHDOG=1", patience)
            try:
                event = self._inbox.get(timeout=JOURNAL_RETRY_S)
            except Empty:
                continue
            if isinstance(event, vocabulary.Stopping):
                return None

    def _show_journal_error(self, error: str) -> None:
        self._panel.show(
            messages.notice(
                vocabulary.Signal(vocabulary.SignalKind.BLOCKED, detail="journal"), "", lang=self._config.lang
            )
        )
        status = wire.Status(online=True, version=fabgate.__version__, problems=[f"journal: {error}"])
        state = wire.State(state="idle", causes=[vocabulary.Cause.JOURNAL.value])
        self._status_file.write(state, status, LinkChanged(connected=False), EntriesStored(0, 0), "")

    def _start(self, run_start: RunStart) -> None:
        config, clock, keys, authorities = self._config, self._clock, self._badge_keys, Authorities(self._config)
        self._throttle = run_start.throttle
        self._source, self._in_force = wiring.make_roster(config, self.post, clock, keys, authorities, run_start.locks)
        self._resources.callback(self._in_force.close)
        self._costs = Costs(self._in_force)
        self._gate = wiring.make_rules(config, self._journal, self._in_force, self._readers)
        self._reader_threads = wiring.make_reader_threads(config, self._readers, self.post, clock, keys)
        self._uplink = wiring.make_uplink(config, self._journal, self.post, clock, authorities)
        parts = Parts(
            config,
            clock,
            self._gate,
            Hardware(self._output, self._output_thread, self._reader_threads, self._inputs_thread, self._meter_threads),
            Recording(self._writer, self._throttle, self._recorder, self._journal.id),
            Rosters(self._source, self._in_force, keys, authorities),
            self._uplink,
        )
        checker = CommandChecker(boot=clock.boot, executed=executed_commands(self._journal))
        self._reports = Reports(parts, checker, signal=self._unshown.append)
        self._checks = Checks(parts, self._reports)
        supervised = all(getattr(one, "supervised", True) is not False for one in self._readers)
        self._publisher = Publisher(parts, self._reports, self._status_file, readers_supervised=supervised)
        self._reports.roster.use()
        now = clock.now()
        stored = EntriesStored(self._journal.head, self._journal.unacknowledged, floor=self._journal.floor)
        for event in [*self._reports.translate(stored, now), *self._in_force.changed(now)]:
            self._handle(event, now)
        self._start_threads()
        self._checks.check_clock(now)
        self._reports.entries.write(now)
        self._show(now)
        self._publish(now)
        self._notify("READY=1", "STATUS=ready")
        log.info(
            "ready: %s, journal %s at entry %d",
            config.topics.account,
            self._journal.id,
            self._reports.journal.stored.head,
        )

    def _start_threads(self) -> None:
        assert self._source is not None
        self._workers.start("journal", self._recorder.run)
        self._workers.start("roster", self._source.run)
        for number, reader in enumerate(self._reader_threads, start=1):
            self._workers.start("reader" if number == 1 else f"reader-{number}", reader.run)
        if self._inputs_thread is not None:
            self._workers.start("inputs", self._inputs_thread.run)
        for meter in self._meter_threads:
            self._workers.start(meter.name, meter.run)
        self._workers.start("selftest", self._trials.run)
        if self._uplink is not None:
            self._workers.start("network", self._uplink.run_network)
            self._workers.start("uplink", self._uplink.run)

    def _end(self) -> None:
        self._notify("STOPPING=1")
        for part in (
            self._output_thread,
            self._uplink,
            *self._reader_threads,
            self._inputs_thread,
            *self._meter_threads,
            self._source,
            self._recorder,
            self._trials,
            self._panel,
            self._status_file,
        ):
            if part is not None:
                part.stop()
        running = self._workers.stop(timeout_s=STOP_S)
        if running:
            log.warning("these threads did not end in time: %s", ", ".join(running))
        self._output.close()
        if "journal" not in running:
            self._journal.close()
        self._resources.close()

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        feed_s = systemd.watchdog_s()
        while not self._stopping:
            was_hurried, self._is_hurried = self._is_hurried, False
            try:
                event = self._inbox.get(timeout=HURRY_S if was_hurried else self._timeout_s(feed_s))
            except Empty:
                event = vocabulary.Tick()
            now = self._clock.now()
            if isinstance(event, vocabulary.Stopping):
                self._shut_down(event, now)
                break
            if isinstance(event, Trial):
                event.answer(shown=self._gate.state == "idle" and self._screen.try_out(event.signal))
            else:
                for rules_event in self._reports.translate(event, now):
                    self._handle(rules_event, now)
            if not self._is_hurried or was_hurried:
                self._follow_up(now, feed_s)

    def _timeout_s(self, feed_s: float | None) -> float:
        wait_ms = self._checks.pause_ms()
        if feed_s is not None:
            wait_ms = min(wait_ms, CHECK_MS, round(feed_s * 1000))
        deadline = self._gate.deadline()
        if deadline is not None:
            wait_ms = min(wait_ms, max(0, deadline - self._clock.boot_ms()))
        return wait_ms / 1000

    def _follow_up(self, now: vocabulary.Now, feed_s: float | None) -> None:
        """Do what can wait until the power is as it should be: show, check, record, publish, feed the watchdog."""
        self._show(now)
        for event in self._checks.run(now, on=self._on):
            self._handle(event, now)
        self._show(now)
        self._reports.entries.write(now)
        self._publish(now)
        if feed_s is not None and now.boot_ms - self._watchdog_fed_ms >= feed_s * 1000:
            self._watchdog_fed_ms = now.boot_ms
            self._notify("WATCHDOG=1")

    def _shut_down(self, event: vocabulary.Stopping, now: vocabulary.Now) -> None:
        """End a running session, off first, and record that this stop was intended."""
        self._stopping = True
        self._handle(event, now)
        self._show(now)
        stopping = wire.GateStopping(clock=self._writer.clock(now), reason=self._stop_reason)
        self._reports.entries.put("gate.stopping", stopping, now)
        self._reports.entries.write(now)

    # --- the rules' commands ------------------------------------------------------------------------------------------

    def _handle(self, event: vocabulary.Event, now: vocabulary.Now) -> None:
        for command in self._gate.handle(event, now):
            self._carry_out(command, now)

    def _carry_out(self, command: vocabulary.Command, now: vocabulary.Now) -> None:
        match command:
            case vocabulary.SetPower(on):
                self._set_power(now, on=on)
            case vocabulary.Record(token, facts, at):
                drafts, change = self._writer.drafts(facts, at, self._gate.rules)
                self._recorder.append(self._throttle.admit(drafts, at.boot_ms), change, token=token)
                self._is_hurried = self._is_hurried or self._gate.state == "starting"
                self._unshown.append(command)
            case vocabulary.Checkpoint(session, energised_ms, running_ms, at):
                least_ms, _ = self._bounds_ms(energised_ms, True)
                proved_at_ms = at.boot_ms - (energised_ms - least_ms)  # what came after it is in doubt if the gate dies
                self._checks.checkpoint_requested(proved_at_ms)
                self._recorder.checkpoint(
                    session, energised_ms=least_ms, running_ms=min(running_ms, least_ms), boot_ms=proved_at_ms
                )
            case vocabulary.Signal():
                self._unshown.append(command)
            case vocabulary.ClearFault(member, lang):
                if self._output.read_back() is not True and not self._checks.sees_unasked_current:
                    self.post(vocabulary.CauseCleared(vocabulary.Cause.OUTPUT, member))
                else:
                    self._unshown.append(
                        vocabulary.Signal(vocabulary.SignalKind.REFUSED, lang=lang, reasons=(messages.STILL_CLOSED,))
                    )

    def _bounds_ms(self, energised_ms: int, goes_on: bool) -> tuple[int, int]:
        """Return the least and the most time with power for what the rules counted."""
        if self._output_thread is None:
            return energised_ms, energised_ms
        return self._output_thread.bounds_ms(energised_ms, goes_on=goes_on)

    def _set_power(self, now: vocabulary.Now, *, on: bool) -> None:
        try:
            self._output.set(on=on)
        except HardwareError as error:
            self.post(vocabulary.CauseRaised(vocabulary.Cause.OUTPUT, str(error)))
            self._reports.entries.put_output_fault(str(error), now)
            return
        self._on = on

    def _show(self, now: vocabulary.Now) -> None:
        """Log what was recorded; show on the panel what has just happened and the state."""
        unshown = self._unshown.copy()
        self._unshown.clear()
        for command in unshown:
            for fact in command.facts if isinstance(command, vocabulary.Record) else ():
                log.info("%s", describe(fact))
        session, shown = self._gate.session, self._gate.shown
        if shown.kind is vocabulary.SignalKind.GO and not self._is_powered:
            shown = replace(shown, kind=vocabulary.SignalKind.WAIT)
        self._screen.show(
            [command for command in unshown if isinstance(command, vocabulary.Signal)],
            shown,
            mode=self._gate.rules.mode,
            lock=self._in_force.locks.lock,
            boot_ms=now.boot_ms,
            since_ms=since_ms(session),
            money=self._costs.of(unshown, session, now),
        )

    @property
    def _is_powered(self) -> bool:
        """Whether the machine has the power that was ordered; an output on a network takes a moment to confirm it."""
        return not self._on or self._output_thread is None or self._output_thread.is_on

    def _publish(self, now: vocabulary.Now) -> None:
        self._publisher.publish(self._gate, now)

    def _trim_journal(self, journal: Journal) -> None:
        now = self._clock.now()
        before_ms = 0  # while the clock is wrong the age of an entry is unknown; the number of entries is not
        if now.synced and now.local is not None:
            before_ms = round(now.local.timestamp() * 1000) - self._config.journal.keep_days * 86_400_000
        journal.trim(before_ms=before_ms, most=self._config.journal.max_entries)


def run(config: Config) -> int:
    """Run a gate in this process until SIGTERM; return the exit code."""
    daemon = Daemon(config)
    daemon.handle_signals()
    try:
        return daemon.run()
    except FabgateError as error:
        log.error("%s", error)
        return error.exit_code
