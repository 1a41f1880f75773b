"""How are trainings, badges and memberships said in people's words?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.access.eligibility import NOT_TRAINED, is_over
from fabgate.collector.models import Badge, Block, Grant, Group, Member
from fabgate.collector.pages.formatting import STATES as STATES_SHOWN
from fabgate.collector.people import reasons

#: A grant's stage: the state whose colour and icon it has, and its word.
STAGES: Final[Mapping[str, tuple[str, Any]]] = {
    Grant.SUPERVISED: ("warn", gettext_lazy("With a supervisor")),
    Grant.AUTONOMOUS: ("ok", gettext_lazy("On their own")),
    Grant.INSTRUCTOR: ("in-use", gettext_lazy("Instructor")),
    Grant.SUSPENDED: ("blocked", gettext_lazy("Suspended")),
}
KINDS: Final[Mapping[str, Any]] = {
    Badge.PERSONAL: gettext_lazy("their own"),
    Badge.LOAN: gettext_lazy("lent"),
    Badge.CLASS: gettext_lazy("of a class"),
    Badge.COMPANY: gettext_lazy("of a company"),
}
GROUP_KINDS: Final[Mapping[str, Any]] = {
    Group.CLASS: gettext_lazy("Class"),
    Group.COMPANY: gettext_lazy("Company"),
}
LEVELS: Final[Mapping[str, Any]] = {
    "user": gettext_lazy("Member"),
    "supervisor": gettext_lazy("Supervisor"),
    "maintainer": gettext_lazy("Maintainer"),
}
#: Why somebody is blocked.
BLOCKS: Final[Mapping[str, Any]] = dict(Block.REASONS)


@dataclass(frozen=True, slots=True)
class Chip:
    """A state as colour, icon and word."""

    state: str
    word: str

    @property
    def picture(self) -> str:
        """Return the icon's name, for where there is no room for the word."""
        return STATES_SHOWN[self.state][0]


def stage(name: str) -> Chip:
    """Return how a grant's stage is shown."""
    state, word = STAGES[name]
    return Chip(state, str(word))


def too_old() -> Chip:
    """Return how it stands with a training that is to be done again."""
    return Chip("bad", _("Too old"))


def block(reason: str) -> str:
    """Return why somebody is blocked."""
    return str(BLOCKS[reason]) if reason in BLOCKS else reasons.refused(reason)


def refused(found: Iterable[str], *, is_taught: bool) -> list[str]:
    """Return every reason in words, the worst first. Where no training opens the machine, none can be missing."""
    untaught = _("no training opens it, and not let in by hand")
    said = [untaught if one == NOT_TRAINED and not is_taught else reasons.refused(one) for one in found]
    return list(dict.fromkeys(said))


def day(moment: date | None) -> str:
    """Return a day as the reader's language writes it."""
    return date_format(moment, "DATE_FORMAT") if moment else ""


def short(moment: date | None) -> str:
    """Return a day in few letters, for lists."""
    return date_format(moment, "SHORT_DATE_FORMAT") if moment else ""


def standing(member: Member, today: date, blocks: Iterable[str] = ()) -> list[Chip]:
    """Return how it stands with a membership: the worst first; what is unusual about the person after it."""
    found = []
    if member.left_on is not None and member.left_on <= today:
        return [Chip("silent", _("Left on %(day)s") % {"day": short(member.left_on)})]
    if held := [block(reason) for reason in blocks]:
        found.append(Chip("blocked", _("Blocked: %(why)s") % {"why": ", ".join(held)}))
    found.append(membership(member, today))
    if member.minor:
        found.append(Chip("starting", _("Minor: never alone")))
    elif member.supervised:
        found.append(Chip("starting", _("Never alone")))
    elif member.level != "user":  # who may not be alone is beside nobody
        found.append(Chip("in-use", str(LEVELS[member.level])))
    return found


def membership(member: Member, today: date) -> Chip:
    """Return until when somebody is a member, or since when no more; the last day is one of theirs."""
    until = member.valid_until
    if until is None:
        return Chip("ok", _("Member"))
    if until >= today:
        return Chip("ok", _("Member until %(day)s") % {"day": short(until)})
    if is_over(member, today):
        return Chip("bad", _("Membership ended on %(day)s") % {"day": short(until)})
    return Chip("warn", _("Membership ended on %(day)s, days of grace") % {"day": short(until)})
