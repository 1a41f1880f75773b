"""What would a members' file change? Of each person what is new, field by field, and who is not in it any more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from fabgate.collector import blocks, members
from fabgate.collector.members_file import File
from fabgate.collector.members_rows import Row
from fabgate.collector.models import Badge, Member

#: More of the members than this do not vanish at once by a list: it is more likely half a list.
MAX_VANISHING: Final = 0.2


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a person, as it is and as it would be."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Person:
    """A person in the file; `member` is None for a new one."""

    row: Row
    member: Member | None
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a file would do, as a whole."""

    file: File
    new: list[Person]
    changed: list[Person]
    unchanged: int
    #: Members now whom the file does not name.
    vanished: list[Member]
    members_now: int

    @property
    def too_many_vanish(self) -> bool:
        """Whether so many are missing that nobody may be ended by this file."""
        return len(self.vanished) > MAX_VANISHING * self.members_now

    @property
    def may_end(self) -> bool:
        """Whether those who are missing may be ended: nothing of the file is in doubt, and they are not too many."""
        return bool(self.vanished) and not self.too_many_vanish and not self.file.mistakes

    @property
    def to_take(self) -> File:
        """Return the file with only those who are new or change."""
        return replace(self.file, rows=[person.row for person in (*self.new, *self.changed)])

    @property
    def fingerprint(self) -> str:
        """Return what stays the same while the file would do the same."""
        said = [
            (person.row.id, [(f.name, f.before, f.after) for f in person.fields])
            for person in (*self.new, *self.changed)
        ]
        gone = [member.pk for member in self.vanished]
        return hashlib.sha256(repr((said, gone, [str(one) for one in self.file.mistakes])).encode()).hexdigest()


def difference(file: File) -> Difference:
    """Compare a file with who is known."""
    known = Member.objects.prefetch_related("machines").in_bulk()
    carried = _carried(known)
    people = [_person(row, known.get(row.id), carried.get(row.id, []), file.columns) for row in file.rows]
    today = blocks.today()
    now = [member for member in known.values() if member.left_on is None or member.left_on > today]
    vanished = sorted((member for member in now if member.pk not in file.ids), key=lambda member: member.folded)
    return Difference(
        file=file,
        new=[person for person in people if person.member is None],
        changed=[person for person in people if person.member is not None and person.fields],
        unchanged=sum(person.member is not None and not person.fields for person in people),
        vanished=vanished,
        members_now=len(now),
    )


def _person(row: Row, member: Member | None, carried: list[str], columns: frozenset[str]) -> Person:
    compared: list[tuple[str, Any, Any]] = [
        (name, None if member is None else getattr(member, name), getattr(row, name))
        for name in members.plain_in(columns)
    ]
    if "machines" in columns:
        had = [] if member is None else sorted(machine.name for machine in member.machines.all())
        compared.append(("machines", had, sorted(set(row.machines))))
    if "badges" in columns:
        compared.append(("badges", sorted(carried), sorted(map(str, row.badges))))
    fields = [
        Field(name, before, after)
        for name, before, after in compared
        if before != after and not (member is None and after in ("", [], None, False))
    ]
    return Person(row, member, fields)


def _carried(known: Iterable[str]) -> dict[str | None, list[str]]:
    """Return the badges that a file speaks of: people's own, as they are spelled."""
    found: dict[str | None, list[str]] = {pk: [] for pk in known}
    rows = Badge.objects.filter(ended_at=None, member__isnull=False, kind=Badge.PERSONAL).exclude(spelling="")
    for holder, spelling in rows.values_list("member", "spelling"):
        found.setdefault(holder, []).append(spelling)
    return found
