"""The collector of a workshop after two years: twenty machines, four hundred people, a million sessions.

Sessions and sums of days are written by the same statements as the ingest uses, without the chain of the journals; each
session has its two entries. To fill a new collector by hand, with FABGATE_SITE and FABGATE_DATA in the environment:
``echo '["fill", 1000]' | python -m bench.calls bench.collector.books collector``.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from django.db import connection, transaction

from bench.collector.home import DAYS
from bench.peers import journals
from fabgate.collector.ground.models import Badge, Gate, Journal, Machine, Member, Review, UsageSession
from fabgate.collector.recording.sessions import rows as session_rows
from fabgate.collector.recording.sessions import sums
from fabgate.collector.recording.sessions.merge import COLUMNS, DerivedSession
from fabgate.gate.journal.ids import uuid7

MACHINES = 20
#: How busy each weekday is: an open evening on Wednesday, quiet on Sunday.
WEEKDAYS = (3, 3, 6, 4, 4, 5, 1)
#: From 8 in the morning to 22 in the evening.
HOURS = tuple(range(8, 22))
BUSY = (1, 2, 3, 3, 2, 2, 3, 3, 3, 4, 6, 6, 5, 3)
REASONS = ("badge", "button", "limit", "idle", "handover", "removed", "power-loss", "restart")
OFTEN = (60, 20, 5, 6, 4, 3, 1, 1)
CATEGORIES = ("adult", "student", "school", "company", "")
GIVEN = ("Zoé", "Ada", "François", "Anaïs", "Bjørn", "Chloé", "Dénes", "Élise", "Fatima", "Gaël", "Héloïse", "Iñaki")
FAMILY = ("Müller", "Lovelace", "Lefèvre", "Bézier", "Sørensen", "Dupré", "Kovács", "Noël", "Zahra", "Le Goff", "Côté")
AT_ONCE = 10_000


def fill(sessions: int, days: Sequence[datetime] = ()) -> None:
    """Fill the collector with sessions on some days, or in two years up to today."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
                cursor.execute(f"PRAGMA {pragma}")
    with transaction.atomic():
        gates = _workshop()
        chance = random.Random(sessions)
        doubtful: list[Any] = []
        for usages in _usages(sessions, days or _two_years(), gates, chance):
            _store(usages)
            sums.add((None, usage) for usage in usages)
            doubtful += [usage for usage in usages if usage.doubt]
        _reviews(doubtful)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA journal_mode=WAL")  # and no ANALYZE or VACUUM: the SQLite of a workshop gets none
        else:
            # PostgreSQL does both by itself within minutes; they must not run during the measurements.
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
    connection.close()


def _workshop() -> list[tuple[int, int, int]]:
    """Make machines, gates, journals and people; return (gate, machine, journal)."""
    found = []
    for number in range(MACHINES):
        machine = Machine.objects.create(name=f"machine-{number}", title=f"Machine {number}", category="wood")
        gate = Gate.objects.create(name=f"gate-{number}", machine=machine)
        journal = Journal.objects.create(name=uuid.uuid4().hex, gate=gate, is_root=True)
        found.append((gate.pk, machine.pk, journal.pk))
    for number in range(journals.MEMBERS):
        member = Member.objects.create(
            id=journals.member(number),
            name=f"{GIVEN[number % len(GIVEN)]} {FAMILY[number % len(FAMILY)]} {number}",
            category=CATEGORIES[number % len(CATEGORIES)],
        )
        Badge.objects.create(
            digest=journals.digest(number),
            key_id="b1",
            number=str(number),
            member=member,
            since=datetime.now(UTC) - timedelta(days=3 * DAYS),
        )
    return found


def place(prefix: str, gates: int) -> None:
    """Add gates, each with its machine."""
    for number in range(gates):
        name = f"{prefix}-{number}"
        Gate.objects.create(name=name, machine=Machine.objects.create(name=f"machine-{name}", title=name))


