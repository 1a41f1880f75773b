"""How long does a month by machine and member take among a million sessions? On SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

from bench import books
from bench.collector import Child, Home, careful_postgresql
from bench.harness import PASSES, Figure, Run
from bench.page_client import PageClient

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
    with PageClient(books.cached(run, LARGE)) as client:
        figures += _figures(run, client, addresses, "SQLite")
    with careful_postgresql() as url:
        home = Home(run.fresh("postgresql"), url)
        run.log("filling PostgreSQL")
        Child("bench.books", home, str(LARGE)).end()
        with PageClient(home) as client:
            figures += _figures(run, client, addresses, "PostgreSQL")
    return figures


def _figures(run: Run, client: PageClient, addresses: dict[str, str], where: str) -> list[Figure]:
    figures = []
    for what, address in addresses.items():
        client.ms(address)
        passes = [median(client.ms(address) for _ in range(TIMES)) for _ in range(PASSES)]
        run.log(f"{where}, {what}: {median(passes):.1f} ms")
        figures.append(run.figure(f"{what}, a million sessions, {where}", "ms", passes, LIMIT_MS, note=client.paced))
    return figures
