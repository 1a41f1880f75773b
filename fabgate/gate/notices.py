"""Who drives the panel? A thread that shows the newest notice and never holds up the loop."""

from __future__ import annotations

import logging
from queue import SimpleQueue
from typing import Any

from fabgate.drivers.panels import Notice
from fabgate.gate.config import Driver, make_driver

log = logging.getLogger(__name__)


class Notices:
    """The panel's thread; without a panel in the configuration notices go to the log."""

    def __init__(self, section: Driver | None) -> None:
        self._section = section
        self._queue: SimpleQueue[Notice | None] = SimpleQueue()

    def show(self, notice: Notice) -> None:
        """Queue a notice."""
        self._queue.put(notice)

    def stop(self) -> None:
        """Ask the thread to end once all is shown."""
        self._queue.put(None)

    def run(self) -> None:
        """Show notices until told to stop."""
        panel: Any = None
        if self._section is not None:
            panel = make_driver("panel", self._section)
            panel.open()
        try:
            while (notice := self._queue.get()) is not None:
                if panel is None:
                    log.info("[%s] %s", notice.light, " / ".join(notice.lines))
                else:
                    panel.show(notice)
        finally:
            if panel is not None:
                panel.close()
