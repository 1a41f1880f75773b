"""Which machines may one person use, and what is missing for the others?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fabgate.collector.access.eligibility import People
from fabgate.collector.models import Grant, Machine, Member
from fabgate.collector.pages.people import words


@dataclass(frozen=True, slots=True)
class Allowed:
    """A machine and where the person stands with it: state, word, and why."""

    machine: Machine
    state: str
    word: str
    why: str


def machines(member: Member) -> list[Allowed]:
    """Return every machine, those that are open to the member first."""
    people = People(datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)), only=member)
    found = [
        _allowed(machine, member, people)
        for machine in Machine.objects.filter(retired_at=None).order_by("title", "name")
    ]
    return sorted(found, key=lambda one: (one.state == "bad", str(one.machine).casefold()))


def trainings(member: Member, today: date) -> list[dict[str, Any]]:
    """Return the trainings that the member holds or held: of each the word that decides, or the last one."""
    said: dict[int, list[Grant]] = defaultdict(list)
    for grant in Grant.said_by(today).filter(member=member):
        said[grant.training_id].append(grant)
    telling = [Grant.deciding(grants, today) or grants[-1] for grants in said.values()]
    rows = []
    for grant in sorted(telling, key=lambda grant: str(grant.training).casefold()):
        is_over = not grant.holds_on(today)
        chip = words.Chip("bad", _("Too old: do it again")) if is_over else _stage(grant.stage)
        rows.append({"grant": grant, "chip": chip, "last_day": grant.last_day})
    return rows


def _stage(name: str) -> words.Chip:
    """Return a stage as one says it to the person."""
    chip = words.stage(name)
    return words.Chip(chip.state, _("On your own")) if name == Grant.AUTONOMOUS else chip


def _allowed(machine: Machine, member: Member, people: People) -> Allowed:
    standing = people.standing(member, machine)
    refused = words.refused(standing.reasons, is_taught=people.is_taught(machine))
    if refused:
        return Allowed(machine, "bad", _("No"), ", ".join(refused))
    until = people.last_day(member, machine)
    why = _("until %(day)s") % {"day": date_format(until, "SHORT_DATE_FORMAT")} if until else ""
    if standing.needs_supervisor:
        return Allowed(machine, "warn", _("With a supervisor"), why)
    return Allowed(machine, "ok", _("Yes"), why)
