"""The contract of meters: what a machine takes, measured beside the contactor. A meter never decides anything.

A meter MUST:

* do nothing in its constructor; ``open`` claims the device, and raises HardwareError when it does not answer;
* return from ``read`` within a second, or raise HardwareError. It never returns an old or a guessed value: a meter that
  is unplugged, or answers nonsense, raises. The gate then counts the machine as running, which never cuts a job, opens
  the meter again every second, and believes it again once it answers;
* raise nothing from ``close``, which may be called twice; afterwards ``open`` works again.

`level` is what flows now, in the meter's `unit`: amperes or watts, never estimated energy. `energy_wh` counts whole
watt-hours from any beginning, and never goes back while the meter is open; None where the meter does not count, or does
not know. A meter that counts says so by `counts = True`. One whose count goes on by itself while the gate cannot read it, and
through its restarts, also has `keeps_count = True`. One that measures by the gate's own output has `of_output = True`, and gets it
by ``use(output)`` before it is opened; of an output on a network, power that flows without a session is the output's own to find.

``thresholds`` says at which level the machine works; None for a meter that does not tell. A class may name the modules that
``open`` imports, each with what to install for it (``needs``). ``fabgate.testing.meters`` tests any meter.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Thresholds(NamedTuple):
    """The machine works above `running_above`, and has stopped after `stopped_after_s` below `stopped_below`."""

    running_above: float
    stopped_below: float
    stopped_after_s: float


class Measurement(NamedTuple):
    """What a meter measured: the level in its unit, and the energy counted so far in Wh; None: it cannot tell."""

    level: float | None = None
    energy_wh: int | None = None


@runtime_checkable
class Meter(Protocol):
    """Something that measures what a machine takes."""

    #: Of `level`: A or W; empty for a meter that only counts.
    unit: str
    #: Whether it counts energy.
    counts: bool

    @property
    def thresholds(self) -> Thresholds | None:
        """Return at which level the machine works, or None where this meter does not tell."""

    def open(self) -> None:
        """Claim the device. Raises HardwareError."""

    def read(self) -> Measurement:
        """Measure. Raises HardwareError."""

    def close(self) -> None:
        """Release the device. Never raises."""


def check_thresholds(running_above: float | None, stopped_below: float | None, unit: str) -> None:
    """Raise ValueError unless both thresholds are given or none, the lower one below the other."""
    above, below = f"running_above_{unit.lower()}", f"stopped_below_{unit.lower()}"
    if (running_above is None) != (stopped_below is None):
        given, missing = (below, above) if running_above is None else (above, below)
        raise ValueError(f"found {given} without {missing}, wanted both, or neither for a meter that only measures")
    if running_above is not None and stopped_below is not None and not stopped_below < running_above:
        raise ValueError(f"found {below} {stopped_below:g} and {above} {running_above:g}, wanted the first to be lower")
