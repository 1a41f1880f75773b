"""Who drives the panel? A thread that shows the newest notice, for as long as it is true, and never holds up the loop."""

from __future__ import annotations

import logging
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.gate.config.gate_yaml import Driver, make_driver
from fabgate.gate.panel.messages import DARK

log = logging.getLogger(__name__)


class Notices:
    """The panel's thread; without a panel in the configuration notices go to the log.

    A notice that passes (``Notice.for_s``) is followed by what stands: the last notice that does not pass, without its
    sound, or what was given as `then`, whose sound is heard once.
    """

    def __init__(self, section: Driver | None) -> None:
        self._section = section
        self._queue: SimpleQueue[tuple[Notice, Notice | None] | None] = SimpleQueue()
        self._lasting = DARK

    def show(self, notice: Notice, *, then: Notice | None = None) -> None:
        """Queue a notice; once it has passed, `then` is shown and stands instead of what stood before."""
        self._queue.put((notice, then))

    def stop(self) -> None:
        """Ask the thread to end once all is shown."""
        self._queue.put(None)

    def run(self) -> None:
        """Show notices until told to stop."""
        panel: Any = None
        if self._section is not None:
            panel = make_driver("panel", self._section)
            panel.open()
        passes_s: float | None = None
        try:
            while True:
                try:
                    told = self._queue.get(timeout=passes_s)
                except Empty:
                    told = self._lasting, None  # it does not pass, so it stands from now on without its sound
                if told is None:
                    return
                notice, then = told
                if panel is None:
                    log.info("[%s] %s", notice.light, " / ".join(notice.lines))
                else:
                    panel.show(notice)
                passes_s = notice.for_s or None
                if then is not None:
                    self._lasting = then
                elif passes_s is None:
                    self._lasting = msgspec.structs.replace(notice, sound="")
        finally:
            if panel is not None:
                panel.close()
