"""What is somebody called? Rosters and sessions name a member, a group or an emergency badge; pages name people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.models import Account, Badge, Group, Member

_GROUP, _EMERGENCY = "group:", "emergency:"


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


def called(ids: Iterable[str]) -> dict[str, Who]:
    """Return who each of `ids` is; the empty one is nobody, and left out."""
    wanted = {one for one in ids if one}
    members = Member.objects.in_bulk([one for one in wanted if not one.startswith((_GROUP, _EMERGENCY))])
    numbers = [
        int(one[len(_GROUP) :][:18]) for one in wanted if one.startswith(_GROUP) and one[len(_GROUP) :].isdecimal()
    ]
    groups = {group.roster_id: group for group in Group.objects.filter(pk__in=numbers)}
    return {one: _who(one, members.get(one), groups.get(one)) for one in wanted}


def having(digests: Iterable[str]) -> dict[str, Who]:
    """Return who has each of these badges now, by the badge's digest; those that nobody has are left out."""
    carried = Badge.carried(timezone.now()).filter(digest__in=set(digests)).select_related("group")
    holders = {row.digest: row.holder for row in carried}
    people = called(holders.values())
    return {digest: people[holder] for digest, holder in holders.items() if holder in people}


def signing_in(names: Iterable[str]) -> dict[str, str]:
    """Return what those are called who sign in with `names`; whoever gives commands keeps their own name."""
    wanted = {name for name in names if name}
    known = dict(Account.objects.filter(name__in=wanted).values_list("name", "display_name"))
    return {name: known.get(name) or name.removeprefix("cli:") for name in wanted}


def _who(one: str, member: Member | None, group: Group | None) -> Who:
    if member is not None:
        return Who(one, member.name or one, member.given_name or _("somebody"), member)
    if group is not None:
        return Who(one, group.name, group.name)
    if one.startswith(_EMERGENCY):
        name = _("Emergency badge %(label)s") % {"label": one[len(_EMERGENCY) :]}
        return Who(one, name, _("emergency badge"))
    return Who(one, one, _("somebody"))
