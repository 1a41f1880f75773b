"""Stores an imported list of members."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.ground.db import audit, bulk, duplicate, member_lock, statements
from fabgate.collector.ground.models import Badge, Machine, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import badges, blocks
from fabgate.collector.members.people.import_list import file as members_file
from fabgate.collector.members.people.import_list.rows import ImportedMember
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.billing.paying import payers
from fabgate.errors import UsageError

#: Fields that are stored unchanged.
PLAIN: Final = ("name", "lang", "level", "valid_until", "email", "category", "payer_id", "minor", "joined_on")


class Overtaken(UsageError):  # noqa: N818 (it names what happened)
    """A person of the file was added, or one of its badges assigned, by someone else at the same moment."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "one of these people was added, or one of these badges assigned, at the same moment; import the"
                " list again"
            )
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file, and its members ready to be stored."""

    file: members_file.File
    members: list[Member]
    #: The members that pay for others, as they were before the transaction; without new ones.
    payers: list[Member]


def prepare(file: members_file.File) -> Prepared:
    """Build the rows before the transaction, because SQLite has no other writer while it lasts."""
    fields = fields_in(file.columns)
    # A new member needs a language even if the file has no such column.
    members = [Member(id=row.id, **{name: getattr(row, name) for name in {*fields, "lang"}}) for row in file.rows]
    for member in members:
        member.fold()
    paying = sorted({row.payer_id for row in file.rows if row.payer_id is not None})
    known = [one for ids in statements.chunks(paying) for one in Member.objects.filter(pk__in=ids)]
    return Prepared(file, members, known)


def lock(file: members_file.File, prepared: Prepared) -> None:
    """Lock the people of a file, their payers and their badges until the transaction ends.

    What is read after it, and compared with the file, stays as it is: others who change them wait. Raises UsageError if a
    payer has left since the file was prepared.
    """
    member_lock.take(prepared.payers, also=file.ids)
    badges.lock_carried(file.ids)


def write(prepared: Prepared, *, actor: str, plans_from: date | None = None, new: Collection[str] | None = None) -> int:
    """Store the file's columns, and no other fields; return the number of new members.

    Members get their plans from the day `plans_from` on, or from the one of `member_plans.proposed_day`.

    The caller has called `lock`. Raises Overtaken if a new member was added, or a badge assigned, by someone else in the
    meantime, or if others are new than those of the ids `new`.
    """
    file, members = prepared.file, prepared.members
    rows, columns = file.rows, file.columns
    fields = fields_in(columns)
    try:
        with transaction.atomic():
            known = set(Member.objects.values_list("id", flat=True))
            if new is not None and {row.id for row in rows} - known != set(new):
                raise Overtaken
            with audit.changes(actor, "member.imported", members):
                bulk.insert([one for one in members if one.pk not in known])  # never overwrites
                bulk.update(
                    [one for one in members if one.pk in known], [*fields, "folded"] if "name" in fields else fields
                )
                if "machines" in columns:
                    _open_machines(rows)
            if "plan" in columns:
                member_plans.set_plans(*new_plans(file, plans_from), actor=actor)
            payers.ensure_all({row.payer_id for row in rows if row.payer_id is not None}, actor=actor)
            if "badges" in columns:
                _give_badges(file, actor)
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        raise Overtaken from error
    return len({row.id for row in rows} - known)


def new_plans(file: members_file.File, plans_from: date | None) -> tuple[dict[str, str], date]:
    """Return the plans that change, by the members' ids, and from when: `plans_from`, or the proposed day.

    A list that is imported each week confirms nothing: it would add a row for each member each time.
    """
    day = plans_from or member_plans.proposed_day(file.ids, member_plans.histories(file.ids), blocks.today())
    if "plan" not in file.columns:
        return {}, day
    known = member_plans.plans_on(day)
    return {row.id: row.plan for row in file.rows if row.plan != known.get(row.id, "")}, day


def fields_in(columns: Collection[str]) -> list[str]:
    """Return the fields of PLAIN for which a file has a column."""
    return [name for name in PLAIN if name.removesuffix("_id") in columns]


def lost_badge_notes(file: members_file.File) -> list[str]:
    """Return notes about badges in the file that were reported lost.

    Their last holder does not get them back by an old list; another person does, as at the desk.
    """
    lost = {
        one.digest: (one.member_id, one.member_id or str(one.group)) for one in Badge.lost().select_related("group")
    }
    key = roster.badge_key(settings.ENVIRONMENT) if lost else b""
    notes = []
    for row, found in _badges_of(file.rows) if lost else ():
        member, who = lost.get(badge.digest(found, key), ("", ""))
        text = _("line %(line)d: the badge %(badge)s of %(id)s was reported lost; it gives no access to any machine")
        if member != row.id:
            text = _(
                "line %(line)d: the badge %(badge)s of %(id)s was reported lost by %(who)s; ask %(who)s before"
                " you import the list"
            )
        if who:
            notes.append(text % {"line": row.line, "badge": found.masked(), "id": row.id, "who": who})
    return notes


def moved_badge_notes(file: members_file.File) -> list[str]:
    """Return notes about badges that go from one person in the file to another, although the file cannot know the first.

    These are loans, and badges enrolled by a tap: they stay with their holder if no row names them.
    """
    named = {str(found): (row.line, row.id, found) for row, found in _badges_of(file.rows)}
    people = {row.id for row in file.rows}
    held = [row for row in Badge.objects.filter(ended_at=None).order_by("id") if row.member_id in people]
    spelled = members_file.by_digest(file.rows) if any(not row.spelling for row in held) else {}
    text = _("line %(line)d: %(id)s gets the badge %(badge)s; %(holder)s no longer has it")
    notes = []
    for row in held:
        line, member, found = named.get(row.spelling or spelled.get(row.digest, ""), (0, row.member_id, None))
        if found is not None and member != row.member_id and (row.kind == Badge.LOAN or not row.spelling):
            notes.append(text % {"line": line, "id": member, "badge": found.masked(), "holder": row.member_id})
    return notes


def left_member_notes(file: members_file.File) -> list[str]:
    """Return notes about people in the file who have left: their badges are not assigned."""
    left = dict(_left().values_list("id", "left_on"))
    text = _(
        "line %(line)d: %(id)s left on %(day)s; readmit this person, then import the list again to assign the badges"
    )
    return [
        text % {"line": row.line, "id": row.id, "day": left[row.id]}
        for row in file.rows
        if row.badges and row.id in left
    ]


def _left() -> QuerySet[Member]:
    return Member.objects.filter(left_on__isnull=False, left_on__lte=blocks.today())


def _badges_of(rows: list[ImportedMember]) -> list[tuple[ImportedMember, badge.Badge]]:
    return [(row, found) for row in rows for found in row.badges]


def _open_machines(rows: list[ImportedMember]) -> None:
    """Set the individual access of the file's members to the machines that it names."""
    machines = dict(Machine.objects.values_list("name", "pk"))
    wanted = {(row.id, machines[name]) for row in rows for name in row.machines}
    links = Member.machines.through.objects
    named = {row.id for row in rows}
    held = {
        (member, machine): pk for pk, member, machine in links.values_list("pk", "member", "machine") if member in named
    }
    for some in statements.chunks([pk for link, pk in held.items() if link not in wanted]):
        links.filter(pk__in=some).delete()
    fresh = sorted(wanted - held.keys())
    bulk.insert([Member.machines.through(member_id=member, machine_id=machine) for member, machine in fresh])


