"""The thread of the inputs: reads and debounces buttons and run-sense. An unreadable input counts as pressed, but as no act.

So what it switches off goes off; but no person has stopped a job, or begun to report a defect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from fabgate.drivers.inputs import POLL_S, Debounced
from fabgate.errors import HardwareError
from fabgate.gate.clock import boottime_ms
from fabgate.gate.config.gate_yaml import Inputs
from fabgate.rules import vocabulary

REOPEN_S: Final = 1.0
#: What is wrong with inputs of which a read hangs.
SILENT: Final = "the inputs do not answer"


class InputLevels(Protocol):
    """The levels of the inputs: ``GpioInputs``, or a fake."""

    def open(self) -> None:
        """Claim the inputs. Raises HardwareError."""

    def read(self) -> dict[str, bool]:
        """Return for each input whether its circuit is open. Raises HardwareError."""

    def close(self) -> None:
        """Release the inputs. Never raises."""


def input_pins(section: Inputs) -> dict[str, int]:
    """Return the BCM pins of the configured inputs by name: running, stop, estop, flag."""
    pins = {name.removesuffix("_pin"): getattr(section, name) for name in section.__struct_fields__}
    return {name: pin for name, pin in pins.items() if pin is not None}


class InputsThread:
    """One gate's inputs. `names` are the wired ones; `post` takes events of the rules."""

    def __init__(
        self,
        levels: InputLevels,
        names: list[str],
        post: Callable[[object], None],
        *,
        boot_ms: Callable[[], int] = boottime_ms,
    ) -> None:
        self._levels = levels
        self._inputs = {name: Debounced() for name in names}
        self._post = post
        self._stop = threading.Event()
        self._distrusted = threading.Event()
        self._boot_ms = boot_ms
        #: When the inputs last answered: the only way to notice a read that hangs.
        self.answered_ms = boot_ms()
        #: Why they cannot be read; "" if they can.
        self.problem = ""

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def distrust(self) -> list[vocabulary.Event]:
        """Count every input as pressed until its circuit is closed again; return what that means. Thread-safe."""
        self._distrusted.set()
        return [_changed(name, pressed=True, why=SILENT, known=False) for name in self._inputs]

    def run(self) -> None:
        """Poll until asked to stop. Every input begins as pressed; a closed circuit clears it after a few polls."""
        self._inputs = {name: Debounced() for name in self._inputs}
        for name in self._inputs:
            self._post_change(name, pressed=True, why="not seen to be closed yet", known=False)
        while not self._stop.is_set():
            try:
                self._levels.open()
                while not self._stop.is_set():
                    self.poll()
                    self._stop.wait(POLL_S)
            except HardwareError as error:
                self.problem = str(error)
                self._lost(str(error))
                self._levels.close()
                self.answered_ms = self._boot_ms()  # the failure is known, and the inputs count as pressed
                self._stop.wait(REOPEN_S)
        self._levels.close()

    def poll(self) -> None:
        """Read every input once. Raises HardwareError."""
        levels = self._levels.read()
        self.answered_ms, self.problem = self._boot_ms(), ""
        if self._distrusted.is_set():
            self._distrusted.clear()
            self._lost(SILENT)
        for name, is_open in levels.items():
            if self._inputs[name].update(is_open=is_open):
                self._post_change(name, pressed=is_open, why="pressed, or its wire is broken")

    def _lost(self, why: str) -> None:
        for name, debounced in self._inputs.items():
            if not debounced.pressed:
                self._post_change(name, pressed=True, why=why, known=False)
            self._inputs[name] = Debounced()

    def _post_change(self, name: str, *, pressed: bool, why: str, known: bool = True) -> None:
        if pressed or name != "stop":  # that the stop button is released means nothing
            self._post(_changed(name, pressed=pressed, why=why, known=known))


def _changed(name: str, *, pressed: bool, why: str, known: bool) -> vocabulary.Event:
    """Return what it means for the rules that an input is pressed or released; not `known` if it cannot be read."""
    match name:
        case "estop":
            estop = vocabulary.Cause.ESTOP
            return vocabulary.CauseRaised(estop, why) if pressed else vocabulary.CauseCleared(estop)
        case "running":
            return vocabulary.Running(pressed, known=known)
        case "flag":
            # A button that cannot be read asks nothing: the next tap would answer without anybody having pressed it.
            return vocabulary.FlagPressed(pressed and known)
    return vocabulary.StopPressed(known=known)
