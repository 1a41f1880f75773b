"""The real gate daemon, whose reader and button are functions: ``python -m bench.gates.driven CONFIG``."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import calls
from fabgate.cli.run import load
from fabgate.gate.daemon import Daemon
from fabgate.gate.roster import http_source
from fabgate.rules import vocabulary

#: Not libraries of the gate: our own code, and the stand-ins that it installs.
OURS = frozenset({"fabgate", "bench", "__main__", "RPi", "spidev"})


class TimedDaemon(Daemon):
    """The daemon, which also records when it had handled the events that were fed to it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.due_s: dict[int, float] = {}
        self.answered: list[tuple[float, float]] = []

    def _handle(self, event: vocabulary.Event, now: vocabulary.Now) -> None:
        super()._handle(event, now)
        due_s = self.due_s.pop(id(event), None)
        if due_s is not None:
            self.answered.append((due_s, time.perf_counter()))


class Feed:
    """Posts an event every `every_s` seconds from a thread of its own."""

    def __init__(self, every_s: float, make: Callable[[], vocabulary.Event]) -> None:
        self._every_s = every_s
        self._make = make
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due_s = time.perf_counter()
        kept = []  # kept alive, so that no two have the same id()
        while not self._ended.is_set():
            due_s += self._every_s
            pause_s = due_s - time.perf_counter()
            if pause_s > 0:
                time.sleep(pause_s)
            event = self._make()
            kept.append(event)
            daemon.due_s[id(event)] = due_s
            daemon.post(event)

    def end(self) -> None:
        """Stop, and wait until all are handled."""
        self._ended.set()
        self._thread.join()
        while daemon.due_s:
            time.sleep(0.01)


daemon: TimedDaemon
_feed: Feed


def present(badge: str) -> None:
    """Post what a reader would."""
    daemon.post(vocabulary.Presented(badge))


def stop() -> None:
    """Post what a button would."""
    daemon.post(vocabulary.StopPressed())


def feed(every_s: float, badges: Sequence[str]) -> None:
    """Post an event every `every_s`, whether or not the last one was handled: these badges in turn, or ticks."""
    global _feed
    daemon.answered.clear()
    if badges:
        turn = itertools.cycle(badges)
        _feed = Feed(every_s, lambda: vocabulary.Presented(next(turn)))
    else:
        _feed = Feed(every_s, vocabulary.Tick)


def fed() -> list[tuple[float, float]]:
    """End that; return for each event when it was due and when the rules had handled it (seconds)."""
    _feed.end()
    return daemon.answered


def libraries() -> list[str]:
    """Return the imported modules that have a name to import them by, in order."""
    return [
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in OURS and getattr(module, "__spec__", None) is not None
    ]


def hurry(times: int) -> None:
    """Write the receipt of the roster that many times as often from now on."""
    http_source.RECEIPT_EVERY_MS //= times  # type: ignore[misc]  # a constant of the gate


def _serve() -> None:
    calls.serve(sys.modules[__name__])
    daemon.stop()


def main() -> int:
    """Run until stdin ends."""
    global daemon
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    daemon = TimedDaemon(load(Path(sys.argv[1])))
    daemon.handle_signals()
    threading.Thread(target=_serve, daemon=True).start()
    return daemon.run()


if __name__ == "__main__":
    sys.exit(main())
