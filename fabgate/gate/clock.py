"""The gate's clock: durations, wall time, and whether the wall time can be trusted.

Durations come from CLOCK_BOOTTIME alone, which counts through suspend and cannot be set. Wall time is a label: most Pis
have no clock chip, so after a power cut it is wrong until the network corrects it, and it may jump by years. Each
reading therefore says whether the wall clock is synchronised. ``clock.source`` in gate.yaml chooses who decides that:

``kernel``         adjtimex(2): the kernel's own STA_UNSYNC flag (chrony and timesyncd both clear it)
``timesyncd``      the flag file of systemd-timesyncd
``assume-synced``  always synchronised: for containers, where the host keeps the time and the kernel does not say so
``emulated``       for demos: a file plays power and clock (drivers/emulated/clock.py)
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fabgate.drivers import open_emulated
from fabgate.rules.vocabulary import Now

SOURCES: Final = ("kernel", "timesyncd", "assume-synced", "emulated")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_STA_UNSYNC: Final = 0x0040  # linux/timex.h
_TIME_ERROR: Final = 5  # linux/timex.h: TIME_ERROR, the clock is not synchronised
# struct timex has 208 bytes on 64-bit Linux and fewer on 32-bit; `status` follows modes and four longs.
_TIMEX_BYTES: Final = 512


def open_clock(source: str, state_dir: Path) -> Clock:
    """Return the clock that gate.yaml names. Raises HardwareError when an emulated one cannot be opened."""
    if source != "emulated":
        return Clock(source)
    emulated = open_emulated("clock", state_dir)
    return Clock(source, boot=emulated.boot, boot_ms=emulated.boot_ms, wall=emulated.wall, synced=emulated.synced)


def boottime_ms() -> int:
    """Return CLOCK_BOOTTIME in whole milliseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


class Clock:
    """The gate's clock. `source` says who decides whether the wall clock is synchronised; `zone` is the site's.

    `floor` is the last wall time known to the journal: while unsynchronised, the clock never shows an earlier time.
    Everything it reads is injected, so that tests can move it.
    """

    def __init__(
        self,
        source: str = "kernel",
        *,
        zone: str = "UTC",
        boot: str | None = None,
        boot_ms: Callable[[], int] = boottime_ms,
        wall: Callable[[], float] = time.time,
        synced: Callable[[], bool] | None = None,
    ) -> None:
        self.boot = boot or boot_id()
        self.zone = ZoneInfo(zone)
        self.floor: datetime | None = None
        self.boot_ms = boot_ms
        self._wall = wall
        sources: dict[str, Callable[[], bool]] = {"kernel": kernel_synced, "timesyncd": _TIMESYNCD.exists}
        self._synced = synced or sources.get(source, _always)

    def now(self) -> Now:
        """Read the clock."""
        synced = self._synced()
        try:
            local = datetime.fromtimestamp(self._wall(), self.zone)
        except (OverflowError, ValueError, OSError):  # the last hours of the year 9999 exist in UTC, but not east of it
            local, synced = (self.floor or datetime(1970, 1, 1, tzinfo=UTC)).astimezone(self.zone), False
        if not synced and self.floor is not None and local < self.floor:
            local = self.floor.astimezone(self.zone)
        return Now(self.boot_ms(), local, synced)

    def wall_minus_boot(self) -> timedelta:
        """Return wall time minus boot time: it changes only when the wall clock is set. Zero when out of range."""
        try:
            return timedelta(seconds=self._wall(), milliseconds=-self.boot_ms())
        except (OverflowError, ValueError):
            return timedelta()


def kernel_synced(libc: Any = None) -> bool:
    """Return whether the kernel says that the wall clock is synchronised; False when it cannot be asked.

    On an error the struct stays zero and would look synchronised, so the result is checked first. A seccomp filter
    answers EPERM here. `libc` is this system's by default.
    """
    libc = libc or _libc()
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = libc.adjtimex(timex)
    except AttributeError:
        return False
    if state < 0 or state == _TIME_ERROR:
        return False
    status_at = 5 * ctypes.sizeof(ctypes.c_long)  # modes (padded), offset, freq, maxerror, esterror
    return not ctypes.c_int.from_buffer(timex, status_at).value & _STA_UNSYNC


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # opened once: the clock is read for every event


def _always() -> bool:
    return True


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable: a new file is on disk only once its directory is."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
