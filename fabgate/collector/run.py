"""How does a small workshop run all of it? One command that keeps ingest and web alive as processes of their own."""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STOP_S = 10.0


@dataclass
class Child:
    """One verb as a process; a process that ends is started again, after a pause that doubles while it keeps ending."""

    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float = field(default_factory=time.monotonic)

    def look(self) -> int | None:
        """Start it when it is due. Returns its exit code when it ended for good: its input is wrong."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due_at:
                self.process = subprocess.Popen([sys.executable, "-m", "fabgate.collector", *self.arguments])  # noqa: S603
                self.started_at = now
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        if code == 2:
            return code
        self.pause_s = FIRST_PAUSE_S if now - self.started_at > 60 else min(self.pause_s * 2, LONGEST_PAUSE_S)
        self.due_at = now + self.pause_s
        log.error("%s ended with code %d; it starts again in %g s", self.arguments[0], code, self.pause_s)
        return None

    def stop(self, deadline: float) -> None:
        """Wait for it to end, and kill it after `deadline` (monotonic seconds)."""
        if self.process is not None:
            try:
                self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("%s does not stop: killed", self.arguments[0])
                self.process.kill()
                self.process.wait()


def command(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT, or until a process says that its input is wrong."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    children = [Child(["ingest", *(["--takeover"] if args.takeover else [])]), Child(["web"])]
    code = 0
    while not stopping.wait(0.2):
        ended = [found for child in children if (found := child.look()) is not None]
        if ended:
            code = ended[0]
            break
    for child in children:
        if child.process is not None:
            child.process.terminate()
    deadline = time.monotonic() + STOP_S
    for child in children:
        child.stop(deadline)
    return code
