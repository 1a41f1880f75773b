"""What is somebody called? Rosters and sessions name a member, a group or an emergency badge; pages name people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.db import audit
from fabgate.collector.models import Account, Badge, Group, Member, Refusal
from fabgate.collector.people import reasons

_GROUP, _EMERGENCY = wire.GROUP_PREFIX, "emergency:"


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody as pages call them; `member` is None for a group, an emergency badge and who is not known here."""

    id: str
    name: str
    #: Without surname, for displays that everybody reads.
    given: str
    member: Member | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a badge, or who had it last: until when, and why no longer; `until` is None while they have it."""

    who: Who
    until: datetime | None = None
    reason: str = ""
    #: Who wrote that down, as pages call them.
    by: str = ""
    #: What is printed on the badge.
    number: str = ""
    #: They had it at the moment that is asked about, which is not now.
    is_then: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether it was reported lost, and nobody has got it since."""
        return self.reason == Badge.LOST

    @property
    def said(self) -> str:
        """Return whose it is, or was until when, and why no longer."""
        if self.until is None:
            text = _("Then the badge of %(who)s") if self.is_then else _("By now the badge of %(who)s")
            return text % {"who": self.who}
        text = _("%(who)s had it until %(day)s (%(why)s)")
        return text % {"who": self.who, "day": self.day, "why": reasons.given_up(self.reason)}

    @property
    def asked(self) -> str:
        """Return of a lost badge whom to ask before somebody else gets it."""
        text = _(
            "%(who)s had it until %(day)s. It was reported lost by %(by)s: ask %(who)s before somebody else gets it."
        )
        return text % {"who": self.who, "day": self.day, "by": self.by}

    @property
    def day(self) -> str:
        """Return until when, in few letters."""
        return date_format(timezone.localtime(self.until), "SHORT_DATE_FORMAT") if self.until else ""


def called(ids: Iterable[str]) -> dict[str, Who]:
    """Return who each of `ids` is; the empty one is nobody, and left out."""
    wanted = {one for one in ids if one}
    members = Member.objects.in_bulk([one for one in wanted if not one.startswith((_GROUP, _EMERGENCY))])
    numbers = [
        int(one[len(_GROUP) :][:18]) for one in wanted if one.startswith(_GROUP) and one[len(_GROUP) :].isdecimal()
    ]
    groups = {group.roster_id: group for group in Group.objects.filter(pk__in=numbers)}
    return {one: _who(one, members.get(one), groups.get(one)) for one in wanted}


def unlisted(one: str) -> Who:
    """Return who one is whom no list here has, or has no name of: for who has looked already."""
    return _who(one, None, None)


def told_apart(ids: Iterable[str]) -> dict[str, Who]:
    """Return who each of `ids` is, with the number beside a name that is not the only one of its kind."""
    found = called(ids)
    names = {one.member.folded for one in found.values() if one.member is not None and one.member.name}
    several = Member.objects.filter(folded__in=names).values("folded").annotate(n=Count("pk")).filter(n__gt=1)
    shared = set(several.order_by().values_list("folded", flat=True)) if names else set()
    return {
        pk: replace(one, name=numbered(one.name, pk)) if one.member is not None and one.member.folded in shared else one
        for pk, one in found.items()
    }


def numbered(name: str, pk: str) -> str:
    """Return a name with the number that tells it from another one."""
    return f"{name} ({pk})"


def holding(digests: Iterable[str]) -> dict[str, Holder]:
    """Return who has each of these badges, or had it last, by the badge's digest; those of nobody ever are left out."""
    rows = Badge.objects.filter(digest__in=set(digests)).select_related("group").order_by("pk")
    last = {row.digest: row for row in rows}
    people = called(row.holder for row in last.values())
    authors = signing_in(row.ended_by for row in last.values())
    return {
        digest: _holder(row, people[row.holder], authors.get(row.ended_by, _("Someone")))
        for digest, row in last.items()
    }


def at_the_time(refusals: Iterable[Refusal]) -> dict[int, Holder]:
    """Return who had the badge of each refusal at its time, or had had it last, by the refusal's id.

    A refusal says something of its own time: who got the badge later, or lost it later, is nobody's business there.
    Those of a known member are left out, and those of a badge that nobody had had.
    """
    wanted = [row for row in refusals if not row.member]
    given: dict[str, list[Badge]] = defaultdict(list)
    rows = Badge.objects.filter(digest__in={row.badge for row in wanted}).select_related("group")
    for row in rows.order_by("since", "pk"):
        given[row.digest].append(row)
    found = {}
    for refusal in wanted:
        before = [row for row in given[refusal.badge] if row.since <= refusal.about]
        if before:
            found[refusal.pk] = before[-1], refusal.about
    people = called(row.holder for row, _at in found.values())
    authors = signing_in(row.ended_by for row, _at in found.values())
    return {
        pk: _holder(row, people[row.holder], authors.get(row.ended_by, _("Someone")), at)
        for pk, (row, at) in found.items()
    }


def having(digests: Iterable[str]) -> dict[str, Who]:
    """Return who has each of these badges now, by the badge's digest; those that nobody has are left out."""
    return {digest: one.who for digest, one in holding(digests).items() if one.until is None}


def unnamed(holder: Holder | None) -> str:
    """Return what a badge is called with which a gate let nobody in, and whose `holder` this is."""
    return _("Lost badge") if holder is not None and holder.is_lost else _("Unknown badge")


def signing_in(names: Iterable[str]) -> dict[str, str]:
    """Return what those are called who sign in with `names`.

    A verb on the command line has the name that it was given, and that it was one: anybody there may give any name.
    """
    wanted = {name for name in names if name}
    known = dict(Account.objects.filter(name__in=wanted).values_list("name", "display_name"))
    return {name: known.get(name) or _by_command(name) for name in wanted}


def _by_command(name: str) -> str:
    if not name.startswith(audit.CLI):
        return name
    return _("%(name)s (command line)") % {"name": name.removeprefix(audit.CLI)}


def _holder(row: Badge, who: Who, by: str, at: datetime | None = None) -> Holder:
    """Return the assignment as it is now, or as it was `at` a moment."""
    moment = at or timezone.now()
    if row.ended_at is not None and (at is None or row.ended_at <= moment):
        return Holder(who, row.ended_at, row.end_reason, by, row.number)
    if row.until is not None and row.until <= moment:  # the worker writes it down in a moment
        return Holder(who, row.until, Badge.OVER, number=row.number)
    return Holder(who, number=row.number, is_then=at is not None)


def _who(one: str, member: Member | None, group: Group | None) -> Who:
    if member is not None:
        return Who(one, member.name or one, member.given_name or _("someone"), member)
    if group is not None:
        return Who(one, group.name, group.name)
    if one.startswith(_EMERGENCY):
        name = _("Emergency badge %(label)s") % {"label": one[len(_EMERGENCY) :]}
        return Who(one, name, _("emergency badge"))
    return Who(one, one, _("someone"))
