"""How do a workshop's members get in? From a CSV file, whole or not at all, with every mistake named by its line."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from django.conf import settings
from django.db import transaction

from fabgate import badge
from fabgate.collector import roster
from fabgate.collector.models import Badge, Machine, Member
from fabgate.errors import UsageError

COLUMNS = ("id", "name", "badges", "lang", "level", "valid_until", "machines")
REQUIRED = ("id", "badges")


@dataclass
class Row:
    """One member as the file has them."""

    line: int
    id: str
    name: str
    lang: str
    level: str
    valid_until: date | None
    badges: list[badge.Badge] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)


def command(args: argparse.Namespace) -> int:
    """Import a file, rebuild the rosters and tell the gates."""
    rows = read(Path(args.file))
    with transaction.atomic():
        write(rows)
        gates = roster.rebuild()
    sys.stdout.write(f"{len(rows)} members imported, {sum(len(row.badges) for row in rows)} badges\n")
    if gates:
        roster.announce(gates)
    return 0


def read(path: Path) -> list[Row]:
    """Read and check the whole file against itself and the database. Raises UsageError with a line for each mistake."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            mistakes = _columns(reader.fieldnames or [])
            if mistakes:
                raise UsageError("\n".join(f"{path}, line 1: {mistake}" for mistake in mistakes))
            rows = [row for values in reader if (row := _row(reader.line_num, values, mistakes)) is not None]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    _collisions(rows, mistakes)
    _machines(rows, mistakes)
    if mistakes:
        raise UsageError("\n".join(f"{path}, {mistake}" for mistake in mistakes))
    return rows


def write(rows: list[Row]) -> None:
    """Store the members as the file has them: their badges and machines become exactly these."""
    key = roster.badge_key(settings.ENVIRONMENT)
    machines = {machine.name: machine for machine in Machine.objects.all()}
    # First all old badges go: two members may swap theirs in one file.
    Badge.objects.filter(member__in=[row.id for row in rows]).delete()
    for row in rows:
        member, _ = Member.objects.update_or_create(
            id=row.id,
            defaults={"name": row.name, "lang": row.lang, "level": row.level, "valid_until": row.valid_until},
        )
        member.machines.set([machines[name] for name in row.machines])
        Badge.objects.bulk_create(
            Badge(spelling=str(found), digest=badge.digest(found, key), member=member) for found in row.badges
        )


def _columns(found: Sequence[str]) -> list[str]:
    mistakes = [f"the column {name!r} is missing; wanted {','.join(COLUMNS)}" for name in REQUIRED if name not in found]
    mistakes += [f"found the column {name!r}, wanted only {','.join(COLUMNS)}" for name in found if name not in COLUMNS]
    mistakes += [f"the column {name!r} is there twice" for name in sorted({n for n in found if found.count(n) > 1})]
    return mistakes


def _row(line: int, values: dict[str | None, str | list[str] | None], mistakes: list[str]) -> Row | None:
    if None in values or None in values.values():
        mistakes.append(f"line {line}: found another number of fields than columns; put fields with commas in quotes")
        return None
    text = {str(name): str(value).strip() for name, value in values.items()}
    row = Row(
        line,
        text["id"],
        text.get("name", ""),
        text.get("lang") or "en",
        text.get("level") or "user",
        valid_until=None,
        machines=_parts(text.get("machines", "")),
    )
    if not 0 < len(row.id) <= 64 or not row.id.isprintable():
        mistakes.append(f"line {line}: id: found {row.id[:80]!r}, wanted 1 to 64 printable characters")
    if len(row.name) > 120:
        mistakes.append(f"line {line}: name: found {len(row.name)} characters, wanted at most 120")
    if len(row.lang) > 8:
        mistakes.append(f"line {line}: lang: found {row.lang!r}, wanted a language such as fr")
    if row.level not in Member.LEVELS:
        mistakes.append(f"line {line}: level: found {row.level!r}, wanted {', '.join(Member.LEVELS)}")
    if until := text.get("valid_until"):
        try:
            row.valid_until = date.fromisoformat(until)
        except ValueError:
            mistakes.append(f"line {line}: valid_until: found {until!r}, wanted a date such as 2027-03-01")
    for spelling in _parts(text["badges"]):
        try:
            row.badges.append(badge.parse(spelling))
        except UsageError as error:
            mistakes.append(f"line {line}: badges: {error}")
    return row


def _collisions(rows: list[Row], mistakes: list[str]) -> None:
    """Refuse one id or one badge for two people, in the file or against who is known already."""
    ids: dict[str, int] = {}
    holders: dict[str, tuple[str, int]] = {}
    for row in rows:
        if row.id in ids:
            mistakes.append(f"line {row.line}: id: {row.id!r} is on line {ids[row.id]} already")
        ids.setdefault(row.id, row.line)
        for found in map(str, row.badges):
            if found in holders:
                member, line = holders[found]
                mistakes.append(f"line {row.line}: badges: {found} is the badge of {member!r} on line {line}")
            holders.setdefault(found, (row.id, row.line))
    for spelling, member in Badge.objects.values_list("spelling", "member"):
        if spelling in holders and member not in ids:
            mistakes.append(f"line {holders[spelling][1]}: badges: {spelling} is the badge of {member!r} already")


def _machines(rows: list[Row], mistakes: list[str]) -> None:
    known = set(Machine.objects.values_list("name", flat=True))
    for row in rows:
        for name in row.machines:
            if name not in known:
                wanted = ", ".join(sorted(known)) or "(there is none: let a gate in with gate-add)"
                mistakes.append(f"line {row.line}: machines: found {name!r}, wanted one of: {wanted}")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]
