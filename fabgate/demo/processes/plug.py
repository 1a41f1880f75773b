"""The emulated plug that powers a machine of the demo, and what a gate needs to switch it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

from fabgate.demo.observer import PlugObserver, boottime_s
from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly

#: What the machine draws while it has power: an idle 3D printer with a warm bed.
_LOAD_W: Final = 90.0


class MachinePlug:
    """A plug with a password of its own, which is written to `path`. It goes on when its gate dies, until its timer ends."""

    def __init__(self, path: Path) -> None:
        password = secrets.token_urlsafe(12)
        path.touch(mode=0o600)
        path.write_text(password, encoding="utf-8")
        self._plug = Plug(password, clock=boottime_s)
        self._plug.load_w = _LOAD_W
        self._shelly = EmulatedShelly(self._plug)
        self.observer = PlugObserver(self._plug)
        self.section: dict[str, Any] = {
            "driver": "shelly",
            "host": "127.0.0.1",
            "port": self._shelly.port,
            "device_id": self._plug.device_id,
            "password_file": str(path),
        }

    def lose_power(self) -> None:
        """Lose the mains and get them back: it is off then, as it is set up."""
        self._plug.restart()

    def close(self) -> None:
        """Leave the network."""
        self._shelly.pull_out()
