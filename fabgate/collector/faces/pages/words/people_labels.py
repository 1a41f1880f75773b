"""Labels for trainings, badges, memberships and payers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import badge
from fabgate.collector.faces.pages.words.formatting import STATES as STATES_SHOWN
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Badge, Block, Grant, Group, Member, Payer, Training
from fabgate.collector.members.access.eligibility import EXPIRED, NOT_TRAINED, is_over
from fabgate.collector.members.people import many_grants, reasons

#: A grant's stage -> (the state for colour and icon, label).
STAGES: Final[Mapping[str, tuple[str, Any]]] = {
    Grant.SUPERVISED: ("warn", gettext_lazy("With a supervisor")),
    Grant.AUTONOMOUS: ("ok", gettext_lazy("Autonomous")),
    Grant.INSTRUCTOR: ("in-use", gettext_lazy("Instructor")),
    Grant.SUSPENDED: ("blocked", gettext_lazy("Suspended")),
}
#: Why a person gets no grant from a list or a form for many.
KEPT: Final[Mapping[str, Any]] = {
    many_grants.SUSPENDED: gettext_lazy(
        "Suspended: nothing is granted. Revoke the suspension on the person's page first."
    ),
    many_grants.MORE: gettext_lazy(
        "Already at a higher stage: nothing is granted. To lower it, use the person's page."
    ),
    many_grants.AS_MUCH: gettext_lazy("Already granted."),
}
KINDS: Final[Mapping[str, Any]] = {
    Badge.PERSONAL: gettext_lazy("personal"),
    Badge.LOAN: gettext_lazy("lent"),
    Badge.CLASS: gettext_lazy("class"),
    Badge.COMPANY: gettext_lazy("company"),
}
#: What kind of badge it is, for people.
BADGE_KINDS: Final[Mapping[badge.Kind, Any]] = {
    badge.Kind.ISO14443A: gettext_lazy("card (13.56 MHz)"),
    badge.Kind.EM4100: gettext_lazy("125 kHz badge"),
    badge.Kind.WIEGAND26: gettext_lazy("Wiegand badge"),
    badge.Kind.WIEGAND: gettext_lazy("Wiegand badge"),
    badge.Kind.NUMBER: gettext_lazy("number that a reader has shortened"),
}
GROUP_KINDS: Final[Mapping[str, Any]] = {
    Group.CLASS: gettext_lazy("Class"),
    Group.COMPANY: gettext_lazy("Company"),
}
PAYER_KINDS: Final[Mapping[str, Any]] = {
    Payer.MEMBER: gettext_lazy("Member"),
    Payer.GROUP: gettext_lazy("Group"),
    Payer.ORGANISATION: gettext_lazy("Organisation"),
}
LEVELS: Final[Mapping[str, Any]] = {
    "user": gettext_lazy("Member"),
    "supervisor": gettext_lazy("Supervisor"),
    "maintainer": gettext_lazy("Maintainer"),
}
#: Reasons for a block.
BLOCKS: Final[Mapping[str, Any]] = dict(Block.REASONS)


def badge_kind(spelling: str) -> str:
    """Return the kind of a badge, such as "125 kHz badge"; "" where only its digest is known."""
    return str(BADGE_KINDS[badge.parse(spelling).kind]) if spelling else ""


@dataclass(frozen=True, slots=True)
class Chip:
    """A state as colour, icon and word."""

    state: str
    word: str

    @property
    def picture(self) -> str:
        """Return the icon's name, for places where the word does not fit."""
        return STATES_SHOWN[self.state][0]


def stage(name: str) -> Chip:
    """Return the chip for a grant's stage."""
    state, word = STAGES[name]
    return Chip(state, str(word))


def expired() -> Chip:
    """Return the chip for an expired training."""
    return Chip("bad", _("Expired"))


def block_reason(reason: str) -> str:
    """Return the label of a block's reason."""
    return str(BLOCKS[reason]) if reason in BLOCKS else reasons.refused(reason)


def refused(found: Iterable[str], lacking: Sequence[Sequence[tuple[Training, str]]]) -> list[str]:
    """Return the labels of reasons, the worst first.

    `lacking` is what People.lacking returns for the machine: the label names all these trainings. If no training gives
    access to the machine, the label says so instead of "missing".
    """
    texts = [_untrained(lacking) if reason in (NOT_TRAINED, EXPIRED) else reasons.refused(reason) for reason in found]
    return list(dict.fromkeys(texts))


def _untrained(lacking: Sequence[Sequence[tuple[Training, str]]]) -> str:
    """Return "training missing: Safety tour (expired) and Laser, or Engraving"."""
    if not lacking:
        return _("needs individual access, which was not given")
    ways = [way for way in lacking if way]
    why = EXPIRED if all(one == EXPIRED for way in ways for _training, one in way) else NOT_TRAINED
    expired = "%s" if why == EXPIRED else _("%s (expired)")
    texts = [listed([expired % one if lack == EXPIRED else str(one) for one, lack in way]) for way in ways]
    which = (_(", or ") if any(len(way) > 1 for way in ways) else _(" or ")).join(dict.fromkeys(texts))
    return _("%(why)s: %(which)s") % {"why": reasons.refused(why), "which": which} if which else reasons.refused(why)


def listed(names: Sequence[str]) -> str:
    """Return "Fire drill, Safety tour and Laser"."""
    return _(" and ").join(filter(None, (", ".join(names[:-1]), names[-1])))


def day(moment: date | None) -> str:
    """Return a day in the reader's language."""
    return date_format(moment, "DATE_FORMAT") if moment else ""


def short(moment: date | None) -> str:
    """Return a day in short form, for lists."""
    return date_format(moment, "SHORT_DATE_FORMAT") if moment else ""


def membership_chips(member: Member, today: date, blocks: Iterable[str] = ()) -> list[Chip]:
    """Return the chips of a membership, the worst first, then those for minors and similar."""
    found = []
    if member.left_on is not None and member.left_on <= today:
        return [Chip("silent", _("Left on %(day)s") % {"day": short(member.left_on)})]
    if held := [block_reason(reason) for reason in blocks]:
        found.append(Chip("blocked", _("Blocked: %(why)s") % {"why": ", ".join(held)}))
    found.append(membership(member, today))
    if member.minor:
        found.append(Chip("starting", _("Minor: supervisor required")))
    elif member.supervised:
        found.append(Chip("starting", _("Supervisor required")))
    elif member.level != "user":  # people who need a supervisor cannot supervise others
        found.append(Chip("in-use", str(LEVELS[member.level])))
    return found


def membership(member: Member, today: date) -> Chip:
    """Return the chip with the end of a membership; `valid_until` is the last day."""
    until = member.valid_until
    if until is None:
        return Chip("ok", _("Member"))
    if until >= today:
        return Chip("ok", _("Member until %(day)s") % {"day": short(until)})
    if is_over(member, today):
        return Chip("bad", _("Membership ended on %(day)s") % {"day": short(until)})
    return Chip("warn", _("Membership ended on %(day)s, in grace period") % {"day": short(until)})
