"""Random workshops on paper (oracle.py), and the same ones written into the collector's database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from fabgate import badge
from fabgate.collector.ground import models
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import badges
from tests.collector import oracle
from tests.collector.oracle import Group, Hours, Machine, Person, Said, Training, Workshop

PEOPLE, GROUPS = ("m-1", "m-2", "m-3"), ("group:1", "group:2")
MACHINES = ("laser", "saw")
TRAININGS = ("tour", "course", "laser-course")
STAGES = ("supervised", "autonomous", "instructor", "suspended")
CARDS = ("04A1B201", "04A1B202", "04A1B203", "04A1B204", "04A1B205", "04A1B206", "04A1B207")

soon = st.integers(-3, 7)
maybe = st.one_of(st.none(), soon)
rarely = st.sampled_from([False, False, False, True])


@dataclass
class Card:
    """A badge: whose it is, until the end of which day it is lent, and how it was given up."""

    spelling: str
    holder: str
    last_day: int | None = None
    gave_up: str | None = None

    @property
    def digest(self) -> str:
        """Return it as gates know it."""
        return badge.digest(badge.parse(self.spelling), roster.badge_key(_env()))


@dataclass
class Written:
    """A workshop, and in whose hands its badges are."""

    shop: Workshop
    cards: list[Card] = field(default_factory=list)


def a_person(id_: str) -> st.SearchStrategy[Person]:
    """Return anybody."""
    return st.builds(
        Person,
        id=st.just(id_),
        level=st.sampled_from(["user", "user", "supervisor", "maintainer"]),
        minor=rarely,
        supervised=rarely,
        valid_until=st.one_of(st.none(), st.none(), soon),
        grace_days=st.integers(0, 2),
        left_on=st.one_of(st.none(), st.none(), st.none(), soon),
        by_hand=st.sets(st.sampled_from(MACHINES)),
        said=st.lists(
            st.builds(
                Said,
                training=st.sampled_from(TRAININGS),
                stage=st.sampled_from(STAGES),
                since=st.integers(-9, 5),
                until=st.one_of(st.none(), st.none(), st.integers(-2, 7)),
                revoked_on=st.one_of(st.none(), st.none(), soon),
            ).filter(lambda said: said.until is None or said.until >= said.since),
            max_size=4,
        ),
        blocks=st.one_of(
            st.just({}),
            st.just({}),
            st.dictionaries(st.sampled_from(["banned", "payment-due"]), st.one_of(st.none(), st.integers(1, 4))),
        ),
    )


def a_group(id_: str) -> st.SearchStrategy[Group]:
    """Return a class or a company."""
    return st.builds(
        Group,
        id=st.just(id_),
        kind=st.sampled_from(["class", "company"]),
        machines=st.sets(st.sampled_from(MACHINES)),
        ended_on=st.one_of(st.none(), st.none(), st.integers(-3, 0)),
    )


def some_hours() -> st.SearchStrategy[Hours]:
    """Return weekly hours, or those of a special day."""
    scopes = st.sampled_from(["", "", "=wood", "saw"])
    minutes = st.integers(0, 47).map(lambda half: half * 30)
    weekly = st.builds(
        Hours,
        scope=scopes,
        weekdays=st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
        start=minutes,
        to=minutes,
    )
    special = st.builds(Hours, scope=scopes, day=st.integers(-1, 6), start=minutes, to=minutes)
    closed = st.builds(Hours, scope=scopes, day=st.integers(-1, 6))
    return st.one_of(weekly, weekly, special, closed)


@st.composite
def workshops(draw: st.DrawFn, weekday: int) -> Written:
    """Draw a workshop with its badges."""
    machines = [
        Machine(name, "wood" if name == "saw" else "", draw(st.sampled_from(["never", "minors", "minors", "always"])))
        for name in MACHINES
    ]
    trainings = [
        Training(
            name,
            draw(st.sets(st.sampled_from(MACHINES))),
            draw(st.sampled_from([None, *TRAININGS[:number]])),
            draw(st.sampled_from([None, None, 3, 8])),
        )
        for number, name in enumerate(TRAININGS)
    ]
    shop = Workshop(
        people=[draw(a_person(id_)) for id_ in PEOPLE],
        groups=[draw(a_group(id_)) for id_ in GROUPS],
        trainings=trainings,
        machines=machines,
        hours=draw(st.one_of(st.just([]), st.lists(some_hours(), max_size=4))),
        weekday=weekday,
    )
    cards = [
        Card(
            spelling,
            holder,
            draw(st.one_of(st.none(), st.integers(0, 5))) if holder in PEOPLE else None,
            draw(st.sampled_from([None, None, None, None, "returned", "lost"])),
        )
        for spelling in CARDS
        if (holder := draw(st.sampled_from(["", *PEOPLE, *PEOPLE, *GROUPS])))
    ]
    return Written(shop, cards)


def write(written: Written, today: date) -> None:
    """Write a workshop into the database, over the one that is there: nobody is ever deleted from a collector."""
    machines = {one.name: models.Machine.objects.get(name=one.name) for one in written.shop.machines}
    for one in written.shop.machines:
        machines[one.name].category, machines[one.name].rules = one.category, {"supervisor": one.supervisor}
        machines[one.name].save()
    _write_trainings(written.shop, machines)
    for person in written.shop.people:
        _write_person(person, machines, today)
    for group in written.shop.groups:
        ended = None if group.ended_on is None else today + timedelta(days=group.ended_on)
        number = int(group.id.partition(":")[2])
        row, _ = models.Group.objects.update_or_create(
            pk=number, defaults={"name": group.id, "kind": group.kind, "ended_on": ended}
        )
        row.machines.set([machines[name] for name in group.machines])
    _write_hours(written.shop, machines, today)
    _hand_out(written, today)


def _write_trainings(shop: Workshop, machines: dict[str, models.Machine]) -> None:
    models.Training.objects.update(prerequisite=None)
    for training in shop.trainings:
        row, _ = models.Training.objects.update_or_create(
            name=training.name,
            defaults={
                "expires_after_days": training.expires_after_days,
                "prerequisite": models.Training.objects.filter(name=training.first).first(),
            },
        )
        row.machines.set([machines[name] for name in training.machines])


def _write_person(person: Person, machines: dict[str, models.Machine], today: date) -> None:
    def on(day: int | None) -> date | None:
        return None if day is None else today + timedelta(days=day)

    row, _ = models.Member.objects.update_or_create(
        pk=person.id,
        defaults={
            "level": person.level,
            "minor": person.minor,
            "supervised": person.supervised,
            "valid_until": on(person.valid_until),
            "grace_days": person.grace_days,
            "left_on": on(person.left_on),
        },
    )
    row.machines.set([machines[name] for name in person.by_hand])
    row.grants.all().delete()
    for said in person.said:
        row.grants.create(
            training=models.Training.objects.get(name=said.training),
            stage=said.stage,
            since=on(said.since),
            until=on(said.until),
            revoked_on=on(said.revoked_on),
        )
    row.blocks.all().delete()
    for reason, until in person.blocks.items():
        row.blocks.create(reason=reason, until=on(until), actor="eve", at=datetime.now(UTC))


def _write_hours(shop: Workshop, machines: dict[str, models.Machine], today: date) -> None:
    models.Opening.objects.all().delete()
    models.SpecialDay.objects.all().delete()
    for row in shop.hours:
        said: dict[str, Any] = {"start": _time(row.start), "to": _time(row.to)}
        if row.scope.startswith("="):
            said["category"] = row.scope[1:]
        elif row.scope:
            said["machine"] = machines[row.scope]
        if row.day is None:
            models.Opening.objects.create(days=list(row.weekdays), **said)
        else:
            models.SpecialDay.objects.create(day=today + timedelta(days=row.day), **said)


def _hand_out(written: Written, today: date) -> None:
    """Take back each badge that somebody else has now, and put it into the hands of whoever is to have it."""
    now = datetime.now(UTC)
    for row in models.Badge.objects.filter(ended_at=None):
        row.end(models.Badge.RETURNED, "eve", now)
    for card in written.cards:
        is_group = card.holder in GROUPS
        row = models.Badge.objects.create(
            spelling=card.spelling,
            digest=card.digest,
            member_id=None if is_group else card.holder,
            group_id=int(card.holder.partition(":")[2]) if is_group else None,
            since=now,
            kind="personal" if card.last_day is None else "loan",
            until=None if card.last_day is None else badges.end_of(today + timedelta(days=card.last_day)),
        )
        if card.gave_up:
            row.end(card.gave_up, "eve", now)


def _time(minutes: int | None) -> time | None:
    return None if minutes is None else time(minutes // 60, minutes % 60)


def _env() -> Any:
    from django.conf import settings

    return settings.ENVIRONMENT


def answer(written: Written, holder: str, machine: str, day: int) -> oracle.Answer:
    """Say by the oracle where somebody stands with a machine on a day."""
    shop = written.shop
    found = next(one for one in shop.machines if one.name == machine)
    for person in shop.people:
        if person.id == holder:
            return oracle.of_person(shop, person, found, day)
    return oracle.of_group(next(one for one in shop.groups if one.id == holder), found, day)
