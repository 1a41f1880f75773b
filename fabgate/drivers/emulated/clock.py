"""A clock for demos, in which a small file emulates power cuts and the wall clock.

========  ==============================================================================================================
boot      the id of this boot: another one after each power cut
on_at_ms  when the power came on, in milliseconds of this computer's CLOCK_BOOTTIME; boot time counts from there
ahead_s   how far the wall clock is ahead of this computer's, in seconds; negative where it is behind
synced    whether the wall clock is synchronised
========  ==============================================================================================================

After a power cut, a Pi without a clock chip continues from a time that it stored on disk, until the network corrects
it. The file is in the gate's state directory, and is for demos only (``demo: true``).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import msgspec

from fabgate.errors import HardwareError

#: The name of the file.
EMULATED_FILE: Final = "clock.json"


class ClockState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the file, as JSON."""

    boot: str
    on_at_ms: int = 0
    ahead_s: float = 0.0
    synced: bool = True

    def write(self, path: Path) -> None:
        """Write this to the file atomically: a reader never sees half of it."""
        spare = path.with_suffix(".new")
        spare.write_bytes(msgspec.json.encode(self))
        spare.replace(path)


class EmulatedClock:
    """The clock that the file describes.

    `boot` and the boot time are read once, at the start; the rest again whenever the file changes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._says = self._read()
        self.boot = self._says.boot
        self._on_at_ms = self._says.on_at_ms

    def boot_ms(self) -> int:
        """Return the milliseconds since the power came on."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 - self._on_at_ms

    def wall(self) -> float:
        """Return the wall clock's time, in seconds since 1970."""
        return time.time() + self._read().ahead_s

    def synced(self) -> bool:
        """Return whether the wall clock is synchronised."""
        return self._read().synced

    def _read(self) -> ClockState:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - asked at every event
            seen = found.st_ino, found.st_mtime_ns
            if seen != self._seen:
                self._says = msgspec.json.decode(self._path.read_bytes(), type=ClockState)
                self._seen = seen
        except (OSError, msgspec.MsgspecError) as error:
            raise HardwareError(f"{self._path}: the emulated clock cannot be read ({error})") from error
        return self._says
