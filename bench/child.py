"""A gate in a process of its own that obeys its stdin: the real daemon, and one thread more.

``present DIGEST`` and ``stop`` post what a reader and a button would. ``feed SECONDS tick|DIGEST…`` posts an event every
so many seconds, whether or not the last one was taken, until ``fed``; then one line of JSON tells for each event when it
was due and when the rules had answered it (seconds). ``modules`` names the libraries that it has imported.
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

from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.daemon import Daemon
from fabgate.rules import vocabulary as w

#: What is no library of the gate's: our own code, and the stand-ins that our code puts there.
OURS = frozenset({"fabgate", "bench", "__main__", "RPi", "spidev"})


class ToldDaemon(Daemon):
    """The daemon, which also notes when it had answered the events that were fed to it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.due_s: dict[int, float] = {}
        self.answered: list[tuple[float, float]] = []

    def _handle(self, event: w.Event, now: w.Now) -> None:
        super()._handle(event, now)
        due_s = self.due_s.pop(id(event), None)
        if due_s is not None:
            self.answered.append((due_s, time.perf_counter()))


class Feed:
    """Posts an event every `every_s` seconds from a thread of its own."""

    def __init__(self, daemon: ToldDaemon, every_s: float, make: Callable[[], w.Event]) -> None:
        self._daemon = daemon
        self._every_s = every_s
        self._make = make
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due_s = time.perf_counter()
        kept = []  # alive until the end, so that no two have one identity
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
        """Stop, and wait until all is answered."""
        self._ended.set()
        self._thread.join()
        while self._daemon.due_s:
            time.sleep(0.01)


def obey(daemon: ToldDaemon) -> None:
    """Do what stdin says until it ends."""
    feed: Feed | None = None
    for line in sys.stdin:
        verb, *arguments = line.split()
        if verb == "present":
            daemon.post(w.Presented(arguments[0]))
        elif verb == "stop":
            daemon.post(w.StopPressed())
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
    """Return the modules that can be imported by their name, in the order in which they were."""
    return [
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in OURS and getattr(module, "__spec__", None) is not None
    ]


def _maker(words: list[str]) -> Callable[[], w.Event]:
    if words == ["tick"]:
        return w.Tick
    badges = itertools.cycle(words)
    return lambda: w.Presented(next(badges))


def main() -> int:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    daemon = ToldDaemon(gate_config.load(Path(sys.argv[1])))
    daemon.handle_signals()
    threading.Thread(target=obey, args=(daemon,), daemon=True).start()
    return daemon.run()


if __name__ == "__main__":
    sys.exit(main())
