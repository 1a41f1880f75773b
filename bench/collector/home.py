"""Where a collector's data is, and its processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.gates.people import SITE
from bench.peers.light_gates import Outcome
from bench.process import INSTALLED, BenchError, Process, calling
from bench.run import HERE, ROOT, Run
from bench.usage import Peak
from tests.support import postgresql

CACHE = HERE / ".cache"
#: How far back the sessions of a filled collector go.
DAYS = 730


class Spent(NamedTuple):
    """What a verb took: seconds of the processor and of the clock, and its most memory."""

    cpu_s: float
    wall_s: float
    mib: float


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

    def calling(self, module: str, *, role: str = "collector", **more: Any) -> Process:
        """Return a process of this collector in which functions of bench/collector/`module` can be called."""
        return calling(f"bench.collector.{module}", role=role, env=self.environment(**more))

    def call(self, module: str, function: str, *arguments: object, role: str = "collector") -> Any:
        """Call one function in a process of this collector; return the result."""
        with self.calling(module, role=role) as process:
            found = process.call(function, *arguments)
            process.finish()
        return found

    def verb(self, *words: str) -> Spent:
        """Run a verb of the collector to its end."""
        began_s, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with Process("fabgate.collector", *words, env=self.environment()) as process, Peak(process.pid) as peak:
            process.finish()
        wall_s, after = time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Spent(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s, peak.mib)

    def copy_to(self, data: Path) -> Home:
        """Copy database and keys, sharing their blocks where the file system can; return the copy."""
        for name in ("collector.db", "secret.key", "badge.keys"):
            subprocess.run(["cp", "--reflink=auto", str(self.data / name), str(data / name)], check=True)
            os.utime(data / name)
        return Home(data)


def empty(run: Run, *, database_url: str = "") -> Home:
    """Make a collector with machines and members, and no sessions yet."""
    home = Home(run.fresh("data"), database_url)
    home.call("books", "fill", 0)
    return home


def cached(run: Run, sessions: int) -> Home:
    """Return a collector with that many sessions: a copy of one in bench/.cache, which is made at the first call."""
    cache = CACHE / f"{sessions}-{_state()}"
    if not (cache / "made").exists():
        run.log(f"making {sessions:,} sessions, once")
        for old in CACHE.glob(f"{sessions}-*"):
            shutil.rmtree(old)
        cache.mkdir(parents=True)
        (cache / ".gitignore").write_text("*\n", encoding="ascii")
        Home(cache).call("books", "fill", sessions)
        (cache / "made").touch()
    return Home(cache).copy_to(run.fresh(f"books-{sessions}"))


def _state() -> str:
    """Return what the cached files depend on, and the month: their last day is the one on which they were made."""
    found = hashlib.sha256((HERE / "collector/books.py").read_bytes())
    for path in sorted((ROOT / "fabgate/collector/ground/migrations").glob("0*.py")):
        found.update(path.read_bytes())
    found.update((ROOT / "fabgate/collector/recording/sessions/merge.py").read_bytes())
    return f"{datetime.now(UTC):%Y%m}-{found.hexdigest()[:12]}"


def ingest(home: Home, port: int) -> AbstractContextManager[Process]:
    """Run the ingest."""
    return _serving(home, "ingest", f"serving {SITE}", FABGATE_MQTT_PORT=port)


def web(home: Home, port: int, web_port: int, **more: Any) -> AbstractContextManager[Process]:
    """Run the web server."""
    return _serving(home, "web", "serving http", FABGATE_MQTT_PORT=port, FABGATE_WEB_PORT=web_port, **more)


@contextlib.contextmanager
def _serving(home: Home, verb: str, started: str, **settings: Any) -> Iterator[Process]:
    """Run a service of the collector; begin once it has logged that it started."""
    log = home.data / f"{verb}.log"
    with Process("fabgate.collector", verb, env=home.environment(**settings), log=log, takes_lines=False) as process:
        process.logs(started)
        yield process


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
    named = f"JOIN collector_gate g ON g.id = %s.gate_id WHERE g.name LIKE '{prefix}-%%'"
    statements = (
        f"SELECT count(*) FROM collector_entry e JOIN collector_journal j ON j.id = e.journal_id {named % 'j'}",
        f"SELECT count(*), sum(s.counted_ms) FROM collector_usagesession s {named % 's'} AND s.has_end",
        f"SELECT count(*) FROM collector_refusal r {named % 'r'}",
    )
    found = [int(value or 0) for statement in statements for value in home.rows(statement)[0]]
    wanted = [outcome.entries, outcome.ended, outcome.energised_ms, outcome.refused]
    if found != wanted:
        raise BenchError(f"entries, sessions, milliseconds and refusals: found {found}, wanted {wanted}")
