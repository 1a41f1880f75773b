"""Whole chains of entries to verify, in a process of the collector."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from django.conf import settings

from bench.collector import books
from bench.peers import journals
from fabgate.collector.ground.models import Journal
from fabgate.collector.recording.intake.store import Store
from tests.support import baseline


def store(gates: int, entries: int, batch: int) -> float:
    """Store the whole journals of new gates, as the ingest does; return the seconds of the processor that it took."""
    Journal.objects.update(is_root=False)  # those of the workshop have no entries
    books.place("verified", gates)
    baseline.log_the_rest()
    chains = [journals.journal(f"verified-{number}", entries, seed=number).messages() for number in range(gates)]
    stores, took_s = Store(settings.ENVIRONMENT.site), 0.0
    for first in range(0, entries, batch):
        for messages in chains:
            began_s = time.process_time()
            stores.store(messages[first : first + batch], datetime.now(UTC))
            took_s += time.process_time() - began_s
    return took_s
