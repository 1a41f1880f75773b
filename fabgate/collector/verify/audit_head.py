"""Keeps the head of the audit log in a file outside the database, so that deleted newest rows are noticed.

The seals show that a row inside the log is missing, but not that the last ones are. So the worker writes number and seal
of the last row to a file in FABGATE_DATA once a minute. It never replaces a head that the log no longer has, unless the
log itself names it in the row of a restore.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from fabgate.collector.base import called, data_folder
from fabgate.collector.db import audit, chains
from fabgate.collector.db.chains import Head
from fabgate.collector.models import Change

log = logging.getLogger(__name__)

#: The verb of the row that a restore writes, and its field with the head from before.
RESTORED: Final = audit.RESTORED
FIELD: Final = "audit_head"


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
    """Write the present head to the file, unless the log no longer has the one in it."""
    head, before = chains.CHANGES.head(), noted(data)
    if before == head:
        return
    if (gone := lost(data)) is not None:
        log.error(
            "the audit log ends at row %d, but row %d was its last one before: rows were deleted or changed; run %s",
            head.number,
            gone.number,
            called.command("verify"),
        )
        return
    file, fresh = data / data_folder.AUDIT_HEAD, data / f"{data_folder.AUDIT_HEAD}.{os.getpid()}"
    try:
        fresh.write_text(f"{head}\n", encoding="ascii")
        fresh.chmod(0o600)
        fresh.replace(file)
    except OSError as error:  # the old head stays, and still shows whether older rows are missing
        fresh.unlink(missing_ok=True)
        log.warning("%s could not be written (%s)", file, error.strerror or error)
