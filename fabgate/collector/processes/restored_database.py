"""Detects a restored database, and removes what must not be valid again."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Final

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.disk_full import unless_full
from fabgate.collector.ground.db import audit, postgresql
from fabgate.collector.ground.models import ApiKey, Collector, Grant, Group, OneTimeLink, SignIn, StatementMail
from fabgate.collector.members.accounts import manage
from fabgate.collector.processes.verify import audit_head

log = logging.getLogger(__name__)

REASON: Final = audit_head.RESTORED
#: Models whose ids are also in rosters and sessions, even ids that the copy does not contain.
_REFERRED_BY_ID: Final = (Grant, Group)


def finish_restore(data: Path) -> None:
    """Complete a restore by `fabgate collector restore`, which left a mark in `data`. The mark is removed last."""
    mark = data / data_folder.RESTORED
    if mark.exists():
        invalidate(data)
        if connection.vendor == "sqlite":
            _increase(data, is_settled=True)
        mark.unlink()
        data_folder.sync_directory(data)


def detect(data: Path) -> None:
    """Find out whether another tool, which leaves no mark, has restored the database, and complete that."""
    row = Collector.objects.get()
    if connection.vendor == "sqlite":
        if _number(row.place) < _counter(data):
            _increase(data)
    elif (place := postgresql.identity()) != row.place:
        with transaction.atomic():
            if row.place:  # otherwise the database is new, and no one has signed in yet
                _invalidate_and_warn(data)
            row.place = place
            row.save(update_fields=["place"])


def count(data: Path) -> None:
    """Increase the counter in a SQLite database and in a file next to it; a restored database has the lower one.

    Services do this at their start and once a minute, so a restore within the same minute is not detected.
    """
    if connection.vendor == "sqlite":
        detect(data)
        with unless_full():
            _increase(data)


def _invalidate_and_warn(data: Path) -> None:
    invalidate(data)
    log.warning(
        "the database was restored, or moved: everybody has to sign in again, one-time links are closed, and API keys"
        " are revoked"
    )


def invalidate(data: Path) -> None:
    """Skip all ids that may have been issued since the copy, and invalidate the sign-ins, links and keys in it.

    The row in the audit log names the head that the log had before, if the copy does not contain it.
    """
    with transaction.atomic():
        # This runs after the migrations, because one that rewrites a table on SQLite would reset the number.
        for model in _REFERRED_BY_ID:
            _skip_ids(model._meta.db_table, _unused_number())  # noqa: SLF001 (Django's name for it)
        Collector.objects.update(last_organisation=Greatest("last_organisation", _unused_number()))
        # Sign-ins that ended since the copy, used links and revoked keys must not work again. It is unknown which those
        # are, so all are invalidated.
        Session.objects.all().delete()
        SignIn.objects.filter(revoked_at=None).update(revoked_at=timezone.now())
        links = list(OneTimeLink.objects.filter(used_at=None))
        with audit.changes(audit.START, "link.closed", links, reason=REASON):
            OneTimeLink.objects.filter(used_at=None).update(expires_at=F("created_at"))
        for key in ApiKey.valid():
            manage.revoke(key, actor=audit.START, reason=REASON)
        # Those that waited may have been sent since; a person sends them again.
        unsure = StatementMail.objects.filter(state=StatementMail.WAITING)
        unsure.update(state=StatementMail.SENDING)
        lost = audit_head.lost(data)
        after = {audit_head.FIELD: str(lost)} if lost else {}
        audit.record(audit.START, REASON, Collector.objects.get(), after=after)


def _increase(data: Path, *, is_settled: bool = False) -> None:
    """Set both counters above their current values, first the one in the database.

    If that was lower, the database is a copy. It is then invalidated in the same transaction, because afterwards the
    counters no longer show that it is a copy. `is_settled` means that this was done already.
    """
    with transaction.atomic():
        row, counted = Collector.objects.get(), _counter(data)
        if _number(row.place) < counted and not is_settled:
            _invalidate_and_warn(data)
        number = max(_number(row.place), counted) + 1
        row.place = str(number)
        row.save(update_fields=["place"])
    file, fresh = data / data_folder.COUNTED, data / f"{data_folder.COUNTED}.{os.getpid()}"
    try:
        fresh.write_text(f"{number}\n", encoding="ascii")
        fresh.replace(file)
    except OSError as error:  # the old number stays, and still detects older copies
        fresh.unlink(missing_ok=True)
        log.warning("%s could not be written (%s)", file, error.strerror or error)


def _counter(data: Path) -> int:
    try:
        return _number((data / data_folder.COUNTED).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _unused_number() -> int:
    """Return a number above all ids that were issued since the copy, or after an earlier restore.

    It is unknown which ones were. No workshop issues a thousand ids a second, so the milliseconds since 1970 are above.
    """
    return time.time_ns() // 1_000_000


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _skip_ids(table: str, number: int) -> None:
    """Continue the ids of a table above `number`; never go back."""
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