def _two_years() -> list[datetime]:
    """Return the days up to yesterday."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=DAYS - day) for day in range(DAYS)]


def _usages(
    sessions: int, days: Sequence[datetime], gates: list[tuple[int, int, int]], chance: random.Random
) -> Iterator[list[Any]]:
    each = chance.choices(days, [WEEKDAYS[day.weekday()] for day in days], k=sessions)
    each.sort()
    crowd = [1 / (1 + number / 40) for number in range(journals.MEMBERS)]
    seq = [0] * len(gates)
    for start in range(0, sessions, AT_ONCE):
        part = each[start : start + AT_ONCE]
        made = []
        picks = zip(
            part,
            chance.choices(HOURS, BUSY, k=len(part)),
            chance.choices(range(journals.MEMBERS), crowd, k=len(part)),
            chance.choices(range(len(gates)), [1 / (1 + n / 8) for n in range(len(gates))], k=len(part)),
            chance.choices(REASONS, OFTEN, k=len(part)),
            strict=True,
        )
        for day, hour, who, where, reason in picks:
            began = day + timedelta(hours=hour, milliseconds=chance.randrange(3_600_000))
            on_ms = min(14_000_000, int(chance.lognormvariate(7.4, 1) * 1000))
            doubt_ms = chance.randrange(1_000, 600_000) if reason in {"power-loss", "restart"} else 0
            gate, machine, journal = gates[where]
            seq[where] += 2
            member = journals.member(who)
            doubt = "uncertain" if doubt_ms > 60_000 else None
            made.append(
                DerivedSession(
                    id=uuid7(_ms(began)), gate_id=gate, machine_id=machine, member=member,
                    badge=journals.digest(who), opened_in_id=journal, opened_seq=seq[where], started_at=began,
                    start_timed=True, start_boot="boot", has_start=True, category=CATEGORIES[who % len(CATEGORIES)],
                    mode="tap", basis="grant", ended_at=began + timedelta(milliseconds=on_ms), reason=reason,
                    energised_ms=on_ms, running_ms=on_ms // 2, uncertainty_ms=doubt_ms, doubt=doubt,
                    uncertain=doubt_ms > 0, used_by=member, payer=member, counted_ms=on_ms, has_end=True,
                    end_reason=reason, last_at=began + timedelta(milliseconds=on_ms), last_timed=True,
                    last_boot="boot", last_boottime_ms=on_ms, last_energised_ms=on_ms,
                )
            )  # fmt: skip
        yield made


def _store(usages: list[Any]) -> None:
    rows = list(_entries(usages))
    if connection.vendor == "sqlite":
        session_rows.save_sessions(usages)
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO collector_entry ({_ENTRY}) VALUES ({','.join(['%s'] * 9)})", rows)
        return
    columns = attrgetter(*COLUMNS)
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY collector_usagesession ({', '.join(COLUMNS)}) FROM STDIN") as copying:
            for usage in usages:
                copying.write_row(columns(usage))
        with cursor.copy(f"COPY collector_entry ({_ENTRY}) FROM STDIN") as copying:
            for row in rows:
                copying.write_row(row)


_ENTRY = "journal_id, seq, uid, type, body, hash, arrived_at, occurred_at, is_copy"


def _entries(usages: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the two entries of each session, as long as real ones."""
    body = journals.journal("gate-1", 2).bodies[1]
    for usage in usages:
        for seq, kind, at in ((-1, "session.started", usage.started_at), (0, "session.ended", usage.ended_at)):
            uid = uuid7(_ms(at))
            moment = at.isoformat(" ")[:-6]
            yield usage.opened_in_id, usage.opened_seq + seq, uid, kind, body, uid.encode(), moment, moment, False


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _reviews(usages: list[Any]) -> None:
    """Settle all reviews but the newest forty."""
    made = [Review(session_id=usage.id, why=usage.doubt, opened_at=usage.ended_at) for usage in usages]
    for review in made[:-40]:
        review.settled_at, review.decision, review.settled_by = review.opened_at, "accepted", "maya"
    Review.objects.bulk_create(made, batch_size=500)
    UsageSession.objects.filter(id__in=[review.session_id for review in made[-40:]]).update(review="uncertain")
