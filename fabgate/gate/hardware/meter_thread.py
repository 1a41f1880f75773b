"""The thread of one meter: measures once a second, and posts what follows. An unreadable meter counts as running."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import msgspec

from fabgate.drivers.meters import Measurement, Meter
from fabgate.errors import HardwareError
from fabgate.gate.clock import boottime_ms
from fabgate.gate.hardware.meter_reports import MeterFault, MeterRecovered
from fabgate.rules import vocabulary
from fabgate.rules.sensing import Limits, Unasked, Work

#: From the begin of one measurement to that of the next.
EVERY_MS: Final = 1_000
REOPEN_S: Final = 1.0
#: A measurement that is older says nothing of now.
FRESH_MS: Final = 3_000


class Seen(msgspec.Struct, frozen=True):
    """The newest measurement, and when it ended (CLOCK_BOOTTIME)."""

    measured: Measurement
    at_ms: int


class MeterThread:
    """One meter. `name` is for people and logs; `post` takes events of the rules and of ``meter_reports``.

    `seen` is None until the meter was read for the first time, and while it cannot be read.
    """

    def __init__(
        self, meter: Meter, name: str, post: Callable[[object], None], *, boot_ms: Callable[[], int] = boottime_ms
    ) -> None:
        self._meter = meter
        self._post = post
        self._boot_ms = boot_ms
        self._stop = threading.Event()
        self._distrusted = threading.Event()
        self._work = Work()
        self._is_broken = False
        self._energy_wh: int | None = None
        self._unasked = Unasked()
        #: When the measurement ended that `unasked` saw last.
        self._judged_ms = 0
        self.name = name
        self.unit = meter.unit
        self._keeps_count = getattr(meter, "keeps_count", False)
        #: Whether it measures by the gate's output, which itself finds power that flows without a session.
        self.is_of_output = getattr(meter, "of_output", False)
        found = meter.thresholds
        #: At which level the machine works; None for a meter that does not tell.
        self.limits = (
            None
            if found is None
            else Limits(found.running_above, found.stopped_below, round(found.stopped_after_s * 1000))
        )
        self.seen: Seen | None = None
        #: When the meter last answered: the only way to notice a measurement that hangs.
        self.answered_ms = boot_ms()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def distrust(self) -> None:
        """Count the machine as running until a measurement says otherwise. Thread-safe."""
        self._distrusted.set()

    def fresh(self) -> Measurement | None:
        """Return the newest measurement; None where there is none of the last seconds. Thread-safe."""
        seen = self.seen
        return None if seen is None or self._boot_ms() - seen.at_ms > FRESH_MS else seen.measured

    def unasked(self, *, powered: bool) -> Measurement | None:
        """Return the newest measurement if it proves that current flows without power. For the loop alone."""
        seen = self.seen
        if self.limits is None or self.is_of_output or seen is None or seen.at_ms == self._judged_ms:
            return None
        self._judged_ms = seen.at_ms
        self._unasked = self._unasked.see(seen.measured.level, self.limits, seen.at_ms, powered=powered)
        return seen.measured if self._unasked.is_proved(seen.at_ms) else None

    @property
    def sees_unasked(self) -> bool:
        """Whether current flowed without power when the loop last looked."""
        return self._unasked.since_ms is not None

    def run(self) -> None:
        """Measure until asked to stop. The machine counts as running until it is seen to stand still."""
        self.answered_ms = self._boot_ms()
        self._lose()
        while not self._stop.is_set():
            try:
                self._meter.open()
                while not self._stop.is_set():
                    began_ms = self._boot_ms()
                    self.measure()
                    self._stop.wait(max(0, began_ms + EVERY_MS - self._boot_ms()) / 1000)
            except HardwareError as error:
                self._fail(str(error))
                self._meter.close()
                self._stop.wait(REOPEN_S)
        self._meter.close()

    def measure(self) -> None:
        """Measure once, and post what has changed. Raises HardwareError."""
        measured = self._meter.read()
        self.answered_ms = at_ms = self._boot_ms()
        if self._distrusted.is_set():
            self._distrusted.clear()
            self._is_broken = True
            self._lose()
        self.seen = Seen(measured, at_ms)
        if self._is_broken:
            self._is_broken = False
            self._post(MeterRecovered(self.name))
        if self.limits is not None:
            before, self._work = self._work, self._work.see(measured.level, self.limits, at_ms)
            if self._work.works is not before.works:
                self._post(vocabulary.Running(self._work.works, self.name))
        if (
            self._meter.counts
            and measured.energy_wh != self._energy_wh
            and not (self._keeps_count and measured.energy_wh is None)
        ):
            self._energy_wh = measured.energy_wh
            self._post(vocabulary.EnergyCounted(measured.energy_wh))

    def _fail(self, detail: str) -> None:
        self._is_broken = True
        self._post(MeterFault(self.name, detail))
        self._lose()
        self.answered_ms = self._boot_ms()  # the failure is known, and the machine counts as running

    def _lose(self) -> None:
        self.seen, self._work = None, Work()
        if self.limits is not None:
            self._post(vocabulary.Running(on=True, by=self.name, known=False))
        if self._meter.counts and not self._keeps_count:
            self._energy_wh = None
            self._post(vocabulary.EnergyCounted(None))
