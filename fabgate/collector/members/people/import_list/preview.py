"""Compares a list of members with the database: new people, changes field by field, and members who are missing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _

from fabgate.collector.ground.models import Badge, Member
from fabgate.collector.members.people import blocks, duplicates
from fabgate.collector.members.people.import_list import store
from fabgate.collector.members.people.import_list.file import File, by_digest
from fabgate.collector.members.people.import_list.rows import ImportedMember
from fabgate.collector.money.billing import member_plans
from fabgate.errors import UsageError

#: If more than this share of the members is missing, the list is probably incomplete.
MAX_VANISHING: Final = 0.2
#: A preview with at most so many new people has a box to tick for each: one may be a mistyped number. With more new people,
#: all are confirmed at once: so many mistyped numbers are unlikely.
MOST_TICKED: Final = 200


@dataclass(frozen=True, slots=True)
class Field:
    """A changed field of a person."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PreviewedPerson:
    """A person in the file; `member` is None for a new person."""

    row: ImportedMember
    member: Member | None
    fields: list[Field]
    #: The numbers of members of the same name as a new person.
    namesakes: Sequence[str] = ()
    #: The numbers of other new people of the same name in the file.
    twins: Sequence[str] = ()


class Unconfirmed(UsageError):  # noqa: N818 (it names what happened)
    """Nothing would be imported, or a person without the new one who pays for them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes that a file would make."""

    file: File
    new: list[PreviewedPerson]
    changed: list[PreviewedPerson]
    unchanged: int
    #: Current members who are not in the file.
    vanished: list[Member]
    members_now: int
    #: The first day of the plans in the file.
    plans_from: date

    @property
    def too_many_vanish(self) -> bool:
        """Whether so many members are missing that their number must be typed to mark them as left."""
        return len(self.vanished) > MAX_VANISHING * self.members_now

    @property
    def is_addition(self) -> bool:
        """Whether the file only adds people, such as a new class: most members are missing, and none is changed."""
        return self.too_many_vanish and bool(self.new) and not self.changed

    @property
    def asks_for_each(self) -> bool:
        """Whether each new person is confirmed: in a list of people who are known, a new number is probably mistyped."""
        return len(self.new) < len(self.changed) + self.unchanged and len(self.new) <= MOST_TICKED

    @property
    def may_end(self) -> bool:
        """Whether the missing members may be marked as left: the file has no errors, and not too many are missing."""
        return bool(self.vanished) and not self.too_many_vanish and not self.file.mistakes

    @property
    def may_end_counted(self) -> bool:
        """Whether many missing members may be marked as left if their number is typed: the file must name some who stay."""
        stay = len(self.changed) + self.unchanged
        return self.too_many_vanish and stay > 0 and not self.file.mistakes

    @property
    def plans(self) -> dict[str, str]:
        """The plans that change, by the people's ids."""
        return {
            person.row.id: field.after
            for person in (*self.new, *self.changed)
            for field in person.fields
            if field.name == "plan"
        }

    def to_take(self, confirmed: Collection[str], *, is_complete: bool) -> File:
        """Return the file with only changed people, and new ones whose ids are `confirmed`.

        Raises Unconfirmed if one of them is paid for by a new person who is not, or if there are only others and the
        list ends no membership, as one that `is_complete` does.
        """
        refused = {person.row.id for person in self.new} - set(confirmed)
        rows = [person.row for person in (*self.new, *self.changed) if person.row.id not in refused]
        if refused and not rows and not is_complete:
            raise Unconfirmed(_("Nothing was imported. Tick the new people to add them."))
        for row in rows:
            if row.payer_id in refused:
                text = _("Nothing was imported: %(payer)s is new, and pays for %(id)s. Tick both, or neither.")
                raise Unconfirmed(text % {"payer": row.payer_id, "id": row.id})
        return replace(self.file, rows=rows)

    @property
    def fingerprint(self) -> str:
        """Return a hash that is the same as long as the file would make the same changes."""
        changes = [
            (person.row.id, [(f.name, f.before, f.after) for f in person.fields])
            for person in (*self.new, *self.changed)
        ]
        gone = [member.pk for member in self.vanished]
        return hashlib.sha256(
            repr((changes, gone, self.plans_from, [str(one) for one in self.file.mistakes])).encode()
        ).hexdigest()


