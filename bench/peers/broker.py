"""A real Mosquitto."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.run import Run
from tests.support.mosquitto import Mosquitto

#: As config/mosquitto.conf has it.
TUNED = ("max_inflight_messages 1000", "max_queued_messages 20000", "message_size_limit 65536")


class Untouched(Mosquitto):
    """A broker with a listener and no other settings."""

    def config(self) -> str:
        """Return the least that it needs."""
        return f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nlog_dest file {self.log}\n"


@contextlib.contextmanager
def broker(run: Run, settings: tuple[str, ...] = TUNED) -> Iterator[int]:
    """Run Mosquitto with these settings, or with its defaults without settings; give its port."""
    folder = run.fresh("broker")
    mosquitto = Mosquitto(folder, lines=settings) if settings else Untouched(folder)
    mosquitto.start()
    try:
        yield mosquitto.port
    finally:
        mosquitto.stop()
