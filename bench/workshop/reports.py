"""Sums, statements and files of many sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bench.collector.home import Home, cached, careful_postgresql
from bench.collector.pages import Pages, open_pages
from bench.figures import PASSES, Figure, Passes, measures
from bench.peers import journals
from bench.run import Run

LARGE = 1_000_000
REPORTS = ("a month by machine and member", "a month's lines as CSV")
STORES = ("SQLite", "PostgreSQL")
FILES = {"xlsx": "100,000 sessions as XLSX", "csv": "100,000 sessions as CSV"}


def _named(report: str, store: str) -> str:
    return f"{report}, a million sessions, {store}"


@measures(*(Figure(_named(report, store), "ms", 100) for store in STORES for report in REPORTS))
def reports(run: Run) -> Passes:
    """How long does a month by machine and member take among a million sessions? On SQLite and on PostgreSQL."""
    with open_pages(cached(run, LARGE)) as client:
        columns = _reports_ms(run, client, "SQLite")
    with careful_postgresql() as url:
        home = Home(run.fresh("postgresql"), url)
        run.log("filling PostgreSQL")
        home.call("books", "fill", LARGE)
        with open_pages(home) as client:
            columns += _reports_ms(run, client, "PostgreSQL")
    yield from zip(*columns, strict=True)


def _reports_ms(run: Run, client: Pages, store: str) -> list[list[float]]:
    """Return for each report the milliseconds of each pass."""
    month = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    query = f"month={month:%Y-%m}&by=machine-member"
    columns = []
    for report, address in zip(REPORTS, (f"/use/usage?{query}", f"/use/export.csv?what=usage&{query}"), strict=True):
        client.ms(address)
        columns.append([client.median_ms(address) for _ in range(PASSES)])
        run.notes[_named(report, store)] = client.paced
    return columns


@measures(
    Figure("statement of an open month", "ms", 50),
    Figure("statement of a closed month", "ms", 50),
    Figure("the same as PDF", "ms"),
)
def statement(run: Run) -> Passes:
    """How long does the page of a statement take beside a million sessions? Of an open month, of a closed one, and as PDF.

    The statement is that of the member with most sessions.
    """
    home = cached(run, LARGE)
    closed, still_open = home.call("billing", "close_first_month")
    run.log(f"{closed} is closed, {still_open} is open")
    of, pdf_of = (f"/month/{page}/{journals.member(0)}?month=" for page in ("statement", "statement-pdf"))
    with open_pages(home) as client:
        for _ in range(PASSES):
            yield [client.median_ms(address) for address in (of + still_open, of + closed, pdf_of + closed)]
        run.log(client.paced or "all answers came at the computer's own pace")


@measures(
    Figure(FILES["xlsx"], "s", 5.0),
    Figure("memory for XLSX", "MiB", 50),
    Figure(FILES["csv"], "s", 1.5),
    Figure("memory for CSV", "MiB", 50),
)
def export(run: Run) -> Passes:
    """How long do 100,000 sessions with names take as a file, and how much memory?"""
    with open_pages(cached(run, 100_000)) as client:
        client.get("/use")
        for _ in range(PASSES):
            found = {form: client.at_pace(f"/use/export.{form}?period=all") for form in FILES}
            for form, what in FILES.items():
                run.notes[what] = ", ".join(filter(None, (f"{found[form]['bytes'] / 1e6:.1f} MB", client.paced)))
            yield [value for one in found.values() for value in (one["ms"] / 1000, one["grew_mib"])]
