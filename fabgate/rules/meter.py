"""Counts how long a session had power, and how long the machine worked, by the boot clock alone.

``energised`` is the time from power on to power off, the fan's run-on included. ``running`` is the part of it during
which the machine worked; the run-on never counts. Both are whole milliseconds and only ever grow.
"""

from __future__ import annotations

from typing import NamedTuple


class Meter(NamedTuple):
    """Counters of one session; every method returns a new meter. Times are milliseconds of CLOCK_BOOTTIME."""

    energised_ms: int = 0
    running_ms: int = 0
    energised_since: int | None = None
    running_since: int | None = None

    def energise(self, at_ms: int) -> Meter:
        """Count from `at_ms`: power went on, or the session took over a machine that had power."""
        return Meter(self.energised_ms, self.running_ms, at_ms, self.running_since)

    def run(self, at_ms: int, *, on: bool) -> Meter:
        """Note that the machine started or stopped working at `at_ms`. Work without power is not counted."""
        counted = self._run_until(at_ms)
        since = at_ms if on and self.energised_since is not None else None
        return counted if counted.running_since == since else counted._replace(running_since=since)

    def read(self, at_ms: int) -> Meter:
        """Return a meter that is up to date at `at_ms` and still counts."""
        counted = self._run_until(at_ms)
        if self.energised_since is not None:
            spent = max(0, at_ms - self.energised_since)
            counted = counted._replace(energised_ms=self.energised_ms + spent, energised_since=at_ms)
        return counted

    def stop(self, at_ms: int) -> Meter:
        """Return the final counters: power went off at `at_ms`, or another session took over."""
        return self.read(at_ms)._replace(energised_since=None, running_since=None)

    def _run_until(self, at_ms: int) -> Meter:
        if self.running_since is None:
            return self
        spent = max(0, at_ms - self.running_since)
        return self._replace(running_ms=self.running_ms + spent, running_since=at_ms)
