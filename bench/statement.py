"""How long does the page of a statement take beside a million sessions? Of an open month, of a closed one, and as PDF.

``python -m bench.statement`` starts billing in the collector of its environment, charges all its sessions, closes the first
month, and prints that month and the one after. The statement is that of the member with most sessions.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from statistics import median

from bench import books, entries
from bench.collector import Child
from bench.harness import PASSES, Figure, Run
from bench.page_client import PageClient
from bench.rate import start_billing

SESSIONS = 1_000_000
LIMIT_MS = 50.0
TIMES = 5


def measure(run: Run) -> list[Figure]:
    home = books.cached(run, SESSIONS)
    child = Child("bench.statement", home)
    closed, still_open = child.answer()
    child.end()
    run.log(f"{closed} is closed, {still_open} is open")
    pages = {
        "statement of an open month": f"/month/statement/{entries.member(0)}?month={still_open}",
        "statement of a closed month": f"/month/statement/{entries.member(0)}?month={closed}",
        "the same as PDF": f"/month/statement-pdf/{entries.member(0)}?month={closed}",
    }
    times: dict[str, list[float]] = {name: [] for name in pages}
    with PageClient(home) as client:
        for number in range(1, PASSES + 1):
            for name, address in pages.items():
                times[name].append(median(client.ms(address) for _time in range(TIMES)))
            run.log(f"pass {number}: {', '.join(f'{name} {found[-1]:.0f} ms' for name, found in times.items())}")
        paced = client.paced
    run.log(paced or "all answers came at the computer's own pace")
    return [
        run.figure(name, "ms", found, LIMIT_MS) if "PDF" not in name else run.figure(name, "ms", found)
        for name, found in times.items()
    ]


def main() -> None:
    """Charge all sessions of the collector of the environment, and close the first month."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    start.prepare()
    from fabgate.collector.billing.charges import closing, refresh

    first = start_billing()
    refresh.refresh_all()
    closing.close(first, datetime.now(UTC), actor="bench", reason="gates of a bench report nothing")
    print(json.dumps([f"{first:%Y-%m}", f"{refresh.following(first):%Y-%m}"]), flush=True)


if __name__ == "__main__":
    main()
