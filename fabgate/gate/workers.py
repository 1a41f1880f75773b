"""Runs the gate's threads, and starts a thread that failed again after a growing pause.

Each blocking part has one thread that only posts events. A failure is reported as an event; the daemon decides what it
means (without the journal no session can start, without the uplink it can).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

log = logging.getLogger(__name__)

RESTART_FIRST_S: Final = 0.5
RESTART_MOST_S: Final = 30.0
#: A thread that has run for this long since it was started again works; a failure after that is a new one.
WORKS_AFTER_MS: Final = 30_000


class WorkerFailed(msgspec.Struct, frozen=True):
    """The thread `name` raised and will be started again."""

    name: str
    error: str


class WorkerRestarted(msgspec.Struct, frozen=True):
    """The thread `name` runs again."""

    name: str


class Workers:
    """The gate's threads. `post` takes ``WorkerFailed`` and ``WorkerRestarted``."""

    def __init__(self, post: Callable[[object], None]) -> None:
        self._post = post
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Run `run` in a thread until it returns; run it again when it raises."""
        thread = threading.Thread(target=self._keep_running, args=(name, run), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep_running(self, name: str, run: Callable[[], None]) -> None:
        pause_s, is_logged = RESTART_FIRST_S, False
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                run()
                return
            except (Exception, SystemExit) as error:
                # The last resort of a thread that owns no power: report, and try again. A driver may call sys.exit().
                if time.monotonic() - began_s > RESTART_MOST_S:
                    pause_s, is_logged = RESTART_FIRST_S, False  # it had run for long enough: this is a new failure
                if not is_logged:
                    log.exception("the thread %s failed, and is started again until it runs", name)
                is_logged = True
                self._post(WorkerFailed(name, f"{type(error).__name__}: {error}"))
            if self._stopping.wait(pause_s):
                return
            self._post(WorkerRestarted(name))
            pause_s = min(pause_s * 2, RESTART_MOST_S)

    def stop(self, *, timeout_s: float) -> list[str]:
        """Wait for all threads, at most `timeout_s` in all; return the names of those that still run."""
        self._stopping.set()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]
