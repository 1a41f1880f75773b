"""Charges, the close of a month, and the check of all books."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from bench.collector.home import Home, cached, empty
from bench.figures import PASSES, Figure, Passes, measures
from bench.run import Run
from bench.usage import Peak, Repeated

LARGE = 1_000_000
A_MONTH = 50_000
LEAST_PER_S = 20_000
VERIFIED = 20_000
GATES = 20
#: Each session has its start, its progress, its end, and a refusal after it; this many of a gate are stored at once.
ENTRIES_EACH, BATCH = 4, 500


@measures(
    Figure("sessions read and rated", "1/s", LEAST_PER_S, at_least=True),
    Figure("sessions read, rated and charged", "1/s", LEAST_PER_S, at_least=True),
    Figure("most memory while charging a million sessions", "MiB"),
)
def rate(run: Run) -> Passes:
    """How many sessions does one core rate and charge in a second? A million sessions of two years, by three rules."""
    for _ in range(PASSES):
        with cached(run, LARGE).calling("billing") as process, Peak(process.pid) as peak:
            sessions, rated_s, charged_s = process.call("rate_and_charge")
            process.finish()
        yield sessions / rated_s, sessions / charged_s, peak.mib


@measures(
    Figure("closing a month of 50,000 sessions", "s", 15),
    Figure("the longest that a writer waits meanwhile", "ms", 1_000),
    Figure("most memory while closing", "MiB"),
)
def close(run: Run) -> Passes:
    """How long does it take to close a month of 50,000 sessions, and how long does a writer wait meanwhile?

    ``bill-close`` runs as a process of its own, while another connection asks for the right to write, as the ingest does for
    each batch. This is on SQLite, where only one process at a time can write.
    """
    filled = Home(run.fresh("filled"))
    month, sessions = filled.call("billing", "charge_last_month", A_MONTH)
    run.log(f"{sessions:,} sessions are charged in {month}")
    for _ in range(PASSES):
        home = filled.copy_to(run.fresh("closed"))
        database = sqlite3.connect(home.data / "collector.db", 60, isolation_level=None, check_same_thread=False)
        with closing(database), Writer(database) as writer:
            spent = home.verb("bill-close", month, "--reason", "gates of a bench report nothing")
        yield spent.wall_s, writer.longest_ms, spent.mib


class Writer(Repeated):
    """Takes the right to write again and again, and gives it back; remembers the longest wait."""

    def __init__(self, database: sqlite3.Connection) -> None:
        super().__init__(0.01)
        self.longest_ms = 0.0
        self._database = database

    def once(self) -> None:
        """Take it once."""
        began_s = time.monotonic()
        self._database.execute("BEGIN IMMEDIATE")
        self.longest_ms = max(self.longest_ms, (time.monotonic() - began_s) * 1000)
        self._database.execute("ROLLBACK")


@measures(
    Figure("verifying sessions, against storing them", "ratio", 2.0),
    Figure("sessions verified", "1/s", 1_000_000 / 600, at_least=True),
    Figure("sessions verified, by the clock on the wall", "1/s"),
    Figure("most memory while verifying", "MiB"),
)
def verify(run: Run) -> Passes:
    """How long does it take to verify the books, and how much memory? Compared with storing the same entries in this run.

    Processor time is compared, because both need little else. The goal is a million sessions in ten minutes.
    """
    home = empty(run)
    each = VERIFIED // GATES * ENTRIES_EACH + 1  # and the start of the gate
    stored_s = home.call("chains", "store", GATES, each, BATCH, role="owner")
    run.log(f"{VERIFIED:,} sessions are stored, {VERIFIED / stored_s:.0f}/s")
    for _ in range(PASSES):
        spent = home.verb("verify")
        yield spent.cpu_s / stored_s, VERIFIED / spent.cpu_s, VERIFIED / spent.wall_s, spent.mib
