"""What must not be as it was when a copy was taken? Asked once, when a database that was restored is up to date."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Final

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import F

from fabgate.collector import places, postgresql
from fabgate.collector.models import Collector, Grant, Group, OneTimeLink

log = logging.getLogger(__name__)

#: What others know by its number: rosters and sessions name grants and groups so, and keep the numbers that were lost.
_NAMED: Final = (Grant, Group)


def settle(data: Path) -> None:
    """Do it where a restore left its mark in `data`. A process that ends before the mark is gone does it once more."""
    mark = data / places.RESTORED
    if mark.exists():
        go_on()
        mark.unlink()
        places.sync_directory(data)


def notice(row: Collector) -> None:
    """Do it where the database is another one than at the last start: the server's own tools leave no mark."""
    if connection.vendor != "postgresql" or (place := postgresql.place()) == row.place:
        return
    with transaction.atomic():
        if row.place:  # else it is new: nobody was let in yet
            go_on()
            log.warning("the database was restored, or moved: everybody signs in again, and one-time links are closed")
        row.place = place
        row.save(update_fields=["place"])


def go_on() -> None:
    """Give no number again that was given since the copy, and let nobody in who was let in then."""
    with transaction.atomic():
        # A copy does not know how many were given since, nor how often it was restored before: but nobody gives out a
        # thousand a second, so that the milliseconds since 1970 are beyond all of them, and beyond those of an earlier
        # restore. Only now, because a migration that writes a table anew on SQLite would forget it.
        for model in _NAMED:
            _jump(model._meta.db_table, time.time_ns() // 1_000_000)  # noqa: SLF001 (Django's name for it)
        # A browser that was signed out since then, and a link that was used, must not be let in again.
        Session.objects.all().delete()
        OneTimeLink.objects.filter(used_at=None).update(expires_at=F("created_at"))


def _jump(table: str, number: int) -> None:
    """Let the numbers of a table go on beyond `number`; never backwards."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT %s, 0"
                " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = %s)",
                [table, table],
            )
            cursor.execute("UPDATE sqlite_sequence SET seq = MAX(seq, %s) WHERE name = %s", [number, table])
        else:
            cursor.execute(
                "SELECT setval(sequence, GREATEST(nextval(sequence), %s))"
                " FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS sequence) AS named",
                [number, table],
            )
