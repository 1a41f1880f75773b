"""Which machines a member may use, and what is missing for the others."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.words import machine_access, people_labels
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Grant, Machine, Member
from fabgate.collector.members.access.eligibility import People
from fabgate.collector.members.access.opening_hours import Calendar


@dataclass(frozen=True, slots=True)
class Permission:
    """A machine and whether the member may use it: state, word, and why."""

    machine: Machine
    state: str
    word: str
    why: str


def machines(member: Member, at: datetime) -> list[Permission]:
    """Return every machine at a time of today, in the site's zone; those that the member may use come first."""
    people, hours = People(at, only=member), Calendar(at.date())
    permissions = [
        _permission(machine, member, people, hours, at)
        for machine in Machine.objects.filter(retired_at=None).order_by("title", "name")
    ]
    return sorted(permissions, key=lambda one: (one.state == "bad", str(one.machine).casefold()))


def trainings(member: Member, today: date) -> list[dict[str, Any]]:
    """Return the trainings that a member has or had, each with the grant that applies or the last one."""
    grants_of: dict[int, list[Grant]] = defaultdict(list)
    for grant in Grant.begun_by(today).filter(member=member):
        grants_of[grant.training_id].append(grant)
    shown = [Grant.applicable(grants, today) or grants[-1] for grants in grants_of.values()]
    rows = []
    for grant in sorted(shown, key=lambda grant: str(grant.training).casefold()):
        is_over = not grant.holds_on(today)
        chip = people_labels.Chip("bad", _("Expired: repeat it")) if is_over else _stage(grant.stage)
        rows.append({"grant": grant, "chip": chip, "last_day": grant.last_day})
    return rows


def _stage(name: str) -> people_labels.Chip:
    """Return the chip of a stage, with the text for members."""
    chip = people_labels.stage(name)
    return people_labels.Chip(chip.state, _("On your own")) if name == Grant.AUTONOMOUS else chip


def _permission(machine: Machine, member: Member, people: People, hours: Calendar, at: datetime) -> Permission:
    found = machine_access.of(machine, member, people, hours, at)
    until = _("until %(day)s") % {"day": date_format(found.until, "SHORT_DATE_FORMAT")} if found.until else ""
    return Permission(machine, found.chip.state, found.chip.word, ", ".join(found.why) or until)
