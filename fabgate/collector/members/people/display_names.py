"""Returns names for the ids in rosters and sessions: of a member, a group, an organisation or an emergency badge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Account, Badge, BadgeForm, Group, Member, Payer, Refusal
from fabgate.collector.ground.models.people import ORGANISATION_PREFIX
from fabgate.collector.members.access.short_forms import BADGE_SHARED
from fabgate.collector.members.people import reasons

_GROUP, _EMERGENCY = wire.GROUP_PREFIX, "emergency:"


@dataclass(frozen=True, slots=True)
class DisplayName:
    """A name for an id; `member` is None for a group, an organisation, an emergency badge and an unknown id."""

    id: str
    name: str
    #: the first name only, for displays that everyone can read
    given: str
    member: Member | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Holder:
    """The present or last holder of a badge; `until` is None while they have it, else `reason` says why it ended."""

    who: DisplayName
    until: datetime | None = None
    reason: str = ""
    #: The display name of the person who ended it.
    by: str = ""
    #: the number printed on the badge
    number: str = ""
    #: whether this was the holder at the past moment that was asked for
    is_then: bool = False

    @property
    def is_lost(self) -> bool:
        """Return whether the badge is lost: reported lost, and not assigned since."""
        return self.reason == Badge.LOST

    @property
    def whose(self) -> str:
        """Return whose badge it is, or whose it was, until when and why that ended, as a text."""
        if self.until is None:
            text = (
                _("At that time it was the badge of %(who)s") if self.is_then else _("This is now the badge of %(who)s")
            )
            return text % {"who": self.who}
        text = _("%(who)s had this badge until %(day)s (%(why)s)")
        return text % {"who": self.who, "day": self.day, "why": reasons.given_up(self.reason)}

    @property
    def asked(self) -> str:
        """Return whom to ask about a lost badge before somebody else gets it, as a text."""
        text = _(
            "%(who)s had this badge until %(day)s. It was reported lost by %(by)s: ask %(who)s before you assign"
            " it to someone else."
        )
        return text % {"who": self.who, "day": self.day, "by": self.by}

    @property
    def day(self) -> str:
        """Return the end date in short form."""
        return date_format(timezone.localtime(self.until), "SHORT_DATE_FORMAT") if self.until else ""


def names_of(ids: Iterable[str]) -> dict[str, DisplayName]:
    """Return the name for each of `ids`; empty ids are left out."""
    wanted = {id_ for id_ in ids if id_}
    members = Member.objects.in_bulk([id_ for id_ in wanted if not id_.startswith((_GROUP, _EMERGENCY))])
    numbers = [
        int(id_[len(_GROUP) :][:18]) for id_ in wanted if id_.startswith(_GROUP) and id_[len(_GROUP) :].isdecimal()
    ]
    groups = {group.roster_id: group.name for group in Group.objects.filter(pk__in=numbers)} if numbers else {}
    paying = [id_ for id_ in wanted if id_.startswith(ORGANISATION_PREFIX)]
    others = groups | (dict(Payer.organisations().filter(pk__in=paying).values_list("pk", "name")) if paying else {})
    return {id_: _display_name(id_, members.get(id_), others.get(id_)) for id_ in wanted}


def unknown_name(id_: str) -> DisplayName:
    """Return a name for an id that no list here has, without looking it up."""
    return _display_name(id_, None, None)


def unique_names(ids: Iterable[str]) -> dict[str, DisplayName]:
    """Return the name for each of `ids`, followed by the id if several members have that name."""
    found = names_of(ids)
    names = {named.member.folded for named in found.values() if named.member is not None and named.member.name}
    several = Member.objects.filter(folded__in=names).values("folded").annotate(n=Count("pk")).filter(n__gt=1)
    shared = set(several.order_by().values_list("folded", flat=True)) if names else set()
    return {
        pk: replace(named, name=numbered(named.name, pk))
        if named.member is not None and named.member.folded in shared
        else named
        for pk, named in found.items()
    }


def numbered(name: str, pk: str) -> str:
    """Return a name with the id that distinguishes it from others."""
    return f"{name} ({pk})"


def last_holders(digests: Iterable[str]) -> dict[str, Holder]:
    """Return the current or last holder of each badge, by digest; badges that were never assigned are missing."""
    wanted = set(digests)
    rows = Badge.objects.filter(digest__in=wanted).select_related("group").order_by("pk")
    last = {row.digest: row for row in rows}
    last |= {digest: rows[-1] for digest, rows in _whose_forms(wanted - last.keys()).items()}
    people = names_of(row.holder for row in last.values())
    authors = account_names(row.ended_by for row in last.values())
    return {
        digest: _holder(row, people[row.holder], authors.get(row.ended_by, _("Someone")))
        for digest, row in last.items()
    }


def holders_at_refusal(refusals: Iterable[Refusal]) -> dict[int, Holder]:
    """Return who held each refused badge at the time of its refusal, or last before it, by the refusal's id.

    A refusal shows only what was true at its time, not what happened to the badge later. Refusals of a known member,
    and of badges that were not assigned before, are left out.
    """
    wanted = [row for row in refusals if not row.member]
    given: dict[str, list[Badge]] = defaultdict(list)
    rows = Badge.objects.filter(digest__in={row.badge for row in wanted}).select_related("group")
    for row in rows.order_by("since", "pk"):
        given[row.digest].append(row)
    given |= _whose_forms({row.badge for row in wanted} - given.keys())
    found = {}
    for refusal in wanted:
        before = [row for row in given.get(refusal.badge, ()) if row.since <= refusal.about]
        if before:
            found[refusal.pk] = before[-1], refusal.about
    people = names_of(row.holder for row, _at in found.values())
    authors = account_names(row.ended_by for row, _at in found.values())
    return {
        pk: _holder(row, people[row.holder], authors.get(row.ended_by, _("Someone")), at)
        for pk, (row, at) in found.items()
    }


def _whose_forms(digests: Collection[str]) -> dict[str, list[Badge]]:
    """Return the assignments of badges that have these short forms, the oldest first; not of forms that several have."""
    if not digests:
        return {}
    found: dict[str, list[Badge]] = defaultdict(list)
    several = set()
    for form in BadgeForm.objects.filter(digest__in=digests).select_related("badge__group").order_by("badge"):
        found[form.digest].append(form.badge)
        several |= {form.digest} if form.state == BadgeForm.SHARED else set()
    return {digest: rows for digest, rows in found.items() if digest not in several}


def current_holders(digests: Iterable[str]) -> dict[str, DisplayName]:
    """Return the current holder of each badge, by digest; badges without one are missing."""
    return {digest: holder.who for digest, holder in last_holders(digests).items() if holder.until is None}


def badge_title(holder: Holder | None, why: Collection[str]) -> str:
    """Return a title for a badge that was refused for the reasons `why`, and whose last holder is `holder`."""
    if BADGE_SHARED in why:
        return _("Badge with a shared number")
    return _("Lost badge") if holder is not None and holder.is_lost else _("Unknown badge")


def account_names(names: Iterable[str]) -> dict[str, str]:
    """Return the display names of accounts.

    An actor at the command line keeps the typed name, marked as such: anyone there can type any name.
    """
    wanted = {name for name in names if name}
    known = dict(Account.objects.filter(name__in=wanted).values_list("name", "display_name"))
    return {name: known.get(name) or _by_command(name) for name in wanted}


def _by_command(name: str) -> str:
    if not name.startswith(audit.CLI):
        return name
    return _("%(name)s (command line)") % {"name": name.removeprefix(audit.CLI)}


def _holder(row: Badge, who: DisplayName, by: str, at: datetime | None = None) -> Holder:
    """Return the holder now, or at the moment `at`."""
    moment = at or timezone.now()
    if row.ended_at is not None and (at is None or row.ended_at <= moment):
        return Holder(who, row.ended_at, row.end_reason, by, row.number)
    if row.until is not None and row.until <= moment:  # the worker ends it within a minute
        return Holder(who, row.until, Badge.OVER, number=row.number)
    return Holder(who, number=row.number, is_then=at is not None)


def _display_name(id_: str, member: Member | None, other: str | None) -> DisplayName:
    """Return the name of an id; `other` is the name of a group or an organisation."""
    if member is not None:
        return DisplayName(id_, member.name or id_, member.given_name or _("someone"), member)
    if other is not None:
        return DisplayName(id_, other, other)
    if id_.startswith(_EMERGENCY):
        name = _("Emergency badge %(label)s") % {"label": id_[len(_EMERGENCY) :]}
        return DisplayName(id_, name, _("emergency badge"))
    return DisplayName(id_, id_, _("someone"))
