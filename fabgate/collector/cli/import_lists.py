"""``import-members`` and ``import-trainings``: a command imports all rows of a list or none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.db import transaction

from fabgate.collector.access import roster
from fabgate.collector.db import audit, pulse
from fabgate.collector.people import many_grants
from fabgate.collector.people.import_list import file as members_file
from fabgate.collector.people.import_list import store
from fabgate.collector.people.import_list import trainings as trainings_file

#: Why a row is not granted. A row that was granted already needs no note.
_WHY: Final = {
    many_grants.SUSPENDED: "they are suspended",
    many_grants.MORE: "it would lower their stage",
}


def members(args: argparse.Namespace) -> int:
    """Import a list of members, rebuild the rosters and announce them."""
    file = members_file.read(Path(args.file), dates=args.dates)
    _print_notes(file.notes)
    prepared, notes = store.prepare(file), [*store.lost_badge_notes(file), *store.left_member_notes(file)]
    with transaction.atomic(), pulse.deferred():
        new = store.write(prepared, actor=audit.cli_actor(None))
        gates = roster.rebuild()
    _print_notes(notes)
    badges = sum(len(row.badges) for row in file.rows)
    with_badges = f" with {_count(badges, 'badge')}" if "badges" in file.columns else ""
    announced = roster.announce_and_describe(gates)
    sys.stdout.write(f"{_count(len(file.rows), 'member')} imported ({new} new){with_badges}; {announced}\n")
    return 0


def trainings(args: argparse.Namespace) -> int:
    """Import a list of trainings, rebuild the rosters and announce them."""
    file = trainings_file.read(Path(args.file), dates=args.dates)
    _print_notes(file.notes)
    with transaction.atomic(), pulse.deferred():
        planned = many_grants.plan(file.grants, locks=True)
        change = many_grants.store_imported(planned, actor=audit.cli_actor(None))
    _print_notes(
        f"{grant.member}: {grant.training} from {grant.since} was not granted, because {_WHY[kept]}"
        for grant, kept in planned
        if kept in _WHY
    )
    granted = sum(not one.kept for one in planned)
    gates = roster.applied(change.rosters).gates
    announced = roster.announce_and_describe(gates) if gates else "no roster changes"
    unchanged = len(planned) - granted
    sys.stdout.write(f"{_count(granted, 'grant')} imported, {unchanged} unchanged; {announced}\n")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
