"""The collectors that are measured: real processes, each with its own data, and a real Mosquitto."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.gates import INSTALLED, ROOT, BenchError
from bench.harness import Run
from bench.light_gates import Outcome, Workload
from bench.people import SITE
from tests.support import postgresql
from tests.support.mosquitto import Mosquitto

#: As config/mosquitto.conf has it; the untouched broker has none of these.
TUNED = ("max_inflight_messages 1000", "max_queued_messages 20000", "message_size_limit 65536")
#: How long a process may take to start.
START_S = 60.0


@contextlib.contextmanager
def broker(run: Run, *, tuned: bool = True) -> Iterator[int]:
    """Run Mosquitto as the docs configure it, or with its defaults; give its port."""
    mosquitto = Mosquitto(run.fresh("broker"), lines=TUNED) if tuned else Untouched(run.fresh("broker"))
    mosquitto.start()
    try:
        yield mosquitto.port
    finally:
        mosquitto.stop()


class Untouched(Mosquitto):
    """A broker with a listener and no other settings."""

    def config(self) -> str:
        """Return the least that it needs."""
        return f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nlog_dest file {self.log}\n"


@dataclass(frozen=True)
class Home:
    """Where a collector's data is: a directory, and a PostgreSQL database if `database_url` is set."""

    data: Path
    database_url: str = ""

    def environment(self, **more: Any) -> dict[str, str]:
        """Return the environment of its processes."""
        plain = {name: text for name, text in INSTALLED.items() if not name.startswith("FABGATE_")}
        own = {"FABGATE_SITE": SITE, "FABGATE_DATA": str(self.data), "FABGATE_TZ": "Europe/Paris"}
        if self.database_url:
            own["FABGATE_DATABASE_URL"] = self.database_url
        return {**plain, **own, **{name: str(value) for name, value in more.items()}}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Query its database."""
        if self.database_url:
            import psycopg

            with psycopg.connect(self.database_url) as connection:
                return connection.execute(statement).fetchall()
        with contextlib.closing(sqlite3.connect(self.data / "collector.db")) as connection:
            return connection.execute(statement).fetchall()


def empty(run: Run, name: str = "data", *, database_url: str = "") -> Home:
    """Make a collector with machines and members, and no sessions yet."""
    home = Home(run.fresh(name), database_url)
    child = Child("bench.books", home, "0")
    child.end()
    return home


class Child:
    """A Python module of ours in its own process: it prints ``ready``, then answers each line with a line of JSON."""

    def __init__(self, module: str, home: Home | None, *arguments: str, **more: Any) -> None:
        env = home.environment(**more) if home else INSTALLED
        self._name = module
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid

    def ready(self) -> None:
        """Wait until it takes lines."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise BenchError(f"{self._name} did not start: it printed {line!r}")

    def send(self, line: str) -> None:
        """Send a line."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Return its next line, decoded."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self._name} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, line: str) -> Any:
        """Send a line and return the answer."""
        self.send(line)
        return self.answer()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """Wait until it has finished."""
        self.process.communicate()
        if self.process.returncode:
            raise BenchError(f"{self._name} ended with {self.process.returncode}")


class Gates(Child):
    """Light gates: connected when made."""

    def __init__(self, workload: Workload) -> None:
        super().__init__("bench.light_gates", None)
        self.send(json.dumps(msgspec.to_builtins(workload)))
        self.ready()

    def go(self) -> None:
        """Start them."""
        self.send("go")

    def outcome(self) -> Outcome:
        """Wait until everything is acknowledged; return how it went."""
        return msgspec.convert(self.answer(), Outcome)


@contextlib.contextmanager
def process(home: Home, verb: str, log: Path, started: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a verb of the collector; give the process once `started` is in its log."""
    with log.open("ab") as out:
        began = out.tell()
        running = subprocess.Popen(
            [sys.executable, "-m", "fabgate.collector", verb],
            cwd=ROOT,
            env=home.environment(**more),
            stdout=out,
            stderr=out,
        )
    try:
        until = time.monotonic() + START_S
        while started.encode() not in log.read_bytes()[began:]:
            if running.poll() is not None or time.monotonic() > until:
                raise BenchError(f"{verb} did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def ingest(home: Home, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the ingest until it serves."""
    with process(home, "ingest", home.data / "ingest.log", f"serving {SITE}", FABGATE_MQTT_PORT=port) as running:
        yield running


@contextlib.contextmanager
def web(home: Home, port: int, web_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the web server."""
    ports = {"FABGATE_MQTT_PORT": port, "FABGATE_WEB_PORT": web_port}
    with process(home, "web", home.data / "web.log", "serving http", **ports) as running:
        yield running


@contextlib.contextmanager
def careful_postgresql() -> Iterator[str]:
    """Run a PostgreSQL with durable commits, as a workshop does; give the URL of an empty database."""
    programs = postgresql.programs()
    if programs is None:
        raise BenchError("no PostgreSQL server on this computer; on Debian: sudo apt install postgresql")
    import psycopg

    with postgresql.cluster(programs, ("listen_addresses=", "max_connections=60")) as server:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        yield f"{server}/bench"


def check_stored_once(home: Home, prefix: str, outcome: Outcome) -> None:
    """Raise BenchError unless the collector holds exactly what the gates wrote."""
    (entries,) = home.rows(
        "SELECT count(*) FROM collector_entry e JOIN collector_journal j ON j.id = e.journal_id"
        f" JOIN collector_gate g ON g.id = j.gate_id WHERE g.name LIKE '{prefix}-%'"
    )
    (sessions,) = home.rows(
        "SELECT count(*), sum(s.counted_ms) FROM collector_usagesession s JOIN collector_gate g ON g.id = s.gate_id"
        f" WHERE s.has_end AND g.name LIKE '{prefix}-%'"
    )
    (refusals,) = home.rows(
        "SELECT count(*) FROM collector_refusal r JOIN collector_gate g ON g.id = r.gate_id"
        f" WHERE g.name LIKE '{prefix}-%'"
    )
    found = (int(entries[0]), int(sessions[0]), int(sessions[1] or 0), int(refusals[0]))
    wanted = (outcome.entries, outcome.ended, outcome.energised_ms, outcome.refused)
    if found != wanted:
        raise BenchError(f"entries, sessions, milliseconds and refusals: found {found}, wanted {wanted}")


def copy(source: Path, target: Path) -> Path:
    """Copy a database file, sharing its blocks where the file system can."""
    subprocess.run(["cp", "--reflink=auto", str(source), str(target)], check=True)
    os.utime(target)
    return target
