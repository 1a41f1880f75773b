"""Takes watts and watt-hours from the gate's own output, a plug that measures.

It asks nothing itself: the output's thread asks the plug once a second (``fabgate.drivers.outputs.shelly``), and this meter
reads the plug's newest answer. A plug that does not answer has no watts, and counts as a machine that works. Its counter goes on
by itself, through silence and restarts, so that a gap loses nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from fabgate.drivers.meters import Measurement, Thresholds, check_thresholds
from fabgate.errors import HardwareError

Watts = Annotated[float, msgspec.Meta(gt=0, le=100_000)]


class PlugOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``meter: {driver: plug}``.

    The machine works above `running_above_w` watts; below `stopped_below_w` for `stopped_after_s` it has stopped. Without these
    two it only measures.
    """

    running_above_w: Watts | None = None
    stopped_below_w: Watts | None = None
    stopped_after_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0

    def __post_init__(self) -> None:
        check_thresholds(self.running_above_w, self.stopped_below_w, "W")


class PlugMeter:
    """Keeps the contract of ``fabgate.drivers.meters``, on the output that ``use`` gives it."""

    Options = PlugOptions
    unit = "W"
    counts = True
    keeps_count = True
    of_output = True

    def __init__(self, options: PlugOptions) -> None:
        self._options = options
        self._output: Any = None

    def use(self, output: Any) -> None:
        """Measure by this output, which has ``power_w`` and ``energy_wh``."""
        self._output = output

    @property
    def thresholds(self) -> Thresholds | None:
        """Return at how many watts the machine works."""
        options = self._options
        if options.running_above_w is None or options.stopped_below_w is None:
            return None
        return Thresholds(options.running_above_w, options.stopped_below_w, options.stopped_after_s)

    def open(self) -> None:
        """Do nothing more than ``read``. Raises HardwareError."""
        self.read()

    def read(self) -> Measurement:
        """Return what the plug said last. Raises HardwareError where it does not answer."""
        power_w = getattr(self._output, "power_w", None)
        if power_w is None:
            raise HardwareError("plug: the gate's output does not say how many watts flow")
        return Measurement(power_w, getattr(self._output, "energy_wh", None))

    def close(self) -> None:
        """Do nothing: the plug is the output's."""
