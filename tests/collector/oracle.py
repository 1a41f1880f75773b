"""Who may use which machine, by the documents alone: a workshop on paper, and what is to be said of it.

Written from README.md, docs/reference.md, docs/decisions and the words of the pages' own forms, and from no code: nothing
of fabgate is imported here. Days are counted from today, 0; a moment is such a day and its minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

DAY_MIN = 24 * 60


@dataclass
class Said:
    """What a trainer said of a person and a training."""

    training: str
    stage: str
    since: int
    until: int | None = None
    revoked_on: int | None = None


@dataclass
class Person:
    """A member as the desk wrote them down."""

    id: str
    level: str = "user"
    minor: bool = False
    supervised: bool = False
    #: The last day of the membership.
    valid_until: int | None = None
    grace_days: int = 0
    #: The first day on which they are no member any more.
    left_on: int | None = None
    by_hand: set[str] = field(default_factory=set)
    said: list[Said] = field(default_factory=list)
    #: Reason and the first day on which it holds no more.
    blocks: dict[str, int | None] = field(default_factory=dict)


@dataclass
class Group:
    """A class or a company, which hands out badges of its own."""

    id: str
    kind: str
    machines: set[str] = field(default_factory=set)
    ended_on: int | None = None


@dataclass
class Training:
    """A training, its machines and the one that it wants first."""

    name: str
    machines: set[str]
    first: str | None = None
    expires_after_days: int | None = None


@dataclass
class Machine:
    """A machine, and who needs a supervisor at it by its own rules."""

    name: str
    category: str = ""
    supervisor: str = "minors"


@dataclass
class Hours:
    """Hours of a machine, a category ("=wood") or the workshop (""): on weekdays, or on one special day.

    Minutes of the day; an end that is not after the start is the next day's. No start: closed.
    """

    scope: str
    weekdays: tuple[int, ...] = ()
    day: int | None = None
    start: int | None = None
    to: int | None = None


@dataclass
class Workshop:
    """All that was written down."""

    people: list[Person]
    groups: list[Group]
    trainings: list[Training]
    machines: list[Machine]
    hours: list[Hours] = field(default_factory=list)
    #: The ISO weekday of today.
    weekday: int = 1


@dataclass(frozen=True)
class Answer:
    """What is to be said: every reason why not, or under which condition."""

    reasons: frozenset[str] = frozenset()
    needs_supervisor: bool = False
    supervises: bool = False
    #: Maintainers come when nobody else does.
    at_all_hours: bool = False


# --- people -----------------------------------------------------------------------------------------------------------


def of_person(shop: Workshop, person: Person, machine: Machine, day: int) -> Answer:
    """Say whether a person may use a machine on a day, as far as it is written down today."""
    reasons = {why for why, until in person.blocks.items() if until is None or day < until}
    if person.left_on is not None and person.left_on <= day:
        reasons.add("no-access")
    if person.valid_until is not None and person.valid_until + person.grace_days < day:
        reasons.add("expired")
    covering = [training for training in shop.trainings if machine.name in training.machines]
    held = [held_on(shop, person, training, day) for training in covering]
    stages = [stage for stage, missing in held if stage is not None and not missing]
    if any("suspended" in missing for _stage, missing in held):
        reasons.add("suspended")
    if machine.name not in person.by_hand:
        # Of several trainings that would open it, the one of which least is missing; first one that is only too old.
        lacks = [missing - {"suspended"} for _stage, missing in held] or [{"training-missing"}]
        reasons |= min(lacks, key=lambda missing: (len(missing), "training-expired" not in missing))
    is_ward = person.minor or person.supervised
    is_ward = is_ward or (machine.name not in person.by_hand and stages != [] and set(stages) == {"supervised"})
    is_instructor = "instructor" in stages
    ranked = not is_ward and (person.level != "user" or is_instructor)
    return Answer(
        frozenset(reasons),
        needs_supervisor=is_ward or (machine.supervisor == "always" and not ranked),
        supervises=ranked,
        at_all_hours=person.level == "maintainer" and not is_ward,
    )


def held_on(shop: Workshop, person: Person, training: Training, day: int) -> tuple[str | None, set[str]]:
    """Return the stage that a person has of a training on a day, and what is missing or in the way."""
    said = [one for one in person.said if one.training == training.name and _counts(one, day)]
    learnt = [one for one in said if one.stage != "suspended"]
    holding = [one for one in learnt if not _is_over(one, training, day)]
    missing = set() if holding else {"training-expired" if learnt else "training-missing"}
    # A suspension holds until its own end or until it is taken back, whatever was said after it.
    if any(one.stage == "suspended" and (one.until is None or day <= one.until) for one in said):
        missing.add("suspended")
    first = next((one for one in shop.trainings if one.name == training.first), None)
    if first is not None:
        missing |= held_on(shop, person, first, day)[1]
    newest = max(enumerate(holding), key=lambda pair: (pair[1].since, pair[0]))[1] if holding else None
    return newest and newest.stage, missing


def _counts(said: Said, day: int) -> bool:
    return said.since <= day and (said.revoked_on is None or day < said.revoked_on)


def _is_over(said: Said, training: Training, day: int) -> bool:
    ends = [end for end in (said.until,) if end is not None]
    if training.expires_after_days is not None:
        ends.append(said.since + training.expires_after_days)
    return any(day > end for end in ends)


def last_day(shop: Workshop, person: Person, machine: Machine) -> int | None:
    """Return the last day on which a person who may use a machine today still may; None: there is no end in sight."""
    ends = (day - 1 for day in range(1, 60) if of_person(shop, person, machine, day).reasons)
    return next(ends, None)


def of_group(group: Group, machine: Machine, day: int) -> Answer:
    """Say the same of a badge that a group carries itself."""
    reasons = set()
    if group.ended_on is not None and group.ended_on <= day:
        reasons.add("no-access")
    if machine.name not in group.machines:
        reasons.add("training-missing")
    is_class = group.kind == "class"
    return Answer(frozenset(reasons), needs_supervisor=is_class or machine.supervisor == "always")


# --- hours ------------------------------------------------------------------------------------------------------------


def is_open(shop: Workshop, machine: Machine, day: int, minute: int) -> bool:
    """Say whether members may begin on a machine at a moment. A night belongs to the day on which it begins."""
    return _covers(_hours_of(shop, machine, day), minute) or (
        # What was open last night goes on; where no hours are set at all, nothing ends at midnight.
        _covers([span for span in _hours_of(shop, machine, day - 1) or [] if span[1] > DAY_MIN], minute + DAY_MIN)
    )


def _covers(spans: Sequence[tuple[int, int]] | None, minute: int) -> bool:
    return spans is None or any(start <= minute < end for start, end in spans)


def _hours_of(shop: Workshop, machine: Machine, day: int) -> list[tuple[int, int]] | None:
    """Return what begins on a day; None where no hours are set."""
    scopes = [machine.name, *(["=" + machine.category] if machine.category else []), ""]
    weekday = (shop.weekday - 1 + day) % 7 + 1
    weekly = [one for one in shop.hours if one.day is None]
    own = next((scope for scope in scopes if any(one.scope == scope for one in weekly)), None)
    usual = None if own is None else [one for one in weekly if one.scope == own and weekday in one.weekdays]
    special = [one for one in shop.hours if one.day == day]
    said = next((scope for scope in scopes if any(one.scope == scope for one in special)), None)
    if said is None:
        return None if usual is None else _spans(usual)
    rows = [one for one in special if one.scope == said]
    that_day = [] if any(one.start is None for one in rows) else _spans(rows)
    if own is None or scopes.index(said) <= scopes.index(own):
        return that_day
    # A special day of a wider scope only takes away, and nothing where that scope is open at least as long as usual.
    weekly_there = [one for one in weekly if one.scope == said]
    usual_there = _spans(one for one in weekly_there if weekday in one.weekdays)
    if weekly_there and that_day and all(_covers(that_day, m) for span in usual_there for m in range(*span)):
        return _spans(usual or [])
    return [
        (max(start, begins), min(end, ends))
        for start, end in _spans(usual or [])
        for begins, ends in that_day
        if max(start, begins) < min(end, ends)
    ]


def _spans(rows: Iterable[Hours]) -> list[tuple[int, int]]:
    found = []
    for row in rows:
        assert row.start is not None
        assert row.to is not None
        found.append((row.start, row.to if row.to > row.start else row.to + DAY_MIN))
    return found
