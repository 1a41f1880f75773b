"""``fabgate collector run`` keeps ingest, worker and web running, each as a process."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
#: After a run of more than this, a process is restarted with the first pause.
STEADY_S: Final = 60.0
#: How long all processes together may take to end; systemd kills them after 30 s.
STOP_S: Final = 20.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass
class Child:
    """A verb as a process. When it ends it is restarted, after a pause that doubles with each short run."""

    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = 0.0
    due_at: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """Return the verb."""
        return self.arguments[0]

    def poll_or_start(self, now: float) -> int | None:
        """Start the process if it is due (monotonic seconds). Return its exit code if it refused its settings."""
        if self.process is None:
            if now >= self.due_at:
                command = [sys.executable, "-m", "fabgate.collector", *self.arguments]
                self.process = subprocess.Popen(command, preexec_fn=ending_with(os.getpid()))  # noqa: S603, PLW1509
                self.started_at = now
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        if code == 2:
            log.error("%s cannot run with these settings: stopping all", self.name)
            return code
        self.pause_s = self.next_pause(ran_s=now - self.started_at)
        self.due_at = now + self.pause_s
        log.error("%s ended %s; it starts again in %g s", self.name, _why(code), self.pause_s)
        return None

    def next_pause(self, *, ran_s: float) -> float:
        """Return how many seconds to wait after a run of `ran_s` seconds."""
        if ran_s > STEADY_S or not self.pause_s:
            return FIRST_PAUSE_S
        return min(self.pause_s * 2, LONGEST_PAUSE_S)

    def stop(self, deadline: float) -> None:
        """Stop the process, and kill it after `deadline` (monotonic seconds)."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("%s does not stop: killed", self.name)
            self.process.kill()
            self.process.wait()


def run(*, takeover: bool) -> int:
    """Run until SIGTERM or SIGINT, or until a process refuses its settings; return the exit code."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    children = [Child(["ingest", *(["--takeover"] if takeover else [])]), Child(["worker"]), Child(["web"])]
    code = 0
    while not stopping.wait(0.2):
        ended = [found for child in children if (found := child.poll_or_start(time.monotonic())) is not None]
        if ended:
            code = ended[0]
            break
    # In reverse order: web and worker end first, and ingest stores messages until the end.
    deadline = time.monotonic() + STOP_S
    for child in reversed(children):
        child.stop(deadline)
    return code


def ending_with(parent: int) -> Callable[[], None]:
    """Return a function that a child runs first, so that it ends if its parent is killed, and frees its port."""
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here, not between fork and exec

    def ask() -> None:
        # Until the new program begins, the handler of the parent would only note the signal, and lose it.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before the call
            os._exit(1)

    return ask


def _why(code: int) -> str:
    return f"with code {code}" if code >= 0 else f"by signal {-code}"
