"""Keeps the site's gates online until standard input is closed; with ``--busy``, two machines change all the time.

``python -m tests.browser.feed`` stores messages of gates, as the ingest does; with ``--once MEMBER`` it only stores that
this member starts at one machine, and ends.
"""

from __future__ import annotations

import select
import sys
import time
from datetime import UTC, datetime
from typing import Final

from fabgate.collector.processes import start

#: Seconds between two changes of the busy machines, and between two heartbeats.
EVERY_S: Final = 0.2
BEAT_S: Final = 5.0
#: Gates that the sample data leaves unused.
BUSY: Final = ("weld-1", "print-2")
ONCE: Final = "mill-1"
#: In place of a member: nobody uses the machine.
FREE: Final = "-"


def main() -> None:
    """Feed until standard input is closed."""
    env = start.prepare(make=False)
    from django.db.models import F

    from fabgate.collector.faces.pages.floor.stations import STILL_FOR
    from fabgate.collector.ground.models import Gate
    from fabgate.collector.recording.intake.store import Store
    from tests.collector.gates import Journal

    store = Store(env.site)
    if "--once" in sys.argv:
        member = sys.argv[-1]
        on = {"session": f"feed-{member}", "member": member, "since": datetime.now(UTC), "energised_ms": 1}
        journal = Journal(gate=ONCE, site=env.site)
        message = journal.state(state="idle") if member == FREE else journal.state(state="active", **on)
        store.store([message], datetime.now(UTC))
        sys.stdout.write("feeding\n")
        return
    journals = [Journal(gate=gate, site=env.site) for gate in BUSY] if "--busy" in sys.argv else []
    working = list(Gate.objects.filter(ran_at__gt=datetime.now(UTC) - STILL_FOR).values_list("pk", flat=True))
    number, beat = 0, 0.0
    while True:
        now = datetime.now(UTC)
        if time.monotonic() - beat >= BEAT_S:
            # A gate that is online has also fetched its newest roster.
            Gate.objects.filter(online=True).update(seen_at=now, reported_roster=F("roster_version"))
            # A machine that works goes on working, however long the tests take.
            Gate.objects.filter(pk__in=working).update(ran_at=now)
            beat = time.monotonic()
        number += 1
        if number % 2:
            messages = [journal.state(state="idle") for journal in journals]
        else:
            on = {"session": f"feed-{number}", "member": f"m-{1 + number // 2 % 30}", "since": now, "energised_ms": 1}
            messages = [journal.state(state="active", **on) for journal in journals]
        if messages:
            store.store(messages, now)
        if number == 1:
            sys.stdout.write("feeding\n")
            sys.stdout.flush()
        if select.select([sys.stdin], [], [], EVERY_S if journals else BEAT_S)[0]:
            return


if __name__ == "__main__":
    main()
