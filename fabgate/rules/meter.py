"""Counts how long a session had power, how long the machine worked, and what it took.

``energised`` is the time from power on to power off, the fan's run-on included. ``running`` is the part of it during
which the machine worked; the run-on never counts. ``running_unknown`` is the part during which a broken meter was all that
said so: it may have worked or not. All are whole milliseconds of the boot clock and only ever grow.

``energy_wh`` is the difference of an energy meter's counts, in whole watt-hours: of two sessions without a pause between
them nothing is lost and nothing counted twice. It is None, which is not 0, from the moment when the count is not known.
"""

from __future__ import annotations

from typing import NamedTuple


class Meter(NamedTuple):
    """Counters of one session; every method returns a new meter. Times are milliseconds of CLOCK_BOOTTIME."""

    energised_ms: int = 0
    running_ms: int = 0
    energised_since: int | None = None
    running_since: int | None = None
    energy_wh: int | None = None
    counted_wh: int | None = None
    running_unknown_ms: int = 0
    unknown_since: int | None = None

    def energise(self, at_ms: int, counted_wh: int | None = None) -> Meter:
        """Count from `at_ms`: power went on, or the session took over a machine that had power.

        `counted_wh` is the energy meter's count at that moment, None where it is not known.
        """
        energy_wh = None if counted_wh is None else self.energy_wh or 0
        return self._replace(energised_since=at_ms, energy_wh=energy_wh, counted_wh=counted_wh)

    def run(self, at_ms: int, *, on: bool, known: bool = True) -> Meter:
        """Note that the machine started or stopped working at `at_ms`, or that this is not `known`.

        Work without power is not counted.
        """
        counted = self._run_until(at_ms)
        since = at_ms if on and self.energised_since is not None else None
        return counted._replace(running_since=since if known else None, unknown_since=None if known else since)

    def count_energy(self, counted_wh: int | None) -> Meter:
        """Note the energy meter's count. Energy that was unknown once stays so; a count that goes back is a new one."""
        if self.energised_since is None or self.energy_wh is None or self.counted_wh is None:
            return self
        if counted_wh is None or counted_wh < self.counted_wh:
            return self._replace(energy_wh=None, counted_wh=None)
        return self._replace(energy_wh=self.energy_wh + counted_wh - self.counted_wh, counted_wh=counted_wh)

    def read(self, at_ms: int) -> Meter:
        """Return a meter that is up to date at `at_ms` and still counts."""
        counted = self._run_until(at_ms)
        if self.energised_since is not None:
            spent = max(0, at_ms - self.energised_since)
            counted = counted._replace(energised_ms=self.energised_ms + spent, energised_since=at_ms)
        return counted

    def stop(self, at_ms: int) -> Meter:
        """Return the final counters: power went off at `at_ms`, or another session took over."""
        return self.read(at_ms)._replace(energised_since=None, running_since=None, unknown_since=None)

    def _run_until(self, at_ms: int) -> Meter:
        if self.running_since is not None:
            spent = max(0, at_ms - self.running_since)
            return self._replace(running_ms=self.running_ms + spent, running_since=at_ms)
        if self.unknown_since is not None:
            spent = max(0, at_ms - self.unknown_since)
            return self._replace(running_unknown_ms=self.running_unknown_ms + spent, unknown_since=at_ms)
        return self
