"""The collector of a workshop after two years: twenty machines, four hundred people, a million sessions.

``python -m bench.books SESSIONS`` fills the collector of its environment. Sessions and sums of days are written by the
same statements as the ingest uses, without the chain of the journals; each session has its two entries.
``python -m bench.books gates PREFIX COUNT`` adds gates with machines. `cached` makes a collector once and keeps the file
in bench/.cache, until the tables or this file change.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

from bench import entries
from bench.collector import Child, Home, copy
from bench.gates import ROOT
from bench.harness import Run
from fabgate.gate.journal.ids import uuid7

CACHE = Path(__file__).with_name(".cache")
MACHINES = 20
DAYS = 730
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


def cached(run: Run, sessions: int) -> Home:
    """Return a collector with that many sessions: a copy of the cached one, which is made at the first call."""
    cache = CACHE / f"{sessions}-{_state()}"
    if not (cache / "made").exists():
        run.log(f"making {sessions:,} sessions, once")
        cache.mkdir(parents=True, exist_ok=True)
        (cache / ".gitignore").write_text("*\n", encoding="ascii")
        for left in (*cache.glob("collector.db*"), *cache.glob("badge.keys")):
            left.unlink()
        Child("bench.books", Home(cache), str(sessions)).end()
        (cache / "made").touch()
        for old in CACHE.glob(f"{sessions}-*"):
            if old != cache:
                for file in old.iterdir():
                    file.unlink()
                old.rmdir()
    home = Home(run.fresh(f"books-{sessions}"))
    for name in ("collector.db", "secret.key", "badge.keys"):
        copy(cache / name, home.data / name)
    return home


def _state() -> str:
    """Return what the cached files depend on, and the month: their last day is the one on which they were made."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted((ROOT / "fabgate/collector/migrations").glob("0*.py")):
        found.update(path.read_bytes())
    found.update((ROOT / "fabgate/collector/sessions/merge.py").read_bytes())
    return f"{datetime.now(UTC):%Y%m}-{found.hexdigest()[:12]}"


def fill(sessions: int, days: Sequence[datetime] = ()) -> None:
    """Fill the database that Django is set up for, with sessions on some days, or in two years up to today."""
    from django.db import connection, transaction

    from fabgate.collector.sessions import sums

    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
                cursor.execute(f"PRAGMA {pragma}")
    with transaction.atomic():
        gates = _workshop()
        chance = random.Random(sessions)
        doubtful: list[Any] = []
        for usages in _usages(sessions, days or two_years(), gates, chance):
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
    from fabgate.collector.models import Badge, Gate, Journal, Machine, Member

    found = []
    for number in range(MACHINES):
        machine = Machine.objects.create(name=f"machine-{number}", title=f"Machine {number}", category="wood")
        gate = Gate.objects.create(name=f"gate-{number}", machine=machine)
        journal = Journal.objects.create(name=uuid.uuid4().hex, gate=gate, is_root=True)
        found.append((gate.pk, machine.pk, journal.pk))
    for number in range(entries.MEMBERS):
        member = Member.objects.create(
            id=entries.member(number),
            name=f"{GIVEN[number % len(GIVEN)]} {FAMILY[number % len(FAMILY)]} {number}",
            category=CATEGORIES[number % len(CATEGORIES)],
        )
        Badge.objects.create(
            digest=entries.digest(number),
            key_id="b1",
            number=str(number),
            member=member,
            since=datetime.now(UTC) - timedelta(days=3 * DAYS),
        )
    return found


def place(prefix: str, gates: int) -> None:
    """Add gates, each with its machine."""
    from fabgate.collector.models import Gate, Machine

    for number in range(gates):
        name = f"{prefix}-{number}"
        Gate.objects.create(name=name, machine=Machine.objects.create(name=f"machine-{name}", title=name))


def two_years() -> list[datetime]:
    """Return the days up to yesterday."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=DAYS - day) for day in range(DAYS)]


def _usages(
    sessions: int, days: Sequence[datetime], gates: list[tuple[int, int, int]], chance: random.Random
) -> Iterator[list[Any]]:
    from fabgate.collector.sessions.merge import Usage

    each = chance.choices(days, [WEEKDAYS[day.weekday()] for day in days], k=sessions)
    each.sort()
    crowd = [1 / (1 + number / 40) for number in range(entries.MEMBERS)]
    seq = [0] * len(gates)
    for start in range(0, sessions, AT_ONCE):
        part = each[start : start + AT_ONCE]
        made = []
        picks = zip(
            part,
            chance.choices(HOURS, BUSY, k=len(part)),
            chance.choices(range(entries.MEMBERS), crowd, k=len(part)),
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
            member = entries.member(who)
            doubt = "uncertain" if doubt_ms > 60_000 else None
            made.append(
                Usage(
                    id=uuid7(_ms(began)), gate_id=gate, machine_id=machine, member=member,
                    badge=entries.digest(who), opened_in_id=journal, opened_seq=seq[where], started_at=began,
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
    from django.db import connection

    from fabgate.collector.sessions import rows as session_rows
    from fabgate.collector.sessions.merge import COLUMNS

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
    body = entries.journal("gate-1", 2).bodies[1]
    for usage in usages:
        for seq, kind, at in ((-1, "session.started", usage.started_at), (0, "session.ended", usage.ended_at)):
            uid = uuid7(_ms(at))
            moment = at.isoformat(" ")[:-6]
            yield (*(usage.opened_in_id, usage.opened_seq + seq, uid, kind, body, uid.encode(), moment, moment, False),)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _reviews(usages: list[Any]) -> None:
    """Settle all reviews but the newest forty."""
    from fabgate.collector.models import Review, UsageSession

    made = [Review(session_id=usage.id, why=usage.doubt, opened_at=usage.ended_at) for usage in usages]
    for review in made[:-40]:
        review.settled_at, review.decision, review.settled_by = review.opened_at, "accepted", "maya"
    Review.objects.bulk_create(made, batch_size=500)
    UsageSession.objects.filter(id__in=[review.session_id for review in made[-40:]]).update(review="uncertain")


def main() -> None:
    """Make the collector of the environment."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    with contextlib.redirect_stderr(io.StringIO()):  # which notes that it makes a new collector
        start.prepare()
    if sys.argv[1] == "gates":
        place(sys.argv[2], int(sys.argv[3]))
    else:
        fill(int(sys.argv[1]))


if __name__ == "__main__":
    main()
