"""The thread of the panel: shows notices one after the other, so that a slow panel never blocks the loop."""

from __future__ import annotations

import logging
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.gate.config.gate_yaml import Driver, make_driver
from fabgate.gate.panel.messages import IDLE

log = logging.getLogger(__name__)


class PanelThread:
    """The panel's thread. Without a configured panel, notices go to the log.

    After a passing notice (``Notice.for_s``) the lasting one is shown again, without its sound. If `then` was given, it
    is shown instead, with its sound.
    """

    def __init__(self, section: Driver | None) -> None:
        self._section = section
        self._queue: SimpleQueue[tuple[Notice, Notice | None] | None] = SimpleQueue()
        self._lasting = IDLE

    def show(self, notice: Notice, *, then: Notice | None = None) -> None:
        """Queue a notice; once it has passed, `then` becomes the lasting one."""
        self._queue.put((notice, then))

    def stop(self) -> None:
        """Ask the thread to end once all queued notices are shown."""
        self._queue.put(None)

    def run(self) -> None:
        """Show notices until asked to stop."""
        panel: Any = None
        if self._section is not None:
            panel = make_driver("panel", self._section)
            panel.open()
        passes_s: float | None = None
        try:
            while True:
                try:
                    queued = self._queue.get(timeout=passes_s)
                except Empty:
                    queued = self._lasting, None  # shown again later without its sound, because it lasts
                if queued is None:
                    return
                notice, then = queued
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
