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

An output on a network is a ``NetworkOutput``: it has ``blocks = True``, and its methods wait for answers, each for a few seconds
at most. The gate gives it a thread, the only one that calls it. Its device MUST fall off by itself soon after the gate has
become silent. It MUST say only what its device has confirmed, send nothing twice, and never switch on in ``tend``. Its
``read_back`` asks nothing, and is True only for power that flows although the device says that it is off. What its answers
prove about the time with power is in its ``confirmed`` (``fabgate.drivers.outputs.confirmed``), for how many seconds the device
may stay on after the last order in its ``stays_on_s``, and whether it has confirmed to be off since the last order on in its
``is_known_off``. Without ``confirmed`` a session counts from order to order.

An output without a network may also have ``take_fault() -> str``: what it found to be broken, once, and then "". The machine is locked until a
maintainer clears it. It never raises. One with several contacts for ``read_back`` also has ``open_contacts() -> list[str]``: which
of them say that their contactor is open, each by name; it never raises, and one that cannot be read is not among them. And it may have ``problems() -> list[str]``: what ``fabgate check`` reports of the device
itself, asked without switching it, each as a sentence; it raises HardwareError when the device does not answer. ``warnings() ->
list[str]`` is the same for what should be better and forbids nothing.
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


@runtime_checkable
class NetworkOutput(Output, Protocol):
    """An output that the gate reaches over a network. It switches off by itself when the gate stops asking."""

    #: It waits for answers: the gate calls it from a thread of its own.
    blocks: bool

    def tend(self, *, on: bool) -> bool:
        """Ask the device how it is, let its timer begin again if it shall be on and is, and switch off what shall be off.

        Return whether it was on. Called about once a second. Raises HardwareError when it does not answer.
        """

    def remaining_s(self) -> float:
        """Return for how many seconds the device stays on for certain if it is not reached again."""

    def hurry(self) -> None:
        """End the request that runs soon, because an order to switch off waits. From any thread."""
