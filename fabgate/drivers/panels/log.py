"""A panel that writes each notice as one line to the log or to a file."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.errors import HardwareError

log = logging.getLogger("fabgate.panel")


class LogOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: log}``. `file`: append to this file instead of logging."""

    file: Path | None = None


class LogPanel:
    """The Panel contract in text."""

    Options = LogOptions

    def __init__(self, options: LogOptions) -> None:
        self._options = options

    def open(self) -> None:
        """Check the file. It is opened again for each notice, so that it can be rotated. Raises HardwareError."""
        try:
            self._write("")
        except OSError as error:
            raise HardwareError(
                f"{self._options.file}: the panel's file cannot be written ({error.strerror})"
            ) from error

    def show(self, notice: Notice) -> None:
        """Write one line: light, sound and the text."""
        line = f"[{notice.light}{'+' + notice.sound if notice.sound else ''}] {' / '.join(notice.lines)}"
        if self._options.file is None:
            log.info("%s", line)
        else:
            self._write(line + "\n")

    def close(self) -> None:
        """Do nothing."""

    def _write(self, text: str) -> None:
        if self._options.file is not None:
            with Path(self._options.file).open("a", encoding="utf-8") as out:
                out.write(text)
