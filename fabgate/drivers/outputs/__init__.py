"""The contract of outputs. An output is the only part that can power a machine.

An output MUST:

* do nothing in its constructor; ``open`` claims the line **at its safe level in the very call that claims it**
  (claim-then-write blips an active-low relay: gpiozero 2.0.1);
* never raise from ``set(on=False)``: the driver tries to switch off in every way it knows, and reports a failure in
  ``read_back`` or in the next ``set(on=True)``;
* raise HardwareError from ``set(on=True)`` when the line cannot be driven, leaving it off;
* return the state of the load side (a mirror contact) from ``read_back``, or None where nothing is wired; never raise
  from it: a wired contact that cannot be read counts as on;
* switch off in ``close``, which may be called twice and never raises; afterwards ``open`` works again, and is off.

The output decides nothing and measures no time. ``fabgate.testing.outputs`` tests all this for any output.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Output(Protocol):
    """A line that powers a machine when it is on."""

    def open(self) -> None:
        """Claim the line, off. Raises HardwareError."""

    def set(self, *, on: bool) -> None:
        """Drive the line. Off never raises; on raises HardwareError when the line cannot be driven."""

    def read_back(self) -> bool | None:
        """Return whether the load side has power, or None where it is not wired. Never raises."""

    def close(self) -> None:
        """Switch off and release the line. Never raises."""
