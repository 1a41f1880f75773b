"""E-mails at closing time to people who left a machine on; at most one an hour for each session.

Sending is audited before the server is contacted, and a failure afterwards: if this process ends in between, no one
gets the e-mail twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.floor.stations import Station, moment
from fabgate.collector.ground import mails
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.mails import Mail
from fabgate.collector.ground.models import Change, Member

#: No second e-mail about the same session within this time.
PAUSE: Final = timedelta(hours=1)
MAILED, NOT_MAILED = "member.mailed", "member.not-mailed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an e-mail: `problem` is empty if the server accepted it."""

    station: Station
    problem: str


def draft(station: Station) -> Mail | None:
    """Return the e-mail to the user of a machine, in their language; None if their address is unknown."""
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
            "Hello %(name)s,\n\n%(machine)s has been on with your badge since %(since)s. The workshop is "
            "closing.\n\nIf you are still there, finish and switch it off at the machine. If you have "
            "left, reply to this e-mail so that someone can switch it off.\n"
        )
        since = moment(station.since) if station.since else "?"
        body %= {"name": person.given, "machine": station.machine, "since": since}
    return Mail(person.member.email, subject, body)


def recent(at: datetime) -> dict[str, datetime]:
    """Return when an e-mail was sent within the pause, by session."""
    sent_at: dict[str, datetime] = {}
    for change in Change.objects.filter(at__gt=at - PAUSE, verb__in=(MAILED, NOT_MAILED)).order_by("at", "id"):
        if change.verb == MAILED:
            sent_at[change.after["session"]] = change.at
        else:
            sent_at.pop(change.after["session"], None)
    return sent_at


def send(stations: Iterable[Station], at: datetime, actor: str) -> list[Outcome]:
    """E-mail the users of these machines, unless done within the pause or the address is unknown."""
    begun = [(station, mail) for station in stations if (mail := draft(station)) and _begin(station, mail, at, actor)]
    problems = mails.send([mail for _station, mail in begun]) if begun else []
    for (station, mail), problem in zip(begun, problems, strict=True):
        if problem:
            audit.record(actor, NOT_MAILED, _member(station), reason=problem[:200], after=_details(station, mail))
    return [Outcome(station, problem) for (station, _mail), problem in zip(begun, problems, strict=True)]


def _begin(station: Station, mail: Mail, at: datetime, actor: str) -> bool:
    """Record that an e-mail is being sent; return False if one was sent within the pause. Simultaneous calls wait."""
    with transaction.atomic():
        member = Member.objects.select_for_update(no_key=True).get(pk=_member(station).pk)
        details = _details(station, mail)
        if details["session"] in recent(at):
            return False
        audit.record(actor, MAILED, member, after=details)
        return True


def _details(station: Station, mail: Mail) -> dict[str, str]:
    assert station.gate is not None
    return {"machine": station.machine.name, "session": station.gate.session, "email": mail.to}


def _member(station: Station) -> Member:
    assert station.who is not None
    assert station.who.member is not None
    return station.who.member
