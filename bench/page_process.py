"""The pages of a collector, requested inside their own process: view, middleware, template and database, no network.

``python -m bench.page_process`` prints ``ready``. Each line on stdin is an address, each answer a line of JSON: status,
milliseconds, the computer's pace (pace.py) before and after (the worse of the two), bytes, rows of tables, and by how
many MiB the process grew at most.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

from bench.pace import Pace
from bench.usage import rss_mib

_OLDER = re.compile(r'href="(\?[^"]*after=[^"]*)"')

#: Every row of our tables has one of these.
_ROW = b'<th scope="row">'


def main() -> None:
    """Answer until stdin ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    start.prepare()
    from django.test import Client

    from fabgate.collector.models import Account

    account, _made = Account.objects.get_or_create(name="bench", defaults={"role": "manager", "password": "!"})
    client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    client.force_login(account)
    pace = Pace()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_ask(client, line.strip(), pace)), flush=True)


def _ask(client: object, address: str, pace: Pace) -> dict[str, object]:
    pace.wait()
    paced = pace.now()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before = rss_mib(os.getpid())
    began_s = time.perf_counter()
    response = client.get(address)  # type: ignore[attr-defined]  # Django's, which is imported late
    size, kept, digest = 0, b"", hashlib.sha256()
    for chunk in response if response.streaming else [response.content]:
        size += len(chunk)
        digest.update(chunk)
        kept = chunk if not response.streaming else b""
    took_ms = (time.perf_counter() - began_s) * 1000
    older = _OLDER.search(kept.decode(errors="replace"))
    return {
        "status": response.status_code,
        "ms": took_ms,
        "pace": max(paced, pace.now()),
        "bytes": size,
        "rows": kept.count(_ROW),
        "grew_mib": _peak_mib() - before,
        "older": older[1].replace("&amp;", "&") if older else "",
        "sha256": digest.hexdigest(),
    }


def _peak_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
