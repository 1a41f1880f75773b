"""Who left a machine on, what is written to them, and what became of it? Of one session at most once an hour.

That a mail was begun is in the audit log before the server is asked, and that it failed is there afterwards: whatever
ends this process in between, nobody is written to twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.db import audit
from fabgate.collector.models import Change, Member
from fabgate.collector.pages.floor.stations import Station, moment
from fabgate.collector.people import mails
from fabgate.collector.people.mails import Mail

#: How long nobody is written to again about the same session.
PAUSE: Final = timedelta(hours=1)
MAILED, NOT_MAILED = "member.mailed", "member.not-mailed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mail: `problem` is empty where the server has it."""

    station: Station
    problem: str


def about(station: Station) -> Mail | None:
    """Return what is written to whoever left a machine on, in their language; None where no address is known."""
    person = station.who
    if (
        person is None
        or person.member is None
        or not person.member.email
        or not (station.gate and station.gate.session)
    ):
        return None
    with translation.override(person.member.lang):
        subject = _("%(machine)s is still on") % {"machine": station.machine}
        body = _(
            "Hello %(name)s,\n\n%(machine)s has been on under your badge since: %(since)s. The workshop is closing.\n\nIf you"
            " are still there, finish and tap your badge: then it switches off. If you have gone, answer this mail, so"
            " that somebody switches it off for you.\n"
        )
        since = moment(station.since) if station.since else "?"
        body %= {"name": person.given, "machine": station.machine, "since": since}
    return Mail(person.member.email, subject, body)


def lately(at: datetime) -> dict[str, datetime]:
    """Return of which sessions somebody was written to within the pause, and when."""
    found: dict[str, datetime] = {}
    for change in Change.objects.filter(at__gt=at - PAUSE, verb__in=(MAILED, NOT_MAILED)).order_by("at", "id"):
        if change.verb == MAILED:
            found[change.after["session"]] = change.at
        else:
            found.pop(change.after["session"], None)
    return found


def write(stations: Iterable[Station], at: datetime, actor: str) -> list[Outcome]:
    """Write to those who left these machines on, except where it was done within the pause or no address is known."""
    begun = [(station, mail) for station in stations if (mail := about(station)) and _begin(station, mail, at, actor)]
    problems = mails.send([mail for _station, mail in begun]) if begun else []
    for (station, mail), problem in zip(begun, problems, strict=True):
        if problem:
            audit.record(actor, NOT_MAILED, _member(station), reason=problem[:200], after=_said(station, mail))
    return [Outcome(station, problem) for (station, _mail), problem in zip(begun, problems, strict=True)]


def _begin(station: Station, mail: Mail, at: datetime, actor: str) -> bool:
    """Write down that a mail goes out now; False where one went out within the pause. Two at once wait for each other."""
    with transaction.atomic():
        member = Member.objects.select_for_update(no_key=True).get(pk=_member(station).pk)
        said = _said(station, mail)
        if said["session"] in lately(at):
            return False
        audit.record(actor, MAILED, member, after=said)
        return True


def _said(station: Station, mail: Mail) -> dict[str, str]:
    assert station.gate is not None
    return {"machine": station.machine.name, "session": station.gate.session, "email": mail.to}


def _member(station: Station) -> Member:
    assert station.who is not None
    assert station.who.member is not None
    return station.who.member
