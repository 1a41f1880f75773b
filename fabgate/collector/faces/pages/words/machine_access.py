"""Says whether a person may use a machine now, until when, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.words import formatting, people_labels
from fabgate.collector.faces.pages.words.people_labels import Chip
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Machine, Member
from fabgate.collector.members.access.eligibility import NO_ACCESS, Eligibility, People
from fabgate.collector.members.access.opening_hours import Calendar


@dataclass(frozen=True, slots=True)
class Access:
    """Whether a person may use a machine, until when, and if not, why."""

    machine: Machine
    chip: Chip
    why: list[str]
    until: date | None


def of(
    machine: Machine, member: Member, people: People, hours: Calendar, at: datetime, *, names_instructors: bool = False
) -> Access:
    """Return the access of a person to a machine at a time of today, as its gate decides it with the newest roster.

    An instructor is called so with `names_instructors`.
    """
    standing = people.eligibility(member, machine)
    why = people_labels.refused(standing.reasons, people.lacking(member, machine)) if standing.reasons else []
    until = people.last_day(member, machine)
    open_until = machine.open_until(at) if _is_known(member, people, standing) else None
    if open_until is not None and not _suffices_until(open_until, standing, until, machine, hours, at):
        word = _("Yes, open to all members until %(moment)s") % {
            "moment": formatting.clock(open_until, "SHORT_DATETIME_FORMAT")
        }
        if open_until.date() == at.date():
            word = _("Yes, open to all members until %(time)s") % {"time": formatting.clock(open_until)}
        if not why and standing.needs_supervisor:
            why = [_("With a supervisor")]
        after = [_("after that: %(what)s") % {"what": ", ".join(why)}] if why else []
        return Access(machine, Chip("warn" if why else "ok", word), after, None)
    if why:
        return Access(machine, Chip("bad", _("No")), why, None)
    state, word = "ok", _("Instructor") if names_instructors and standing.is_instructor else _("Yes")
    if standing.needs_supervisor:
        state, word = "warn", _("With a supervisor")
    return Access(machine, Chip(state, _while_closed(word, standing, machine, hours, at)), [], until)


def _is_known(member: Member, people: People, standing: Eligibility) -> bool:
    """Return whether a gate knows the person: who has left has no badge."""
    return NO_ACCESS not in standing.reasons or bool(people.badges.get(member.pk))


def _suffices_until(
    end: datetime, standing: Eligibility, until: date | None, machine: Machine, hours: Calendar, at: datetime
) -> bool:
    """Return whether a person's own right is enough now, and lasts until `end`."""
    is_open = standing.comes_at_all_hours or hours.is_open(machine, at)
    lasts = until is None or until >= end.date()
    return is_open and lasts and not standing.reasons and not standing.needs_supervisor


def _while_closed(word: str, standing: Eligibility, machine: Machine, hours: Calendar, at: datetime) -> str:
    """Return `word`, such as "Yes", and if opening hours keep the person out at `at`, until when: with the weekday."""
    if standing.comes_at_all_hours or hours.is_open(machine, at):
        return word
    if (opens := hours.opens(machine, at)) is None:
        return _("%(may)s, but closed for at least a week") % {"may": word}
    day, time = opens
    when = time if day == at.date() else f"{date_format(day, 'l')} {time}"
    return _("%(may)s, closed until %(when)s") % {"may": word, "when": when}