@dataclass(frozen=True, slots=True)
class Known:
    """A snapshot of all members; two equal ones mean that nothing has changed."""

    members: list[tuple[Any, ...]]
    #: (member's id, machine's name)
    machines: list[tuple[str, str]]
    #: (member's id, spelling, digest, kind) of the badges that members have.
    badges: list[tuple[str, str, str, str]]
    #: The same of lost badges, which a list does not assign again.
    lost: list[tuple[str, str]]
    #: By the members' ids.
    plans: Mapping[str, member_plans.History]

    @classmethod
    def now(cls) -> Known:
        """Read all members."""
        machines = Member.machines.through.objects.order_by("pk").values_list("member", "machine__name")
        carried = Badge.objects.filter(ended_at=None, member__isnull=False)
        badges = carried.order_by("pk").values_list("member", "spelling", "digest", "kind")
        lost = Badge.lost().filter(member__isnull=False).order_by("pk").values_list("member", "spelling")
        people = Member.objects.order_by("pk").values_list(*_columns())
        return cls(list(people), list(machines), list(badges), list(lost), member_plans.histories())


def difference(file: File, known: Known, plans_from: date | None = None) -> Difference:
    """Compare a file with the database; its plans with those of the day `plans_from`, or of the proposed one."""
    columns = _columns()
    there = {one.pk: one for one in (Member.from_db(DEFAULT_DB_ALIAS, columns, row) for row in known.members)}
    today = blocks.today()
    left = {one.pk for one in there.values() if one.left_on is not None and one.left_on <= today}
    staying = [row for row in file.rows if row.id not in left]  # a list assigns no badges to people who left
    opened, carried, lost = _by_first(known.machines), _carried(known.badges, staying), set(known.lost)
    plans_from = plans_from or member_plans.proposed_day(file.ids, known.plans, today)
    plans = {member: member_plans.plan_on(history, plans_from) for member, history in known.plans.items()}
    people = [
        _person(
            row,
            there.get(row.id),
            {"machines": sorted(opened[row.id]), "badges": sorted(carried[row.id]), "plan": plans.get(row.id, "")},
            file.columns,
            lost,
        )
        for row in file.rows
    ]
    now = [member for member in there.values() if member.left_on is None or member.left_on > today]
    vanished = sorted((member for member in now if member.pk not in file.ids), key=lambda member: member.folded)
    new = [person for person in people if person.member is None]
    same = duplicates.of_names({person.row.name for person in new})
    alike = _by_first((duplicates.in_any_order(person.row.name), person.row.id) for person in new if person.row.name)
    return Difference(
        file=file,
        new=[
            replace(
                person,
                namesakes=same.get(person.row.name, ()),
                twins=[one for one in alike.get(duplicates.in_any_order(person.row.name), ()) if one != person.row.id],
            )
            for person in new
        ],
        changed=[person for person in people if person.member is not None and person.fields],
        unchanged=sum(person.member is not None and not person.fields for person in people),
        vanished=vanished,
        members_now=len(now),
        plans_from=plans_from,
    )


def _person(
    row: ImportedMember,
    member: Member | None,
    now: Mapping[str, Any],
    columns: frozenset[str],
    lost: Collection[tuple[str, str]],
) -> PreviewedPerson:
    """Compare a row with a member; `now` are their machines, badges and plan."""
    compared: list[tuple[str, Any, Any]] = [
        (name, None if member is None else getattr(member, name), getattr(row, name))
        for name in store.fields_in(columns)
    ]
    if "plan" in columns:
        compared.append(("plan", now["plan"], row.plan))
    if "machines" in columns:
        compared.append(("machines", now["machines"], sorted(set(row.machines))))
    has_left = member is not None and member.left_on is not None and member.left_on <= blocks.today()
    if "badges" in columns and not has_left:  # a list assigns no badges to people who left
        named = [one for one in map(str, row.badges) if (row.id, one) not in lost]
        compared.append(("badges", now["badges"], sorted(named)))
    fields = [
        Field(name, before, after)
        for name, before, after in compared
        if before != after and not (member is None and after in ("", [], None, False))
    ]
    return PreviewedPerson(row, member, fields)


def _carried(badges: Sequence[tuple[str, str, str, str]], rows: Sequence[ImportedMember]) -> Mapping[str, list[str]]:
    """Return the badges of each member that these rows can end, as they are spelled.

    These are personal ones with a known spelling, and, if the row of another member names them, loans and badges
    enrolled by a tap.
    """
    named = {str(found): row.id for row in rows for found in row.badges}
    spelled = by_digest(rows) if any(not spelling for _member, spelling, _digest, _kind in badges) else {}
    return _by_first(
        (member, spelling or spelled.get(digest, ""))
        for member, spelling, digest, kind in badges
        if (spelling and kind == Badge.PERSONAL) or named.get(spelling or spelled.get(digest, ""), member) != member
    )


def _by_first(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for first, second in pairs:
        found[first].append(second)
    return found


def _columns() -> list[str]:
    return [field.attname for field in Member._meta.concrete_fields]  # noqa: SLF001 (Django's name for it)
