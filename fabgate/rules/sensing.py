"""What a measured current says: whether the machine works, and whether it takes power that nobody asked for. Pure.

A meter measures about once a second. Nothing here switches anything: ``Work`` becomes the event ``Running``, and a proved
``Unasked`` is a fault of the output, like a mirror contact that stays closed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: What flows for this long without power being on is not the end of a session any more. The first measurement may have
#: begun before power went off; those after it did not.
UNASKED_MS: Final = 1_500


class Limits(NamedTuple):
    """The machine works above `running_above`; below `stopped_below` for `stopped_after_ms`, it has stopped.

    Between the two it goes on doing what it did. The unit is that of the meter.
    """

    running_above: float
    stopped_below: float
    stopped_after_ms: int = 5_000


class Work(NamedTuple):
    """Whether the machine works. It does until measurements have shown that it stands still."""

    works: bool = True
    below_since_ms: int | None = None

    def see(self, level: float | None, limits: Limits, at_ms: int) -> Work:
        """Return what a measurement at `at_ms` says; `level` is None where the meter cannot be read: it works."""
        if level is None or not level <= limits.running_above:  # so that "not a number" counts as running, too
            return Work()
        if level >= limits.stopped_below:
            return Work(self.works)
        since_ms = at_ms if self.below_since_ms is None else self.below_since_ms
        return Work(self.works and at_ms - since_ms < limits.stopped_after_ms, since_ms)


class Unasked(NamedTuple):
    """Since when a machine takes current although its power should be off; None: it does not."""

    since_ms: int | None = None

    def see(self, level: float | None, limits: Limits, at_ms: int, *, powered: bool) -> Unasked:
        """Return what a measurement at `at_ms` says. What cannot be read proves nothing."""
        if powered or level is None or not level > limits.running_above:
            return Unasked()
        return self if self.since_ms is not None else Unasked(at_ms)

    def is_proved(self, at_ms: int) -> bool:
        """Return whether a measurement at `at_ms` leaves no doubt."""
        return self.since_ms is not None and at_ms - self.since_ms >= UNASKED_MS
