"""What must not be as it was when a copy was taken? Asked once, when a database that was restored is up to date."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Final

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from fabgate.collector.accounts import manage
from fabgate.collector.base import data_folder
from fabgate.collector.base.disk_full import unless_full
from fabgate.collector.db import audit, postgresql
from fabgate.collector.models import ApiKey, Collector, Grant, Group, OneTimeLink, SignIn

log = logging.getLogger(__name__)

REASON: Final = "collector.restored"
#: What others know by its number: rosters and sessions name grants and groups so, and keep the numbers that were lost.
_NAMED: Final = (Grant, Group)


def settle(data: Path) -> None:
    """Do it where a restore left its mark in `data`. A process that ends before the mark is gone does it once more."""
    mark = data / data_folder.RESTORED
    if mark.exists():
        go_on()
        if connection.vendor == "sqlite":
            _count_beyond(data, is_settled=True)
        mark.unlink()
        data_folder.sync_directory(data)


def notice(data: Path) -> None:
    """Do it where the database is another one than was seen last: tools that are not ours leave no mark."""
    row = Collector.objects.get()
    if connection.vendor == "sqlite":
        if _number(row.place) < _counted(data):
            _count_beyond(data)
    elif (place := postgresql.identity()) != row.place:
        with transaction.atomic():
            if row.place:  # else it is new: nobody was let in yet
                _go_on_unasked()
            row.place = place
            row.save(update_fields=["place"])


def count(data: Path) -> None:
    """Go on counting, in a SQLite database and beside it: one that was put back, by whatever tool, has counted less.

    For services, at their start and once a minute: what is put back within that minute is not told from what was there.
    """
    if connection.vendor == "sqlite":
        notice(data)
        with unless_full():
            _count_beyond(data)


def _go_on_unasked() -> None:
    go_on()
    log.warning(
        "the database was restored, or moved: everybody signs in again, one-time links are closed, and keys of programs"
        " are revoked"
    )


def go_on() -> None:
    """Give no number again that was given since the copy, and let nobody in who was let in then."""
    with transaction.atomic():
        # A copy does not know how many were given since, nor how often it was restored before: but nobody gives out a
        # thousand a second, so that the milliseconds since 1970 are beyond all of them, and beyond those of an earlier
        # restore. Only now, because a migration that writes a table anew on SQLite would forget it.
        for model in _NAMED:
            _jump(model._meta.db_table, time.time_ns() // 1_000_000)  # noqa: SLF001 (Django's name for it)
        # A browser that was signed out since then, a link that was used, and a key that was revoked must not be let in
        # again; and nobody knows which of them were.
        Session.objects.all().delete()
        SignIn.objects.filter(revoked_at=None).update(revoked_at=timezone.now())
        OneTimeLink.objects.filter(used_at=None).update(expires_at=F("created_at"))
        for key in ApiKey.living():
            manage.revoke(key, actor=audit.START, reason=REASON)
        audit.record(audit.START, REASON, Collector.objects.get())


def _count_beyond(data: Path, *, is_settled: bool = False) -> None:
    """Count one more than database and file know. First the database: that it lags behind is what tells a copy.

    One that lags behind is gone on from in the same transaction, unless that `is_settled`: looked at before, it may have
    been put back since, and would have counted on as if it never had been.
    """
    with transaction.atomic():
        row, counted = Collector.objects.get(), _counted(data)
        if _number(row.place) < counted and not is_settled:
            _go_on_unasked()
        number = max(_number(row.place), counted) + 1
        row.place = str(number)
        row.save(update_fields=["place"])
    file, fresh = data / data_folder.COUNTED, data / f"{data_folder.COUNTED}.{os.getpid()}"
    try:
        fresh.write_text(f"{number}\n", encoding="ascii")
        fresh.replace(file)
    except OSError as error:  # the number before stands: it tells an older copy only
        fresh.unlink(missing_ok=True)
        log.warning("%s: not written: %s", file, error.strerror or error)


def _counted(data: Path) -> int:
    try:
        return _number((data / data_folder.COUNTED).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


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
