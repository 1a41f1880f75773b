"""Keeps the head of the audit log in a file outside the database, so that deleted newest rows are noticed.

The seals show that a row inside the log is missing, but not that the last ones are. So the worker writes number and seal
of the last row to a file in FABGATE_DATA once a minute. It never replaces a head that the log no longer has, unless the
log itself names it in the row of a restore. Nor does it make a file that is missing or damaged although the log has rows:
somebody may have removed it with them. A person confirms the log then (`confirm`).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from fabgate.collector.ground.base import called, data_folder
from fabgate.collector.ground.db import audit, chains
from fabgate.collector.ground.db.chains import Head
from fabgate.collector.ground.models import Change, Collector
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

#: The verb of the row that a restore writes, and its field with the head from before.
RESTORED: Final = audit.RESTORED
FIELD: Final = "audit_head"
#: The verb of the row that a person writes who confirms the log although its head was not kept.
CONFIRMED: Final = "collector.log-confirmed"


def noted(data: Path) -> Head | None:
    """Return the head in the file; None if there is none, or it cannot be read."""
    try:
        return Head.parse((data / data_folder.AUDIT_HEAD).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def lost(data: Path) -> Head | None:
    """Return the head in the file if the log no longer has its row, and no row of a restore names it."""
    head = noted(data)
    if head is None or chains.CHANGES.has(head) or str(head) in restored_heads():
        return None
    return head


def restored_heads() -> dict[str, Change]:
    """Return the heads that a restore replaced, as text, each with the row of the restore."""
    rows = Change.objects.filter(verb=RESTORED).order_by("id")
    return {str(row.after[FIELD]): row for row in rows if isinstance(row.after, dict) and FIELD in row.after}


def keep_up(data: Path) -> None:
    """Write the present head to the file, unless the log no longer has the one in it, or has rows and there is none."""
    head, before = chains.CHANGES.head(), noted(data)
    if before == head or (before is None and head.number):
        return
    if (gone := lost(data)) is not None:
        log.error(
            "the audit log ends at row %d, but row %d was its last one before: rows were deleted or changed; run %s",
            head.number,
            gone.number,
            called.command("verify"),
        )
        return
    try:
        _write(data, head)
    except OSError as error:  # the old head stays, and still shows whether older rows are missing
        log.warning("%s could not be written (%s)", data / data_folder.AUDIT_HEAD, error.strerror or error)


def confirm(data: Path, *, actor: str) -> None:
    """Write the file again, because a person says that no row of the log is missing; the log then names that person.

    Raises UsageError if the file is there, and OSError.
    """
    if noted(data) is not None:
        raise UsageError(
            f"{data} has a file {data_folder.AUDIT_HEAD}, and only a log without one can be confirmed; if rows of the log"
            " are missing, restore a copy that has them"
        )
    audit.record(actor, CONFIRMED, Collector.objects.get(), after={FIELD: str(chains.CHANGES.head())})
    _write(data, chains.CHANGES.head())


def _write(data: Path, head: Head) -> None:
    """Replace the file, so that a power cut leaves the old one or the new one. Raises OSError."""
    fresh = data / f"{data_folder.AUDIT_HEAD}.{os.getpid()}"
    try:
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{head}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o600)
        fresh.replace(data / data_folder.AUDIT_HEAD)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    data_folder.sync_directory(data)
