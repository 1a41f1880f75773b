"""The thread of the worker that sends to sinks. It and the rest of the worker do not wait for each other.

It is woken by pulses: a closed month and a changed session have one. Only one process of a collector sends at a time.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from fabgate.collector.ground.models import Pulse
from fabgate.collector.money.billing.sinks import config, engine
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

#: Held by the process that sends, in FABGATE_DATA.
LOCK: Final = ".sinks"
#: How often it looks for a pulse, and how often it looks at all: a program may be back, and a session settled.
LOOK_EVERY_S: Final = 2.0
TURN_EVERY_S: Final = 30.0


class Sending(threading.Thread):
    """Sends until `stopping` is set."""

    def __init__(self, stopping: threading.Event) -> None:
        super().__init__(name="sinks", daemon=True)
        self._stopping = stopping
        self._pulse = -1
        self._turned = float("-inf")
        self._mistakes = ""

    def run(self) -> None:
        """Look every two seconds whether something is due."""
        while not self._stopping.is_set():
            is_more = False
            try:
                if config.path().exists():
                    is_more = self.look(time.monotonic())
            except (DatabaseError, InterfaceError) as error:
                log.warning("sinks wait for the database: %s", error)
            except Exception:
                log.exception("sinks cannot be served now")
            connection.close()  # not kept open while nothing happens
            self._stopping.wait(0 if is_more else LOOK_EVERY_S)

    def look(self, now_s: float) -> bool:
        """Send due items, if something has changed or the last turn is long ago. Return whether there are more."""
        pulse = Pulse.newest(Pulse.CHANGE, Pulse.SESSION)
        if pulse == self._pulse and now_s - self._turned < TURN_EVERY_S:
            return False
        is_more = turn(self._stopping.is_set, self._tell)
        if not is_more:
            self._pulse, self._turned = pulse, now_s
        return is_more

    def _tell(self, mistakes: str) -> None:
        """Log the mistakes of sinks.yaml once."""
        if mistakes != self._mistakes:
            self._mistakes = mistakes
            for line in mistakes.splitlines():
                log.error("%s", line)


def turn(is_stopping: engine.IsStopping, tell: engine.Tell) -> bool:
    """Send due items. Return whether there are more; False if another process sends, or sinks.yaml has mistakes."""
    with _alone() as is_alone:
        if not is_alone:
            return False
        try:
            sinks = config.load()
        except UsageError as error:
            tell(str(error))
            return False
        tell("")
        return engine.turn(sinks, lambda: datetime.now(UTC), is_stopping)


@contextmanager
def _alone() -> Iterator[bool]:
    handle = os.open(settings.ENVIRONMENT.data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
