"""A panel for tests of what is shown when."""

from __future__ import annotations

from msgspec import structs

from fabgate.drivers.panels import Notice
from fabgate.gate.panel.panel_thread import PanelThread


class Wall(PanelThread):
    """A panel whose time passes when a test says so: it keeps what is seen now, and what is seen after that."""

    def __init__(self) -> None:
        self.seen = Notice("off")
        self.then = Notice("off")
        self.heard: list[str] = []

    def show(self, notice: Notice, *, then: Notice | None = None) -> None:
        self.seen = notice
        self.heard.append(notice.sound)
        if then is not None:
            self.then = then
        elif not notice.for_s:
            self.then = structs.replace(notice, sound="")

    def update(self, notice: Notice) -> None:
        self.then = structs.replace(notice, sound="")
        if not self.seen.for_s:
            self.show(self.then)

    def passes(self) -> Notice:
        if self.seen.for_s:
            self.show(self.then)
        return self.seen
