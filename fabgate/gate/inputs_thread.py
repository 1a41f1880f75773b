"""What do buttons and run-sense say? Their thread: look, debounce, post; what cannot be read counts as pressed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from fabgate.drivers.inputs import LOOK_S, Debounced
from fabgate.errors import HardwareError
from fabgate.gate.clock import boottime_ms
from fabgate.gate.config.gate_yaml import Inputs
from fabgate.rules import vocabulary as w

REOPEN_S: Final = 1.0


class Levels(Protocol):
    """What the thread looks at: ``GpioInputs``, or a fake."""

    def open(self) -> None:
        """Claim. Raises HardwareError."""

    def read(self) -> dict[str, bool]:
        """Return for each input whether it is open. Raises HardwareError."""

    def close(self) -> None:
        """Let go. Never raises."""


def pins(section: Inputs) -> dict[str, int]:
    """Return the configured inputs by name: running, stop, estop, flag."""
    found = {name.removesuffix("_pin"): getattr(section, name) for name in section.__struct_fields__}
    return {name: pin for name, pin in found.items() if pin is not None}


class Watching:
    """One gate's inputs. `names` are those that are wired; `post` takes the rules' events."""

    def __init__(
        self,
        levels: Levels,
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
        #: When the inputs were last seen to answer: a read that hangs looks like nothing else.
        self.looked_at_ms = boot_ms()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def distrust(self) -> None:
        """Count everything as pressed until it is seen to be closed again; any thread may say so."""
        self._distrusted.set()

    def run(self) -> None:
        """Look until told to stop. Everything begins as pressed; a closed circuit clears it within some looks."""
        self._inputs = {name: Debounced() for name in self._inputs}
        for name in self._inputs:
            self._tell(name, pressed=True, why="not seen to be closed yet")
        while not self._stop.is_set():
            try:
                self._levels.open()
                while not self._stop.is_set():
                    self.look()
                    self._stop.wait(LOOK_S)
            except HardwareError as error:
                self._lost(str(error))
                self._levels.close()
                self.looked_at_ms = self._boot_ms()  # it is known to be away, and counts as pressed
                self._stop.wait(REOPEN_S)
        self._levels.close()

    def look(self) -> None:
        """Look once at every input. Raises HardwareError."""
        levels = self._levels.read()
        self.looked_at_ms = self._boot_ms()
        if self._distrusted.is_set():
            self._distrusted.clear()
            self._lost("the inputs did not answer")
        for name, is_open in levels.items():
            if self._inputs[name].look(is_open=is_open):
                self._tell(name, pressed=is_open, why="pressed, or its wire is broken")

    def _lost(self, why: str) -> None:
        for name, debounced in self._inputs.items():
            if not debounced.pressed:
                self._tell(name, pressed=True, why=why)
            self._inputs[name] = Debounced()

    def _tell(self, name: str, *, pressed: bool, why: str) -> None:
        if name == "estop":
            self._post(w.CauseRaised(w.Cause.ESTOP, why) if pressed else w.CauseCleared(w.Cause.ESTOP))
        elif name == "running":
            self._post(w.Running(pressed))
        elif name == "flag":
            self._post(w.FlagPressed(pressed))
        elif pressed:
            self._post(w.StopPressed())
