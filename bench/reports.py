"""How long does a month by machine and member take among a million sessions? On SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

from bench import books
from bench.asked import Asker
from bench.collector import Child, Home, careful_postgresql
from bench.harness import PASSES, Figure, Run

LARGE = 1_000_000
TIMES = 5
LIMIT_MS = 100


def measure(run: Run) -> list[Figure]:
    month = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    addresses = {
        "a month by machine and member": f"/use/usage?month={month:%Y-%m}&by=machine-member",
        "a month's lines as CSV": f"/use/export.csv?what=usage&month={month:%Y-%m}&by=machine-member",
    }
    figures = []
    with Asker(books.kept(run, LARGE)) as asker:
        figures += _figures(run, asker, addresses, "SQLite")
    with careful_postgresql() as url:
        home = Home(run.fresh("postgresql"), url)
        run.say("filling PostgreSQL")
        Child("bench.books", home, str(LARGE)).end()
        with Asker(home) as asker:
            figures += _figures(run, asker, addresses, "PostgreSQL")
    return figures


def _figures(run: Run, asker: Asker, addresses: dict[str, str], where: str) -> list[Figure]:
    figures = []
    for what, address in addresses.items():
        asker.ms(address)
        passes = [median(asker.ms(address) for _ in range(TIMES)) for _ in range(PASSES)]
        run.say(f"{where}, {what}: {median(passes):.1f} ms")
        figures.append(run.figure(f"{what}, a million sessions, {where}", "ms", passes, LIMIT_MS, note=asker.paced))
    return figures
