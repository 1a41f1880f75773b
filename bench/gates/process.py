"""A gate in a process of its own, and what it needs around it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bench.gates import people
from bench.gates.config import PIN, reader_socket
from bench.peers.broker import broker
from bench.process import INSTALLED, WAIT_S, BenchError, Process, calling, wait_for
from bench.run import Run
from fabgate import wire
from fabgate.gate.config.hardware import SIMULATED_OUTPUT


class GateProcess(Process):
    """``fabgate run``, or with `driven` the same daemon, whose functions can be called (driven.py).

    Each change of its pin, if it switches with one, comes to ``changes`` as (on, CLOCK_BOOTTIME nanoseconds), through a pipe.
    """

    def __init__(self, config: Path, *, driven: bool = False) -> None:
        self.state_dir = config.parent / "state"
        self.changes: SimpleQueue[tuple[bool, int]] = SimpleQueue()
        threading.Thread(target=self._watch, args=(config.parent / "pins",), daemon=True).start()
        notified = Path(f"{reader_socket(config)}-notify")
        notified.unlink(missing_ok=True)
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(notified))
        self._notified.settimeout(WAIT_S)
        command = ["bench.gates.driven", str(config)] if driven else ["fabgate", "run", "--config", str(config)]
        env = {**INSTALLED, "NOTIFY_SOCKET": str(notified), SIMULATED_OUTPUT: "1"}
        super().__init__(*command, env=env, log=config.parent / "log", takes_lines=driven)

    def _watch(self, pins: Path) -> None:
        with pins.open(encoding="ascii") as pipe:
            for line in pipe:
                at_ns, pin, level = line.split()
                if pin == str(PIN):
                    self.changes.put((level == "1", int(at_ns)))

    def ready(self) -> None:
        """Wait until it takes badges."""
        try:
            while "READY=1" not in self._notified.recv(4096).decode().splitlines():
                pass
        except TimeoutError:
            raise BenchError(f"the gate did not become ready: {self.log_tail()}") from None

    def connected(self) -> None:
        """Wait until it is connected to its broker."""
        wait_for("the broker", lambda: self.status().get("mqtt", {}).get("connected"), look_s=0.05)

    def changed(self, *, on: bool) -> int:
        """Wait until the pin changes to `on`; return when it had (CLOCK_BOOTTIME nanoseconds)."""
        found, at_ns = self.changes.get(timeout=WAIT_S)
        if found is not on:
            raise BenchError(f"the pin went {'on' if found else 'off'} unexpectedly: {self.log_tail()}")
        return at_ns

    def tap(self, badge: str) -> None:
        """Present a badge to a driven gate, and wait for power."""
        self.call("present", badge)
        self.changed(on=True)

    def use(self, badge: str) -> None:
        """Run one session on a driven gate."""
        self.tap(badge)
        self.call("stop")
        self.changed(on=False)

    def status(self) -> dict[str, Any]:
        """Return its status file, or an empty dict before the gate has written one."""
        try:
            found: dict[str, Any] = json.loads((self.state_dir / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def libraries(self, file: Path) -> Path:
        """Write which libraries a driven gate has imported to `file`, and return it.

        It waits until the gate imports no more: a thread of the gate imports what fetches the roster.
        """
        found: list[str] = []
        while found != (found := self.call("libraries")):
            time.sleep(1)
        file.write_text(json.dumps(found), encoding="utf-8")
        return file

    def end(self) -> None:
        """End it in order."""
        super().end()
        self._notified.close()


@contextlib.contextmanager
def uplink(run: Run) -> Iterator[tuple[dict[str, Any], Process]]:
    """Run a broker and a collector that stores nothing; give the section ``mqtt`` and that collector."""
    lines = ("max_inflight_messages 100", "max_queued_messages 100000")
    with broker(run, lines) as port, calling("bench.peers.light_collector") as light:
        light.call("acknowledge", port)
        yield {"host": "127.0.0.1", "port": port}, light


@contextlib.contextmanager
def roster_server(run: Run) -> Iterator[tuple[dict[str, Any], Path]]:
    """Serve a sealed roster of version 1 as a collector does; give the section ``roster``, and the file that is served."""
    body = run.fresh("collector") / "body.json"
    body.write_bytes(wire.encode(people.roster(range(1))))
    with calling("bench.peers.roster_server") as server:
        yield {"url": f"http://127.0.0.1:{server.call('serve', str(body))}"}, body


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME, the clock of the pins."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
