"""Checks what no thread reports: a welded contactor, hanging hardware or disk, a stale roster, wrong wall time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fabgate import wire
from fabgate.gate.hardware.inputs_thread import SILENT
from fabgate.gate.hardware.meter_reports import MeterFault
from fabgate.gate.hardware.reader_thread import HANG_MS, ReaderFault, ReaderRecovered, ReaderThread
from fabgate.gate.parts import Parts
from fabgate.gate.reports.reports import Reports
from fabgate.rules import vocabulary

if TYPE_CHECKING:  # a gate imports what its gate.yaml names
    from fabgate.gate.hardware.meter_thread import MeterThread

log = logging.getLogger(__name__)

#: The checks run at least this often.
CHECK_MS: Final = 1_000
#: A contactor that is still closed this long after the order to open has welded.
WELDED_MS: Final = 500
#: How soon a contactor that should be open is checked again.
CONTACTOR_RECHECK_MS: Final = 100
#: A read-back that still says "open" this long after power went on cannot see a weld, or the contactor did not close.
UNSEEN_MS: Final = 1_000
#: A checkpoint that is not on disk after this time means that the disk hangs; the session must not run on unrecorded.
#: After a power cut the recorded uncertainty assumes 60 s at most, so the limit is two checks earlier.
CHECKPOINT_LATE_MS: Final = 60_000 - 2 * CHECK_MS
#: How often the journal's files are checked while nothing is written to them.
FILES_CHECK_MS: Final = 10_000
#: Inputs that have not answered for this long hang.
INPUTS_HANG_MS: Final = 1_500
#: A meter measures every second, for a second at most.
METER_HANG_MS: Final = 3_000
#: A larger change of the wall clock against the boot clock is recorded.
CLOCK_STEP: Final = timedelta(seconds=1)


class Checks:
    """The checks of one gate. Each yields events for the rules, which are handled before the next check begins."""

    def __init__(self, parts: Parts, reports: Reports) -> None:
        self._has_estop = parts.config.inputs.estop_pin is not None
        self._clock = parts.clock
        self._output = parts.hardware.output
        self._output_thread = parts.hardware.output_thread
        self._readers = parts.hardware.readers
        self._inputs_thread = parts.hardware.inputs
        self._meters = parts.hardware.meters
        self._gate = parts.rules
        self._recorder = parts.recording.recorder
        self._in_force = parts.roster.in_force
        self._reports = reports
        self._problems = reports.problems
        self._entries = reports.entries
        #: Since when the contactor has been closed while it should be open.
        self._closed_since_ms: int | None = None
        #: Since when a read-back has said "open" while power is on.
        self._open_since_ms: int | None = None
        #: Requested checkpoints that are not on disk yet, the oldest first.
        self._requested_ms: list[int] = []
        self._files_checked_ms = 0
        self._hanging_readers: set[int] = set()
        self._wall_minus_boot = self._clock.wall_minus_boot()
        self._synced = False

    def run(self, now: vocabulary.Now, *, on: bool) -> Iterator[vocabulary.Event]:
        """Run all checks; `on` says whether the output is switched on."""
        yield from self._check_network_output(now)
        yield from self._check_contactor(now, on=on)
        self._check_read_back(now, on=on)
        yield from self._check_checkpoint(now)
        self._check_files(now)
        for number, reader in enumerate(self._readers):
            yield from self._check_reader(number, reader, now)
        yield from self._check_inputs(now)
        for meter in self._meters:
            yield from self._check_meter(meter, now, on=on)
        yield from [*self._in_force.changed(now), *self._reports.readers.check(now)]
        self._reports.network.check_certificate(now)
        self._reports.workers.check(now)
        self.check_clock(now)

    @property
    def sees_unasked_current(self) -> bool:
        """Whether current flows although the output is off."""
        return any(meter.sees_unasked for meter in self._meters)

    def pause_ms(self) -> int:
        """Return how soon the checks have to run again."""
        return CHECK_MS if self._closed_since_ms is None else CONTACTOR_RECHECK_MS

    def checkpoint_requested(self, boot_ms: int) -> None:
        """Note that a checkpoint was requested at `boot_ms`: it has to reach the disk in time."""
        self._requested_ms.append(boot_ms)

    def check_clock(self, now: vocabulary.Now) -> None:
        """Record how the boot clock relates to wall time: once it is known, and after each step above a second."""
        self._clock.zone = self._in_force.zone
        difference = self._clock.wall_minus_boot()
        step = difference - self._wall_minus_boot
        if now.synced and (not self._synced or abs(step) > CLOCK_STEP):
            step_ms = round(step / timedelta(milliseconds=1)) if self._synced else None
            self._entries.put("clock.synced", wire.ClockSynced(clock=self._entries.clock(now), step_ms=step_ms), now)
            self._synced = True
        # While the clock is synchronised, the known difference follows slow drift. While it is not, the last known
        # difference stays, so that all changes until the next synchronisation are recorded as one step.
        if now.synced:
            self._wall_minus_boot = difference

    def _check_network_output(self, now: vocabulary.Now) -> Iterator[vocabulary.Event]:
        """Report an output on a network that cannot be used, and when it can; what it found without a session is recorded."""
        thread = self._output_thread
        if thread is None:
            return
        thread.attend()
        for alarm in thread.alarms():
            self._entries.put_output_fault(alarm, now)
        trouble, is_raised = thread.trouble, vocabulary.Cause.OUTPUT_AWAY in self._gate.causes
        if trouble:
            self._problems["output"] = trouble
            if not is_raised:
                yield vocabulary.CauseRaised(vocabulary.Cause.OUTPUT_AWAY, trouble)
        elif is_raised:
            self._problems.pop("output", None)
            yield vocabulary.CauseCleared(vocabulary.Cause.OUTPUT_AWAY)

    def _check_contactor(self, now: vocabulary.Now, *, on: bool) -> Iterator[vocabulary.Event]:
        """Treat a contactor that stays closed over several checks as welded; a bounce does not count."""
        fault = "" if on else getattr(self._output, "take_fault", str)()
        if fault:
            self._entries.put_output_fault(fault, now)
            yield vocabulary.CauseRaised(vocabulary.Cause.OUTPUT, fault)
        if on or vocabulary.Cause.OUTPUT in self._gate.causes or self._output.read_back() is not True:
            self._closed_since_ms = None
            return
        self._output.set(on=False)  # again: a line that failed to go low may do so now
        if self._closed_since_ms is None:
            self._closed_since_ms = now.boot_ms
        if now.boot_ms - self._closed_since_ms > WELDED_MS:
            self._closed_since_ms = None
            detail = "the contactor is closed while it should be open: welded, or bridged"
            self._entries.put_output_fault(detail, now)
            yield vocabulary.CauseRaised(vocabulary.Cause.OUTPUT, detail)

    def _check_read_back(self, now: vocabulary.Now, *, on: bool) -> None:
        """Note what the read-back says, and report one that does not follow the contactor: it would not see a weld.

        It is a problem and no cause, because the machine can be switched off all the same. It lasts until the contact is
        seen to close. An emergency stop that the gate has not read yet may have opened the contactor, so the inputs must
        have answered during the whole second.
        """
        is_closed = self._output.read_back() if self._output_thread is None else None
        if is_closed is None:
            return  # none is wired, or the output is on a network: its orders take their time
        named = getattr(self._output, "open_contacts", None)
        still_open = named() if named is not None else [] if is_closed else ["the read-back"]
        self._reports.read_back = "closed" if not still_open else "differs" if is_closed else "open"
        if not on or not still_open:
            self._open_since_ms = None
            if on and "read-back" in self._problems:
                del self._problems["read-back"]
                log.info("the read-back follows the contactor again")
            return
        if self._open_since_ms is None:
            self._open_since_ms = now.boot_ms
        until_ms = self._inputs_thread.answered_ms if self._has_estop and self._inputs_thread else now.boot_ms
        if until_ms - self._open_since_ms > UNSEEN_MS and "read-back" not in self._problems:
            detail = (
                f"{' and '.join(still_open)} still said that the contactor is open a second after power went on: a welded"
                " contactor would not be found, or this one did not close"
            )
            log.warning("the read-back: %s", detail)
            self._problems["read-back"] = detail

    def _check_checkpoint(self, now: vocabulary.Now) -> Iterator[vocabulary.Event]:
        stored_ms = self._recorder.checkpoint_stored_ms
        requested_ms = self._requested_ms if self._gate.session is not None else []
        self._requested_ms = [ms for ms in requested_ms if ms > stored_ms]
        if self._requested_ms and now.boot_ms - self._requested_ms[0] > CHECKPOINT_LATE_MS:
            yield from self._reports.journal.note_problem("late", "the disk does not answer")

    def _check_files(self, now: vocabulary.Now) -> None:
        """Let the journal's thread check its files, so that a moved file is found before the next tap needs it."""
        if now.boot_ms - self._files_checked_ms >= FILES_CHECK_MS:
            self._files_checked_ms = now.boot_ms
            self._recorder.check_files()

    def _check_reader(self, number: int, reader: ReaderThread, now: vocabulary.Now) -> Iterator[vocabulary.Event]:
        """Report a poll that hangs, and its end: the reader's thread itself can notice neither."""
        silent_ms = now.boot_ms - reader.answered_ms
        hangs = silent_ms > HANG_MS
        report: ReaderFault | ReaderRecovered | None = None
        if hangs and not self._reports.readers.is_faulty(number):
            self._hanging_readers.add(number)
            report = ReaderFault(f"the reader has not answered for {silent_ms // 1000} s", number)
        elif number in self._hanging_readers and not hangs:
            self._hanging_readers.discard(number)
            if reader.is_working:  # its own thread reports a reader that answered and then failed
                report = ReaderRecovered("the reader answers again", number)
        if report is not None:
            yield from self._reports.translate(report, now)

    def _check_inputs(self, now: vocabulary.Now) -> Iterator[vocabulary.Event]:
        """Treat inputs that do not answer as pressed, above all the emergency stop, and report what cannot be read."""
        thread, problems = self._inputs_thread, self._problems
        if thread is None:
            return
        hangs = now.boot_ms - thread.answered_ms > INPUTS_HANG_MS
        for event in thread.distrust() if hangs else ():
            if problems.get("inputs") != SILENT or isinstance(event, vocabulary.CauseRaised):
                yield event
        problem = SILENT if hangs else thread.problem
        if problem and "inputs" not in problems:
            log.error("the inputs: %s", problem)
        self._problems.note("inputs", problem or None)

    def _check_meter(self, meter: MeterThread, now: vocabulary.Now, *, on: bool) -> Iterator[vocabulary.Event]:
        """Treat a meter that does not answer as a machine that works, and current without power as a welded contactor."""
        if now.boot_ms - meter.answered_ms > METER_HANG_MS:
            meter.distrust()
            yield from self._reports.translate(MeterFault(meter.name, "the meter does not answer"), now)
            if meter.limits is not None:
                yield vocabulary.Running(on=True, by=meter.name, known=False)
            return
        # In the mode audit nothing is switched, and current without a session is no fault.
        powered = on or self._gate.rules.mode is vocabulary.Mode.AUDIT
        if self._output_thread is not None:  # its output may take its time to go off, and has alarms of its own
            powered = powered or self._output_thread.may_be_on
        proof = meter.unasked(powered=powered)
        if proof is not None and vocabulary.Cause.OUTPUT not in self._gate.causes:
            detail = f"{proof.level:.1f} {meter.unit} flow while the output is off: the contactor is welded, or bridged"
            self._entries.put_output_fault(detail, now)
            yield vocabulary.CauseRaised(vocabulary.Cause.OUTPUT, detail)
