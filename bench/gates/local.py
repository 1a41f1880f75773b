"""A gate whose daemon runs in this process, its loop in a thread of its own."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from bench.gates.config import PIN, reader_socket
from bench.process import WAIT_S, BenchError
from fabgate.cli.run import load
from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput
from fabgate.drivers.readers import Reader
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader
from fabgate.gate.daemon import Daemon
from fabgate.rules import vocabulary


class TimedOutput(GpioOutput):
    """The gpiozero output on mock pins; ``changes`` gets (on, perf_counter nanoseconds) after each change."""

    def __init__(self) -> None:
        super().__init__(GpioOptions(pin=PIN, pins="emulated"))
        self._was_on = False
        self.changes: SimpleQueue[tuple[bool, int]] = SimpleQueue()

    def set(self, *, on: bool) -> None:
        """Drive the line, and record when that was done."""
        super().set(on=on)
        at_ns = time.perf_counter_ns()
        if on != self._was_on:
            self._was_on = on
            self.changes.put((on, at_ns))


class LocalGate:
    """The gate; without a `reader` it has a simulated one, and badges are posted to its inbox."""

    def __init__(self, config: Path, *, reader: Reader | None = None) -> None:
        self.output = TimedOutput()
        self.daemon: Daemon
        self._config = load(config)
        self._reader = reader or SimulatedReader(SimulatedOptions(control_socket=reader_socket(config)))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate")

    def _run(self) -> None:
        # Made in the thread that runs it, which opens the roster.
        self.daemon = Daemon(self._config, output=self.output, readers=[self._reader], notify=self._notified)
        self.daemon.run()

    def _notified(self, *lines: str) -> None:
        if "READY=1" in lines:
            self._ready.set()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(WAIT_S):
            raise BenchError("the gate did not become ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self._thread.join(WAIT_S)

    def changed(self, *, on: bool) -> int:
        """Wait until the output changes to `on`; return when it had (perf_counter nanoseconds)."""
        found, at_ns = self.output.changes.get(timeout=WAIT_S)
        if found is not on:
            raise BenchError(f"the output went {'on' if found else 'off'} unexpectedly")
        return at_ns

    def tap(self, badge: str) -> float:
        """Post a badge; return the microseconds until the output was on."""
        return self._post(vocabulary.Presented(badge), on=True)

    def stop(self) -> float:
        """Post the stop button; return the microseconds until the output was off."""
        return self._post(vocabulary.StopPressed(), on=False)

    def _post(self, event: vocabulary.Event, *, on: bool) -> float:
        began_ns = time.perf_counter_ns()
        self.daemon.post(event)
        return (self.changed(on=on) - began_ns) / 1000

    def tap_and_stop(self, badge: str, rest_s: float) -> tuple[float, float]:
        """Use the machine, and rest after each; return the microseconds to power, and to no power."""
        on_us = self.tap(badge)
        time.sleep(rest_s)
        off_us = self.stop()
        time.sleep(rest_s)
        return on_us, off_us
