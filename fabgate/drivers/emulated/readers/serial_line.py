"""An emulated reader on a serial line: a pseudo-terminal that sends what such readers send.

    with SerialLine(Path("/tmp/reader")) as line:
        line.send(rdm6300(bytes.fromhex("0A00B1C2D3")))

A gate with ``reader: {driver: serial, port: /tmp/reader, format: rdm6300}`` then reads a badge.
"""

from __future__ import annotations

import contextlib
import os
import select
import tty
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Self


def rdm6300(raw: bytes) -> bytes:
    """Return the frame that an RDM6300 sends for the five bytes of a badge."""
    return b"\x02" + f"{raw.hex().upper()}{reduce(xor, raw):02X}".encode() + b"\x03"


class SerialLine:
    """A serial line whose device is at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = -1
        self.plug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    @property
    def is_read(self) -> bool:
        """Return whether a gate has the device open."""
        hung_up = select.poll()
        hung_up.register(self._reader, 0)
        return not hung_up.poll(0)

    def send(self, frame: bytes) -> None:
        """Send bytes as the reader does. Without a gate that listens they wait, as long as they fit."""
        os.write(self._reader, frame)

    def plug(self) -> None:
        """Let the device appear."""
        self._reader, line = os.openpty()
        tty.setraw(line)
        self._path.symlink_to(os.ttyname(line))
        os.close(line)

    def unplug(self) -> None:
        """Let the device vanish, as a USB adapter does that is pulled."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self._reader)
