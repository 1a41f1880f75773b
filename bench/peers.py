"""The peers and companions of a gate in a measurement: an interpreter with its libraries, a broker, a light collector."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from bench import people
from bench.gates import ROOT, BenchError, GateProcess, wait_for
from bench.harness import Run
from tests.support.mosquitto import Mosquitto


def libraries(gate: GateProcess, file: Path) -> Path:
    """Ask a child gate that has been used which libraries it imported; return `file`, which names them."""
    gate.send("modules")
    file.write_text(json.dumps(gate.answer()), encoding="utf-8")
    return file


class Interpreter:
    """A process that has imported these libraries and none of our code. `took_s` is from its start until it had."""

    def __init__(self, libraries_file: Path) -> None:
        began_s = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.imports", str(libraries_file)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise BenchError("the libraries of the gate cannot be imported without it")
        self.took_s = time.perf_counter() - began_s
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


@contextlib.contextmanager
def broker(run: Run) -> Iterator[dict[str, Any]]:
    """Run Mosquitto; give the ``mqtt`` section for its gates."""
    mosquitto = Mosquitto(run.fresh("broker"), lines=("max_inflight_messages 100", "max_queued_messages 100000"))
    mosquitto.start()
    try:
        yield {"host": "127.0.0.1", "port": mosquitto.port}
    finally:
        mosquitto.stop()


@contextlib.contextmanager
def light_collector(port: int) -> Iterator[subprocess.Popen[str]]:
    """Run ``bench.acknowledger``: a collector that stores nothing and acknowledges everything."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.acknowledger", str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            raise BenchError("the light collector did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def connected(gate: GateProcess) -> None:
    """Wait until the gate is connected to its broker."""
    wait_for("the broker", lambda: gate.status().get("mqtt", {}).get("connected"), look_s=0.05)


def used(gate: GateProcess, number: int) -> None:
    """Run one session of a member."""
    gate.send(f"present {people.badge(number)}")
    gate.changed(on=True)
    gate.send("stop")
    gate.changed(on=False)
