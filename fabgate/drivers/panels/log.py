"""What would the panel have shown? One line a notice, into the log or a file."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from fabgate.drivers.panels import Notice

log = logging.getLogger("fabgate.panel")


class LogOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: log}``. `file`: append there instead of logging."""

    file: str | None = None


class LogPanel:
    """The Panel contract in text."""

    Options = LogOptions

    def __init__(self, options: LogOptions) -> None:
        self._options = options

    def open(self) -> None:
        """Do nothing: a file is opened for each notice, so that it may be rotated."""

    def show(self, notice: Notice) -> None:
        """Write one line: light, sound and the text."""
        line = f"[{notice.light}{'+' + notice.sound if notice.sound else ''}] {' / '.join(notice.lines)}"
        if self._options.file is None:
            log.info("%s", line)
        else:
            with Path(self._options.file).open("a", encoding="utf-8") as out:
                out.write(line + "\n")

    def close(self) -> None:
        """Do nothing."""
