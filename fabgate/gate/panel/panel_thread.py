"""The threads of the panels: each shows the newest notice, so that a slow panel delays neither the loop nor another one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct, structs

from fabgate.drivers.panels import Notice
from fabgate.errors import HardwareError
from fabgate.gate.clock import boottime_ms
from fabgate.gate.config.gate_yaml import Driver, make_driver
from fabgate.gate.panel.messages import IDLE

log = logging.getLogger(__name__)

#: A panel with ``repeats`` is written again after this time, or its own ``repeat_s``: it may have lost power.
REPEAT_S: Final = 10.0
#: Pauses between two attempts to use a panel that does not work; the longest is also how long it works before a failure is
#: a new one.
RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 30.0
#: A sound that comes later than this says nothing any more: the panel hung, or was away.
LATE_S: Final = 2.0
#: The sound that is repeated while a clock runs down, and how often.
TICK: Final = "tick"
TICK_EVERY_MS: Final = 10_000
#: The shortest pause between two looks at a clock.
_SHORTEST_S: Final = 0.02


class PanelFault(Struct, frozen=True):
    """The panel `name` shows nothing. It is posted once, until the panel has shown something again."""

    name: str
    detail: str


class PanelRecovered(Struct, frozen=True):
    """The panel `name` shows again what it should."""

    name: str


class PanelThread:
    """The thread of one panel. Without a section, notices go to the log. `post` takes PanelFault and PanelRecovered.

    After a passing notice (``Notice.for_s``) the lasting one is shown again, without its sound. If `then` was given, it
    is shown instead, with its sound. Times count from ``show``: a panel that was away shows what is true now.
    """

    def __init__(
        self,
        section: Driver | None,
        *,
        boot_ms: Callable[[], int] = boottime_ms,
        post: Callable[[object], None] = lambda _event: None,
        name: str = "panel",
    ) -> None:
        self._section = section
        self._boot_ms = boot_ms
        self._post = post
        self.name = name
        self._is_faulty = False
        self._changed = threading.Condition()
        self._lasting = IDLE
        self._notice: Notice | None = None
        #: Counts the notices; `_since_s` is when the current one began, `_passes_s` when it passes.
        self._number = 0
        self._since_s = 0.0
        self._passes_s: float | None = None
        self._stopping = False

    def show(self, notice: Notice, *, then: Notice | None = None) -> None:
        """Show a notice; once it has passed, `then` becomes the lasting one. Never blocks."""
        with self._changed:
            if then is not None:
                self._lasting = then
            elif not notice.for_s:
                self._lasting = structs.replace(notice, sound="")
            self._begin(notice)
            self._changed.notify()

    def update(self, notice: Notice) -> None:
        """Replace the lasting notice without a sound; a passing one stays until it has passed. Never blocks."""
        with self._changed:
            self._lasting = structs.replace(notice, sound="")
            if self._passes_s is None:
                self._begin(self._lasting)
            self._changed.notify()

    def is_passing(self, *, but: Notice | None = None) -> bool:
        """Return whether a passing notice other than the object `but` is shown now."""
        with self._changed:
            passes_s, notice = self._passes_s, self._notice
        return passes_s is not None and time.monotonic() < passes_s and notice is not but

    def stop(self) -> None:
        """Ask the thread to end once the newest notice is shown."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Show the newest notice until asked to stop. A panel that fails is opened again, after a growing pause.

        Raises UsageError if there is no such driver.
        """
        if self._section is None:
            for notice in self._notices(None):
                log.info("[%s] %s", notice.light, " / ".join(notice.lines))
            return
        pause_s = RETRY_FIRST_S
        while True:
            panel: Any = make_driver("panel", self._section)
            began_s = time.monotonic()
            try:
                self._show_on(panel)
                return
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a driver of another package may raise anything
                self._failed(error)
            if time.monotonic() - began_s > RETRY_MOST_S:
                pause_s = RETRY_FIRST_S
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, pause_s):
                    return
            pause_s = min(pause_s * 2, RETRY_MOST_S)

    def _show_on(self, panel: Any) -> None:
        panel.open()
        try:
            for notice in self._notices(
                getattr(panel, "repeat_s", REPEAT_S) if getattr(panel, "repeats", False) else None
            ):
                panel.show(notice)
                if self._is_faulty:
                    self._is_faulty = False
                    log.info("%s works again", self.name)
                    self._post(PanelRecovered(self.name))
        finally:
            panel.close()

    def _failed(self, error: BaseException) -> None:
        """Report a failure, unless the panel has shown nothing since the last one: it may be away for days."""
        if self._is_faulty:
            return
        self._is_faulty = True
        is_hardware = isinstance(error, HardwareError)
        detail = str(error) if is_hardware else f"{type(error).__name__}: {error}"
        log.error("%s does not work: %s", self.name, detail, exc_info=None if is_hardware else error)
        self._post(PanelFault(self.name, detail))

    def _notices(self, repeat_s: float | None) -> Iterator[Notice]:
        """Yield each notice when it has to be shown, with the time in its lines; None: once, as it is."""
        number, lines, written_s = -1, None, 0.0
        while True:
            with self._changed:
                while True:
                    pause_s = self._pass()
                    notice, boot_ms = self._notice, self._boot_ms()
                    found = None if notice is None else notice.lines if repeat_s is None else notice.lines_at(boot_ms)
                    if notice is not None and (self._number, found) != (number, lines):
                        break
                    if self._stopping:
                        return
                    if repeat_s is not None and notice is not None:
                        again_s = written_s + repeat_s - time.monotonic()
                        if again_s <= 0:
                            break
                        pause_s = min(again_s, pause_s or again_s)
                        changes_ms = notice.clock.changes_in_ms(boot_ms) if notice.clock else None
                        if changes_ms is not None:
                            pause_s = min(max(changes_ms / 1000, _SHORTEST_S), pause_s)
                    self._changed.wait(pause_s)
                assert notice is not None
                if number == self._number:
                    sound = _tick(notice, boot_ms) if lines != found else ""
                else:
                    sound = notice.sound if time.monotonic() - self._since_s < LATE_S else ""
                number, lines, written_s = self._number, found, time.monotonic()
            yield structs.replace(notice, sound=sound, lines=found, clock=None, turns=None)

    def _pass(self) -> float | None:
        """Let the notice pass if its time is over; return the time that it still has, None for no end."""
        if self._passes_s is None:
            return None
        left_s = self._passes_s - time.monotonic()
        if left_s > 0:
            return left_s
        lasting, self._lasting = self._lasting, structs.replace(self._lasting, sound="")
        self._begin(lasting)
        return None

    def _begin(self, notice: Notice) -> None:
        self._notice = notice
        self._number += 1
        self._since_s = time.monotonic()
        self._passes_s = self._since_s + notice.for_s if notice.for_s else None


class Panels:
    """All panels of a gate, each with its own thread; the log where there is none."""

    def __init__(
        self,
        sections: Sequence[Driver],
        *,
        boot_ms: Callable[[], int] = boottime_ms,
        post: Callable[[object], None] = lambda _event: None,
    ) -> None:
        chosen: Sequence[Driver | None] = sections or [None]
        names = [f"panel-{number}" for number in range(1, len(chosen) + 1)] if len(chosen) > 1 else ["panel"]
        self._threads = [
            PanelThread(section, boot_ms=boot_ms, post=post, name=name)
            for section, name in zip(chosen, names, strict=True)
        ]

    @property
    def named(self) -> dict[str, Callable[[], None]]:
        """Return what each thread runs, by the name of the thread."""
        return {thread.name: thread.run for thread in self._threads}

    def show(self, notice: Notice, *, then: Notice | None = None) -> None:
        """Show a notice on every panel (``PanelThread.show``)."""
        for thread in self._threads:
            thread.show(notice, then=then)

    def update(self, notice: Notice) -> None:
        """Replace the lasting notice on every panel (``PanelThread.update``)."""
        for thread in self._threads:
            thread.update(notice)

    def is_passing(self, *, but: Notice | None = None) -> bool:
        """Return whether any panel shows a passing notice other than `but`."""
        return any(thread.is_passing(but=but) for thread in self._threads)

    def stop(self) -> None:
        """Ask every thread to end."""
        for thread in self._threads:
            thread.stop()


def _tick(notice: Notice, boot_ms: int) -> str:
    """Return the sound of a clock that has just changed: one tick in ten seconds before power goes off."""
    clock = notice.clock
    if notice.sound != TICK or clock is None or not clock.is_down:
        return ""
    return TICK if max(0, clock.zero_ms - boot_ms) % TICK_EVERY_MS < 1000 else ""
