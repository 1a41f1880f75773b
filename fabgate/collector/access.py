"""Who may use which machine today, and why not? One answer, from which rosters are built and pages are written.

A machine is open to a member who was let in by hand (``Member.machines``), or who holds a training that covers it and
everything that the training wants first. Of a training the newest grant that holds says the stage. Who is suspended
from a training uses none of its machines, whatever else lets them in.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from django.conf import settings

from fabgate.collector.models import Badge, Block, Grant, Group, Machine, Member, Training

#: The reasons that a gate's panel knows (gate/messages.py), the worst first.
NO_ACCESS: Final = "no-access"
MEMBERSHIP_OVER: Final = "expired"
SUSPENDED: Final = "suspended"
EXPIRED: Final = "training-expired"
NOT_TRAINED: Final = "training-missing"
BADGE_LOST: Final = "badge-lost"
OUTSIDE_HOURS: Final = "outside-hours"
_WORST: Final = (SUSPENDED, EXPIRED, NOT_TRAINED)
_STAGES: Final = (Grant.SUPERVISED, Grant.AUTONOMOUS, Grant.INSTRUCTOR)
_USER, _SUPERVISOR, _MAINTAINER = Member.LEVELS


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member, or a group, stands with a machine today. `reasons` are why not; without any they may use it."""

    reasons: tuple[str, ...] = ()
    #: What lets them in; None: by hand, or with a group's badge.
    grant: Grant | None = None
    is_instructor: bool = False
    #: What they may do at this machine beyond using it: one of Member.LEVELS.
    level: str = _USER
    #: Whether somebody must be beside them: as a minor, by their stage, or because it is written down of them.
    is_supervised: bool = False
    #: The same, or because this machine wants it of everybody of their level.
    needs_supervisor: bool = False
    #: The last day that a roster may name, None: no end; and the days of grace after it.
    valid_until: date | None = None
    grace_days: int = 0

    def until(self, lent_until: date | None) -> tuple[date | None, int]:
        """Return the last day and the days of grace that a roster names for badges that are lent until a day."""
        if lent_until is None or (self.last_day is not None and self.last_day < lent_until):
            return self.valid_until, self.grace_days
        return lent_until, 0

    @property
    def last_day(self) -> date | None:
        """Return the last day on which they may use it, with the days of grace; None: no end."""
        return self.valid_until and _after(self.valid_until, self.grace_days)

    @property
    def comes_at_all_hours(self) -> bool:
        """Whether opening hours do not hold for them: maintainers come when nobody else does."""
        return self.level == _MAINTAINER

    @property
    def is_barred(self) -> bool:
        """Whether a roster refuses them. A membership alone that is over is left to the gate and its clock."""
        return any(reason != MEMBERSHIP_OVER for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class _Trained:
    """What trainings, or a manager's hand, say of a member and a machine. `reasons` are why they do not let them in.

    `last_day` is when that ends, None: not by itself. `suspended_on` is the first day of a suspension that is written
    down already and has not begun, None: there is none.
    """

    reasons: tuple[str, ...] = ()
    grant: Grant | None = None
    is_supervised: bool = False
    is_instructor: bool = False
    last_day: date | None = None
    suspended_on: date | None = None


class People:
    """Everybody with badges, blocks, grants and machines, read once for all machines; or `only` one member."""

    def __init__(self, now: datetime, only: Member | None = None) -> None:
        self.today = now.date()
        self.members = list(Member.objects.order_by("id")) if only is None else [only]
        which = {} if only is None else {"member": only}
        #: By holder: the badges, by the last day of what is lent; None: theirs for good.
        self.badges: dict[str, dict[date | None, list[str]]] = defaultdict(lambda: defaultdict(list))
        #: Of who has nothing but loans, the last day of the last one.
        self.loans: dict[str, date | None] = {}
        carried = Badge.in_hands(now).filter(**which).select_related("group").order_by("spelling", "digest")
        #: By roster id: every group, also those that have no badge and those that are over.
        self.groups = {group.roster_id: group for group in (Group.objects.order_by("id") if only is None else ())}
        for row in carried:
            # Until midnight is until the day before.
            last = row.until and (row.until.astimezone(now.tzinfo) - timedelta(microseconds=1)).date()
            self.badges[row.holder][last].append(row.digest)
            known = self.loans.get(row.holder, last)
            self.loans[row.holder] = max(known, last) if known and last else None
        self.group_machines: dict[int, set[int]] = defaultdict(set)
        for group, machine in Group.machines.through.objects.values_list("group", "machine"):
            self.group_machines[group].add(machine)
        #: (digest, language) of the badges that are lost.
        self.lost = [
            (row.digest, row.member.lang if row.member else settings.ENVIRONMENT.lang)
            for row in Badge.lost().filter(**which).select_related("member").order_by("spelling", "digest")
        ]
        self.blocks: dict[str, list[str]] = defaultdict(list)
        for member, reason in Block.holding(self.today).filter(**which).values_list("member", "reason"):
            self.blocks[member].append(reason)
        self._by_hand: dict[str, set[int]] = defaultdict(set)
        for member, machine in Member.machines.through.objects.filter(**which).values_list("member", "machine"):
            self._by_hand[member].add(machine)
        self._grants: dict[tuple[str, int], list[Grant]] = defaultdict(list)
        for grant in Grant.said_by(self.today).filter(**which):
            self._grants[grant.member_id, grant.training_id].append(grant)
        self._coming: dict[tuple[str, int], list[Grant]] = defaultdict(list)
        for grant in Grant.coming(self.today).filter(**which):
            self._coming[grant.member_id, grant.training_id].append(grant)
        self._trainings = Training.objects.in_bulk()
        self._covering: dict[int, list[Training]] = defaultdict(list)
        for training, machine in Training.machines.through.objects.order_by("training").values_list(
            "training", "machine"
        ):
            self._covering[machine].append(self._trainings[training])
        self._held: dict[tuple[str, int], _Trained] = {}
        self._always_supervised: dict[int, bool] = {}

    def standing(self, member: Member, machine: Machine) -> Standing:
        """Return where `member` stands with `machine`, with every reason of all that is known; blocks first."""
        found = self._trained(member, machine)
        reasons = list(self.blocks[member.id])
        if member.left_on is not None and member.left_on <= self.today:
            reasons.append(NO_ACCESS)
        if is_over(member, self.today):
            reasons.append(MEMBERSHIP_OVER)
        is_supervised = member.minor or member.supervised or found.is_supervised
        level = _SUPERVISOR if found.is_instructor and member.level == _USER else member.level
        if is_supervised:
            # Whoever needs a supervisor here supervises nobody here, and clears nothing, whatever they are elsewhere.
            level = _USER
        until, grace_days = self._valid_until(member, found)
        return Standing(
            reasons=(*reasons, *found.reasons),
            grant=found.grant,
            is_instructor=found.is_instructor,
            level=level,
            is_supervised=is_supervised,
            needs_supervisor=is_supervised or self._wants_supervisor(machine, level),
            valid_until=until,
            grace_days=grace_days,
        )

    def group_standing(self, group: Group, machine: Machine) -> Standing:
        """Return where a badge that `group` carries itself stands with `machine`; a class is always supervised."""
        reasons = []
        if group.ended_on is not None and group.ended_on <= self.today:
            reasons.append(NO_ACCESS)
        if machine.pk not in self.group_machines[group.pk]:
            reasons.append(NOT_TRAINED)
        is_class = group.kind == Group.CLASS
        return Standing(
            reasons=tuple(reasons),
            is_supervised=is_class,
            needs_supervisor=is_class or self._wants_supervisor(machine, _USER),
            valid_until=self.loans.get(group.roster_id),
        )

    def is_taught(self, machine: Machine) -> bool:
        """Return whether any training opens `machine`; one that none opens is only for who is let in by hand."""
        return bool(self._covering[machine.pk])

    def _wants_supervisor(self, machine: Machine, level: str) -> bool:
        """Whether a machine's own rules want a supervisor beside somebody of that level."""
        if machine.pk not in self._always_supervised:
            self._always_supervised[machine.pk] = machine.wire_rules().supervisor == "always"
        return level == _USER and self._always_supervised[machine.pk]

    def _valid_until(self, member: Member, found: _Trained) -> tuple[date | None, int]:
        """Return the last day that the roster may name, and the days of grace after it.

        A membership has its grace; a training, a loan, and who is to leave or to be suspended on a day have none: a gate
        that hears nothing until then still keeps to it.
        """
        until, grace = member.valid_until, member.grace_days
        ends = found.last_day, self.loans.get(member.id), _before(member.left_on), _before(found.suspended_on)
        for end in ends:
            if end is not None and (until is None or end < _after(until, grace)):
                until, grace = end, 0
        return until, grace

    def _trained(self, member: Member, machine: Machine) -> _Trained:
        found = [self._held_training(member.id, training) for training in self._covering[machine.pk]]
        by_hand = machine.pk in self._by_hand[member.id]
        if any(SUSPENDED in one.reasons for one in found):
            return _Trained((SUSPENDED,))
        held = [one for one in found if not one.reasons]
        # Whose training it is does not matter: a suspension from any of them shuts the machine.
        suspended_on = _first(*(one.suspended_on for one in found))
        if by_hand:
            return _Trained(is_instructor=any(one.is_instructor for one in held), suspended_on=suspended_on)
        if held:
            return replace(max(held, key=_rank), suspended_on=suspended_on)
        # Of several trainings that would open it the one is told of which least is missing.
        lacks = [one.reasons for one in found]
        return _Trained(
            min(lacks, key=lambda reasons: (len(reasons), _WORST.index(reasons[0])), default=(NOT_TRAINED,))
        )

    def _held_training(self, member: str, training: Training) -> _Trained:
        """Return what `member` holds of a training, with what it wants first."""
        key = member, training.pk
        if key not in self._held:
            self._held[key] = _Trained((NOT_TRAINED,))  # for trainings that want each other first: nobody has those
            self._held[key] = self._hold(member, training)
        return self._held[key]

    def _hold(self, member: str, training: Training) -> _Trained:
        said = self._grants.get((member, training.pk), [])
        holding = [grant for grant in said if grant.holds_on(self.today)]
        suspended_on = self._suspended_on(member, training)
        if not holding:
            lacks = {EXPIRED if said else NOT_TRAINED}
            if training.prerequisite_id is not None:
                lacks.update(self._held_training(member, self._trainings[training.prerequisite_id]).reasons)
            return _Trained(tuple(sorted(lacks, key=_WORST.index)), suspended_on=suspended_on)
        grant = holding[-1]
        if grant.stage == Grant.SUSPENDED:
            return _Trained((SUSPENDED,))
        last_day = _first(grant.last_day, _before(grant.revoked_on))
        if training.prerequisite_id is not None:
            first = self._held_training(member, self._trainings[training.prerequisite_id])
            suspended_on = _first(suspended_on, first.suspended_on)
            if first.reasons:
                return _Trained(first.reasons, suspended_on=suspended_on)
            last_day = _first(last_day, first.last_day)
        return _Trained(
            grant=grant,
            is_supervised=grant.stage == Grant.SUPERVISED,
            is_instructor=grant.stage == Grant.INSTRUCTOR,
            last_day=last_day,
            suspended_on=suspended_on,
        )

    def _suspended_on(self, member: str, training: Training) -> date | None:
        """Return the first day after today on which what holds of a training will be a suspension."""
        key = member, training.pk
        coming = self._coming.get(key, [])
        for grant in coming:
            if grant.stage == Grant.SUSPENDED:
                then = [one for one in (*self._grants.get(key, []), *coming) if one.holds_on(grant.since)]
                if then and then[-1] is grant:
                    return grant.since
        return None


def is_over(member: Member, day: date) -> bool:
    """Whether the membership, and the days of grace after it, are over on `day`."""
    return member.valid_until is not None and _after(member.valid_until, member.grace_days) < day


def _after(day: date, days: int) -> date:
    """Return the day so many days later, or the last day that there is."""
    return day + timedelta(days=min(days, (date.max - day).days))


def _before(day: date | None) -> date | None:
    """Return the day before, of a day that is to come."""
    return None if day is None else day - timedelta(days=1)


def _first(*days: date | None) -> date | None:
    """Return the earliest of the days that there are."""
    return min((day for day in days if day is not None), default=None)


def _rank(held: _Trained) -> tuple[int, date]:
    """Order by stage, and then by how long it lasts."""
    assert held.grant is not None
    return _STAGES.index(held.grant.stage), held.last_day or date.max
