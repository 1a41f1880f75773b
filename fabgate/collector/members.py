"""How do a workshop's members get in? From a CSV file, whole or not at all."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from fabgate import badge
from fabgate.collector import members_file, roster
from fabgate.collector.models import Badge, Machine, Member

_PLAIN: Final = ("name", "lang", "level", "valid_until")


def command(args: argparse.Namespace) -> int:
    """Import a file, rebuild the rosters and tell the gates."""
    file = members_file.read(Path(args.file))
    for note in file.notes:
        sys.stderr.write(f"note: {note}\n")
    with transaction.atomic():
        new = write(file)
        gates = roster.rebuild()
    count = len(file.rows)
    badges = sum(len(row.badges) for row in file.rows)
    with_badges = f" with {badges} badge{'' if badges == 1 else 's'}" if "badges" in file.columns else ""
    sys.stdout.write(
        f"{count} member{'' if count == 1 else 's'} imported ({new} new){with_badges}; {roster.tell(gates)}\n"
    )
    return 0


def write(file: members_file.File) -> int:
    """Store what the file's columns say of its members, and nothing else of them; return how many are new."""
    rows, columns = file.rows, file.columns
    known = set(Member.objects.values_list("id", flat=True))
    machines = {machine.name: machine for machine in Machine.objects.all()}
    for row in rows:
        said: dict[str, Any] = {name: getattr(row, name) for name in _PLAIN if name in columns}
        member, _ = Member.objects.update_or_create(id=row.id, defaults=said)
        if "machines" in columns:
            member.machines.set([machines[name] for name in row.machines])
    if "badges" in columns:
        key = roster.badge_key(settings.ENVIRONMENT)
        # First all old badges go: two members may swap theirs in one file.
        Badge.objects.filter(member__in=[row.id for row in rows]).delete()
        Badge.objects.bulk_create(
            Badge(spelling=str(found), digest=badge.digest(found, key), member_id=row.id)
            for row in rows
            for found in row.badges
        )
    return len({row.id for row in rows} - known)
