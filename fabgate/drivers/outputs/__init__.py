"""What must an output do? The Output contract: the one thing that can power a machine.

An output MUST:

* do nothing in its constructor; ``open`` claims the line **at its safe level in the very call that claims it**
  (claim-then-write blips an active-low relay: gpiozero 2.0.1);
* never raise from ``set(on=False)``: switching off is tried by every way the driver knows, and what failed is
  reported by ``read_back`` or by the next ``set(on=True)``;
* raise HardwareError from ``set(on=True)`` when the line cannot be driven, leaving it off;
* answer ``read_back`` with what the load side says (a mirror contact), or None where nothing is wired; never raise
  from it: what is wired and cannot be read counts as on;
* switch off in ``close``, which may be called twice and never raises; ``open`` works again afterwards, and is off.

The output decides nothing and keeps no time. ``fabgate.testing.outputs`` tests all this, for any output.
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
        """Switch off and let go. Never raises."""
