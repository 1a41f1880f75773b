"""Gives the demo's collector a history: dates everything that exists, and plays back ten weeks."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import msgspec
from django.conf import settings
from django.db import transaction

import fabgate
from fabgate import badge
from fabgate.collector.ground.db import audit, chains
from fabgate.collector.ground.models import Badge, Block, Change, Grant, Machine, Member, Training, UsageSession
from fabgate.collector.members.access import roster
from fabgate.collector.recording.sessions import corrections
from fabgate.demo.furnishing.past import days, money, playback
from fabgate.demo.furnishing.past.dating import logged_at, moment, zone
from fabgate.demo.furnishing.people import LOSER, MEMBERS, REGULARS, UIDS
from fabgate.demo.furnishing.places import Made, Wanted

#: The account of the volunteer at the desk, who granted trainings and blocked a member.
DESK: Final = "zoe"
#: The seed of all random choices: every demo has the same history, only on other days.
SEED: Final = 7
#: The card of a visitor whom the workshop does not know.
VISITOR_UID: Final = "5A:C1:07:E4"
CONTESTED: Final = {
    "en": "I stopped earlier and forgot to tap off. Someone used the machine after me.",
    "fr": "J’ai terminé plus tôt et oublié de passer mon badge. Quelqu’un a utilisé la machine après moi.",  # noqa: RUF001 (French)
}


def furnish(wanted: Wanted, today: date, made: dict[str, Made]) -> dict[str, Made]:
    """Store ten weeks of sessions and refusals until `today`; return `made` with the number of each gate's entries.

    The collector already has the demo's machines, members and account, and nothing else.
    """
    opened = moment(days.first_day(today), time(8))
    with transaction.atomic():
        _date_what_is_there(opened, today)
        grants = _grants(wanted, today)
        _debt(today)
        money.school(opened)
    key = roster.badge_key(settings.ENVIRONMENT)
    uids = {card: uid for card, uid in UIDS.items() if card != "phone"} | {"visitor": VISITOR_UID}
    digests = {card: badge.digest(badge.parse(uid), key) for card, uid in uids.items()}
    chance = random.Random(SEED)  # noqa: S311 (nothing secret)
    pasts = days.write(today, zone(), days.Known(digests, grants), version=fabgate.__version__, chance=chance)
    journals = {place.gate: Path(wanted.folder) / place.gate / "journal.db" for place in wanted.places}
    heads = playback.play(settings.ENVIRONMENT.site, pasts, journals, zone())
    with transaction.atomic():
        money.furnish(today, wanted.lang, opened)
        _contest()
        _change_rules(wanted)
        chains.CHANGES.seal_all()  # their dates were changed afterwards
    return {gate: msgspec.structs.replace(one, head=heads[gate]) for gate, one in made.items()}


def _date_what_is_there(opened: datetime, today: date) -> None:
    """Date machines, members and badges to the first day, and the loss of Ada's first card later."""
    lost = moment(today - timedelta(days=days.LOST_DAYS), time(18))
    Change.objects.update(at=opened)
    Change.objects.filter(verb="badge.ended").update(at=lost)
    Badge.objects.update(since=opened)
    Badge.objects.filter(end_reason=Badge.LOST).update(ended_at=lost)
    Member.objects.update(joined_on=opened.astimezone(zone()).date())
    for model, dates in (Member, ("joined_on",)), (Badge, ("since", "ended_at")):
        _log_dates(model, dates)


def _log_dates(model: type[Member | Badge], dates: tuple[str, ...]) -> None:
    """Write the dates of all members or badges into the log, which has those of before; its seals are made later."""
    stored = {
        str(pk): values for pk, values in audit.stored(model, list(model.objects.values_list("pk", flat=True))).items()
    }
    for row in Change.objects.filter(kind=model.__name__.lower()):
        is_new_member = model is Member and not row.before
        row.after |= {name: stored[row.key][name] for name in dates if row.after.get(name) or is_new_member}
        row.save(update_fields=["after"])


def _grants(wanted: Wanted, today: date) -> dict[tuple[str, str], int]:
    """Grant every member the trainings for their machines; return the grants' ids by member and machine."""
    found = {}
    opened = moment(days.first_day(today), time(9))
    for place in wanted.places:
        training = Training(name=place.machine, title=place.title)
        with logged_at(opened), audit.change(DESK, "training.added", training):
            training.save()
            training.machines.add(Machine.objects.get(name=place.machine))
        by_day: dict[date, list[Grant]] = {}
        for person in (*MEMBERS, *REGULARS):
            if (since := days.trained_on(person, place.machine, today)) is not None:
                grant = Grant(member_id=person.id, training=training, stage=Grant.AUTONOMOUS, since=since)
                grant.trainer = "" if person.id == days.SUPERVISOR else days.SUPERVISOR
                grant.created_at = max(opened, moment(since, time(19)))
                by_day.setdefault(since, []).append(grant)
        for grants in by_day.values():
            with logged_at(grants[0].created_at), audit.changes(DESK, "grant.given", grants):
                for grant in grants:
                    grant.save()
                    found[grant.member_id, place.machine] = grant.pk
    return found


def _debt(today: date) -> None:
    """Block the member who had not paid, and lift the block later."""
    first, last = (moment(today - timedelta(days=ago), time(15)) for ago in days.OWED_DAYS)
    block = Block(member_id=days.DEBTOR, reason="payment-due", actor=DESK, at=first)
    with logged_at(first), audit.change(DESK, "block.set", block):
        block.save()
    with logged_at(last), audit.change(DESK, "block.lifted", block):
        block.lifted_by, block.lifted_at = DESK, last
        block.save()


def _contest() -> None:
    """Contest the last session at the laser, as its member."""
    at_laser = UsageSession.objects.filter(machine__name="laser", review=None).exclude(member=LOSER)
    last = at_laser.order_by("ended_at").last()
    assert last is not None
    member = Member.objects.get(id=last.member)
    corrections.contest(last, CONTESTED[member.lang], author=member.id)


def _change_rules(wanted: Wanted) -> None:
    """Set the machines' rules for the demo, so that visitors do not have to wait for a limit."""
    for place in wanted.places:
        machine = Machine.objects.get(name=place.machine)
        with audit.change("demo", "machine.updated", machine):
            machine.rules = place.rules
            machine.save()
