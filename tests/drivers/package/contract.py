"""The reader against the contract, on a pseudo-terminal in place of the serial line."""

from __future__ import annotations

import contextlib
import os
from functools import reduce
from operator import xor

import pytest
from serial_line import SerialLineReader

from fabgate.testing.readers import ReaderContract


class TestSerialLine(ReaderContract):
    @pytest.fixture(autouse=True)
    def bench(self, tmp_path):
        self.port = tmp_path / "tty"
        self.plug()
        yield
        self.unplug()

    def make(self):
        return SerialLineReader(SerialLineReader.Options(port=str(self.port)))

    def place(self, uid, *, torn=None):
        line = f"{uid.hex().upper()}*{reduce(xor, uid):02X}"
        os.write(self.device, (line if torn is None else line[: 4 * torn]).encode() + b"\n")
        if uid == getattr(self, "lies", None):
            raise AssertionError("a card that lies there sends nothing")
        if getattr(self, "lies", None) and torn is None:
            raise NotImplementedError("the device reads one card at a time")
        self.lies = uid if torn is None else None

    def remove(self, uid=None):
        self.lies = None

    def plug(self):
        self.device, line = os.openpty()
        self.port.symlink_to(os.ttyname(line))
        os.close(line)
        self.lies = None

    def unplug(self):
        self.port.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self.device)
