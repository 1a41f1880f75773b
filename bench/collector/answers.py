"""The pages of a collector, requested inside their own process: view, middleware, template and database, no network."""

from __future__ import annotations

import functools
import os
import re
import time

from bench.collector.manager import signed_in
from bench.collector.pace import Pace
from bench.usage import forget_peak, own_peak_mib, rss_mib

_OLDER = re.compile(r'href="(\?[^"]*after=[^"]*)"')
#: Every row of our tables has one of these.
_ROW = b'<th scope="row">'

_pace = functools.cache(Pace)
_client = functools.cache(lambda: signed_in(headers={"host": "localhost"}, SERVER_NAME="localhost"))


def get(address: str) -> dict[str, object]:
    """Request a page; return its status, its milliseconds, bytes, rows of tables, and the query of its next page.

    `pace` is the computer's before and after (the worse of the two), `grew_mib` by how much the process grew at most.
    """
    client, pace = _client(), _pace()
    pace.wait()
    paced = pace.now()
    forget_peak()
    before = rss_mib(os.getpid())
    began_s = time.perf_counter()
    response = client.get(address)
    size, kept = 0, b""
    for chunk in response if response.streaming else [response.content]:
        size += len(chunk)
        kept = chunk if not response.streaming else b""
    took_ms = (time.perf_counter() - began_s) * 1000
    older = _OLDER.search(kept.decode(errors="replace"))
    return {
        "status": response.status_code,
        "ms": took_ms,
        "pace": max(paced, pace.now()),
        "bytes": size,
        "rows": kept.count(_ROW),
        "grew_mib": own_peak_mib() - before,
        "older": older[1].replace("&amp;", "&") if older else "",
    }
