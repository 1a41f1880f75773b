"""Plays the demo's history back: writes it into the journals of the gates, and stores it through the real ingest.

The code is the same as for any gate. The entries of each day reach the collector on that evening.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fabgate import wire
from fabgate.demo.furnishing.past.days import Past
from fabgate.demo.waiting import DemoError
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal

if TYPE_CHECKING:
    from fabgate.collector.recording.broker.message import Received


def play(site: str, pasts: Sequence[Past], journals: Mapping[str, Path], zone: ZoneInfo) -> dict[str, int]:
    """Write and store the entries of the gates; return the number of entries by gate. Django must be set up.

    `journals`: the path of each gate's new journal. Raises DemoError if the collector does not store every entry.
    """
    # Models can be imported only once Django is set up.
    from django.db import transaction  # noqa: PLC0415

    from fabgate.collector.ground.models import Journal as Stored  # noqa: PLC0415
    from fabgate.collector.recording.intake.store import Store  # noqa: PLC0415

    days: dict[date, list[Received]] = defaultdict(list)
    heads = {}
    for past in pasts:
        heads[past.gate] = _write(site, past, journals[past.gate], days)
    store = Store(site)
    with transaction.atomic():  # one commit, which is faster: no gate waits for an acknowledgement
        for day in sorted(days):
            evening = datetime.combine(day, time(22), zone).astimezone(UTC)
            store.store(days[day], evening)
    stored = dict(Stored.objects.values_list("gate__name", "ack_seq"))
    if stored != heads:
        raise DemoError(f"found {stored} entries in the collector, wanted those of the journals: {heads}")
    return heads


def _write(site: str, past: Past, path: Path, days: dict[date, list[Received]]) -> int:
    """Write a gate's journal, add its entries to `days` as the broker would deliver them; return its last number."""
    from fabgate.collector.recording.broker.message import Received  # noqa: PLC0415 (as above)

    topics = wire.GateTopics(site, past.gate)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(Journal(path, topics)) as journal:
        journal.open()
        head = journal.append([draft for drafts in past.days.values() for draft in drafts])
        journal.acknowledge(head)  # the collector stores them before the gate runs
        journal.fold_all()
    written_on = [day for day, drafts in past.days.items() for _ in drafts]
    with contextlib.closing(JournalReader(path)) as reader:
        for day, entry in zip(written_on, reader.after(0, most=head), strict=True):
            topic = topics.event(wire.full_type(entry.type))
            days[day].append(Received(topic=topic, body=entry.body, journal=reader.id, seq=str(entry.seq)))
    return head