def _give_badges(file: members_file.File, actor: str) -> None:
    """End personal badges that the file no longer names, and assign those that it names.

    A badge enrolled by a tap has no known spelling, so that no file names it: it stays.
    """
    key = roster.badge_key(settings.ENVIRONMENT)
    _store_spellings(file, actor)
    now = datetime.now(UTC)
    left = set(_left().values_list("id", flat=True))
    named = {(str(found), row.id): found for row, found in _badges_of(file.rows) if row.id not in left}
    spelled = {spelling for spelling, _member in named}
    people = {row.id for row in file.rows}
    ended = []
    for row in Badge.objects.filter(ended_at=None, member__isnull=False).order_by("id"):
        if row.member_id not in people:
            continue
        # A badge in a list becomes personal: a loan of it ends, and it is assigned again.
        if (row.spelling, row.member_id) in named and row.kind != Badge.LOAN:
            del named[row.spelling, row.member_id or ""]
        elif row.spelling and (row.kind == Badge.PERSONAL or row.spelling in spelled):
            ended.append(row)
    # All endings first: two members may swap badges in one file.
    with audit.changes(actor, "badge.ended", ended, reason="import"):
        badges.end_all(ended, Badge.REPLACED, actor, now)
    lost = set(Badge.lost().values_list("spelling", "member"))
    given = [
        Badge(spelling=spelling, digest=badge.digest(found, key), member_id=member, since=now)
        for (spelling, member), found in named.items()
        if (spelling, member) not in lost
    ]
    printed = badges.numbers(row.digest for row in given)
    for row in given:
        row.number = printed.get(row.digest, "")
    with audit.changes(actor, "badge.given", given, reason="import"):
        badges.store(given)


def _store_spellings(file: members_file.File, actor: str) -> None:
    """Store the spellings of badges that were known by their digest only."""
    unspelled = list(Badge.objects.filter(spelling="").order_by("id"))
    named = members_file.by_digest(file.rows) if unspelled else {}
    known = [row for row in unspelled if row.digest in named]
    with audit.changes(actor, "badge.spelled", known, reason="import"):
        for row in known:
            row.spelling, row.key_id = named[row.digest], ""
        Badge.objects.bulk_update(known, ["spelling", "key_id"])
