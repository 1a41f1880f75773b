"""The real gate daemon in its own process, driven through stdin.

``present DIGEST`` and ``stop`` post what a reader and a button would. ``feed SECONDS tick|DIGEST…`` posts an event every
SECONDS, whether or not the last one was handled, until ``fed``; then one line of JSON gives for each event when it was due
and when the rules had handled it (seconds). ``modules`` lists the libraries that it has imported.
"""

from __future__ import annotations

import itertools
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fabgate.cli.run import load
from fabgate.gate.daemon import Daemon
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

    def __init__(self, daemon: TimedDaemon, every_s: float, make: Callable[[], vocabulary.Event]) -> None:
        self._daemon = daemon
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
            self._daemon.due_s[id(event)] = due_s
            self._daemon.post(event)

    def end(self) -> None:
        """Stop, and wait until all are handled."""
        self._ended.set()
        self._thread.join()
        while self._daemon.due_s:
            time.sleep(0.01)


def follow(daemon: TimedDaemon) -> None:
    """Run the commands on stdin until it ends."""
    feed: Feed | None = None
    for line in sys.stdin:
        verb, *arguments = line.split()
        if verb == "present":
            daemon.post(vocabulary.Presented(arguments[0]))
        elif verb == "stop":
            daemon.post(vocabulary.StopPressed())
        elif verb == "feed":
            daemon.answered.clear()
            feed = Feed(daemon, float(arguments[0]), _maker(arguments[1:]))
        elif verb == "fed":
            assert feed is not None
            feed.end()
            print(json.dumps(daemon.answered), flush=True)
        elif verb == "modules":
            print(json.dumps(_libraries()), flush=True)


def _libraries() -> list[str]:
    """Return the imported modules that have a name to import them by, in order."""
    return [
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in OURS and getattr(module, "__spec__", None) is not None
    ]


def _maker(words: list[str]) -> Callable[[], vocabulary.Event]:
    if words == ["tick"]:
        return vocabulary.Tick
    badges = itertools.cycle(words)
    return lambda: vocabulary.Presented(next(badges))


def main() -> int:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    daemon = TimedDaemon(load(Path(sys.argv[1])))
    daemon.handle_signals()
    threading.Thread(target=follow, args=(daemon,), daemon=True).start()
    return daemon.run()


if __name__ == "__main__":
    sys.exit(main())
