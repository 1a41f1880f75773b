"""A workshop that is updated and goes back: the programs of both versions on one database, as processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fabgate.collector.ground.base import data_folder
from tests.collector import postgresql
from tests.collector.gates import Journal
from tests.collector.later import LATER
from tests.collector.running import environment, run
from tests.support.patience import HANGS_S, wait
from tests.support.postgresql import programs

#: Stores what gates sent, as ingest does, and prints the number that the journal is acknowledged to.
_DELIVER = """
import json, sys
from datetime import UTC, datetime
from fabgate import wire
from fabgate.collector.processes import start
start.prepare(owns=True)
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
messages = [Received(topic, body.encode(), journal, seq) for topic, body, journal, seq in json.load(sys.stdin)]
said = Store("lyon").store(messages, datetime.now(UTC))
print([wire.decode(one.body, wire.Ack).seq for one in said if one.topic.endswith("/ack")][-1])
"""
#: Runs a verb, and is killed where `die` is called.
_KILLED = """
import os, signal, sys
def die(*_given, **_named):
    os.kill(os.getpid(), signal.SIGKILL)
from fabgate.collector.cli import verbs
{patch}
sys.exit(verbs.main(sys.argv[1:]))
"""
#: The month before this one, which can be closed.
LAST_MONTH = f"{datetime.now(UTC).date().replace(day=1) - timedelta(days=1):%Y-%m}"


class Workshop:
    def __init__(self, folder: Path) -> None:
        self.home = folder / "data"
        self.copies = folder / "copies"
        own = f"back_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
        self.url = postgresql.make(own) if postgresql.SERVER else ""
        self.older = environment(self.home, FABGATE_TZ="UTC", PYTHONPATH=":".join(sys.path))
        if self.url:
            self.older |= {"FABGATE_DATABASE_URL": self.url, "PATH": f"{programs()}:{self.older['PATH']}"}
        self.newer = self.older | LATER
        self.ending = ".dump" if self.url else ".tar.gz"

    def open(self) -> None:
        """Add a gate, and start the collector once."""
        self.done(self.older, "gate-add", "laser-1", "--machine", "laser")
        self.deliver(self.older, Journal(gate="saw-1"), 1)

    def done(self, env: dict[str, str], *arguments: str) -> str:
        """Run a verb that has to succeed; return what it prints."""
        done = run(env, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, env: dict[str, str], *arguments: str, code: int = 2) -> str:
        """Run a verb that has to fail, with a line; return that line."""
        done = run(env, *arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        return line

    def update(self) -> Path:
        """Bring the database up to date, and return the copy from before."""
        said = self.done(self.newer, "migrate", "--copy", str(self.copies))
        return Path(said.partition(": the collector from before")[0])

    def told(self, env: dict[str, str]) -> dict[str, Any]:
        """Return what the verb says, as JSON."""
        found: dict[str, Any] = json.loads(self.done(env, "rollback", "--copies", str(self.copies), "--json"))
        return found

    def go_back(self) -> str:
        return self.done(self.older, "rollback", "--copies", str(self.copies), "--yes")

    def killed(self, env: dict[str, str], patch: str, *arguments: str) -> None:
        """Run a verb in a process that is killed where its patch says."""
        program = [sys.executable, "-c", _KILLED.format(patch=patch), *arguments]
        done = subprocess.run(program, env=env, capture_output=True, text=True, check=False, timeout=HANGS_S)
        assert done.returncode == -signal.SIGKILL, done.stderr
        wait(self.is_free, "the end of the programs that it had started")

    def is_free(self) -> bool:
        handle = data_folder.lock_out(self.home)
        if handle is not None:
            os.close(handle)
        return handle is not None

    def deliver(self, env: dict[str, str], journal: Journal, first: int, **status: Any) -> int:
        """Let a gate send its status and its entries from a number on; return the acknowledged one."""
        if not journal.head:
            journal.write("gate.started", version="1")
        messages = [journal.status(**status), *journal.messages(first)]
        sent = json.dumps([[one.topic, one.body.decode(), one.journal, one.seq] for one in messages])
        program = [sys.executable, "-c", _DELIVER]
        done = subprocess.run(program, env=env, input=sent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the database."""
        if self.url:
            import psycopg

            with psycopg.connect(self.url, autocommit=True) as direct:
                cursor = direct.execute(statement)
                return cursor.fetchall() if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.home / "collector.db")) as database, database:
            return database.execute(statement).fetchall()

    def is_updated(self) -> bool:
        """Whether the database has any tables of the newer version."""
        return bool(self.ask("SELECT 1 FROM django_migrations WHERE name = '9001_shelf'"))

    def in_folder(self) -> list[str]:
        return sorted(path.name for path in self.copies.iterdir()) if self.copies.is_dir() else []
