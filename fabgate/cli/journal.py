"""``fabgate journal`` prints what a gate recorded; ``fabgate audit`` checks it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from fabgate.cli import state_folder
from fabgate.errors import JournalError, UsageError
from fabgate.gate.journal.reader import JournalReader, StoredEntry
from fabgate.gate.terminal import lists

#: The largest integer of SQLite, and so the largest number of an entry.
_LARGEST: Final = (1 << 63) - 1


def journal(arguments: argparse.Namespace) -> int:
    """Print entries."""
    with closing(JournalReader(state_folder.of(arguments) / "journal.db")) as reader:
        for stored in _stored(reader, after=max(0, min(arguments.after, _LARGEST))):
            if arguments.json:
                print(stored.body.decode(errors="backslashreplace"))
                continue
            try:
                line = lists.entry(stored.body)
            except UsageError as error:
                raise JournalError(
                    f"entry {stored.seq} cannot be read ({error}); fabgate audit verify finds the first damaged entry,"
                    f" --after {stored.seq} prints the entries after this one"
                ) from error
            print(line)
    return 0


def audit_verify(arguments: argparse.Namespace) -> int:
    """Check the chain; exit code 1 when it is broken."""
    with closing(JournalReader(state_folder.of(arguments) / "journal.db")) as reader:
        floor, head, mark = reader.bounds()
        broken = reader.first_break()
    if arguments.json:
        print(json.dumps({"journal": reader.id, "floor": floor, "head": head, "mark": mark, "first_break": broken}))
    elif broken is None:
        lost = f"; entries up to {floor - 1} were removed, and no collector has those after {mark}"
        print(
            f"ok: the chain of entries {floor} to {head} of journal {reader.id} is whole; acknowledged up to {mark}"
            f"{lost if floor - 1 > mark else ''}"
        )
    else:
        print(f"BROKEN at entry {broken} of journal {reader.id}: this entry or the one before it was changed")
    return 0 if broken is None else 1


def _stored(reader: JournalReader, *, after: int = 0) -> Iterator[StoredEntry]:
    """Yield the entries of a journal after the number `after`, read page by page."""
    while entries := reader.after(after, most=500):
        yield from entries
        after = entries[-1].seq
