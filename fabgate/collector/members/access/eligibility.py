"""Decides who may use which machine today, and why not; rosters and pages both use it.

A machine is open to a member with individual access (``Member.machines``), or with a training that covers it and all
trainings that this one requires. The newest valid grant of a training decides its stage. A member who is suspended from
a training, or from one that it requires, may use none of its machines, even with individual access, until the
suspension ends or is revoked (docs/decisions/0044). Where members prepay, nobody for whom a payer without credit pays may
use a machine that costs something, except its maintainers, who come to repair it (docs/decisions/0094).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from django.conf import settings

from fabgate.collector.ground.models import Badge, Block, Grant, Group, Machine, Member, Training
from fabgate.collector.money.billing.prepaid.standing import CreditLimits

#: The reasons that gate panels can show (gate/panel/messages.py), the most serious first.
NO_ACCESS: Final = "no-access"
NO_CREDIT: Final = "no-credit"
MEMBERSHIP_OVER: Final = "expired"
SUSPENDED: Final = "suspended"
EXPIRED: Final = "training-expired"
NOT_TRAINED: Final = "training-missing"
BADGE_LOST: Final = "badge-lost"
OUTSIDE_HOURS: Final = "outside-hours"
LOAN_OVER: Final = "loan-over"
_WORST: Final = (EXPIRED, NOT_TRAINED)
_STAGES: Final = (Grant.SUPERVISED, Grant.AUTONOMOUS, Grant.INSTRUCTOR)
_USER, _SUPERVISOR, _MAINTAINER = Member.LEVELS


class _Until(NamedTuple):
    """The last day of a right (None: no end), the days of grace after it, and the reason for a refusal after that."""

    last_day: date | None
    grace_days: int = 0
    reason: str = MEMBERSHIP_OVER

    def or_sooner(self, day: date | None, reason: str) -> _Until:
        """Return this end, or that of another right without days of grace, if it is sooner."""
        if day is None or (self.last_day is not None and _after(self.last_day, self.grace_days) <= day):
            return self
        return _Until(day, 0, reason)


class Eligibility(NamedTuple):
    """Whether a member or a group may use a machine today. They may if `reasons` is empty."""

    reasons: tuple[str, ...] = ()
    #: The grant that allows it; None: individual access, or a group's badge.
    grant: Grant | None = None
    is_instructor: bool = False
    #: Their level at this machine: one of Member.LEVELS.
    level: str = _USER
    #: Whether they need a supervisor: as a minor, by their stage, or because it is set for them.
    is_supervised: bool = False
    #: Whether `is_supervised` applies, or the machine requires a supervisor for everybody of their level.
    needs_supervisor: bool = False
    #: The last day on which they may use the machine with these rights (None: no end), and the days of grace after it.
    valid_until: date | None = None
    grace_days: int = 0
    #: The reason for a refusal after that.
    until_reason: str = MEMBERSHIP_OVER
    #: They prepay for themselves, and their credit is low.
    has_low_credit: bool = False

    def until(self, lent_until: date | None) -> _Until:
        """Return the end that a roster names for badges on loan until `lent_until`."""
        own = _Until(self.valid_until, self.grace_days, self.until_reason)
        return own.or_sooner(lent_until, LOAN_OVER)

    @property
    def comes_at_all_hours(self) -> bool:
        """Whether opening hours do not apply to them, as for maintainers."""
        return self.level == _MAINTAINER

    @property
    def is_barred(self) -> bool:
        """Whether a roster refuses them. If only the membership has expired, the gate decides by its clock."""
        return self.reasons not in ((), (MEMBERSHIP_OVER,))


class _GrantUntil(NamedTuple):
    """A grant with its last day, which ``Grant.last_day`` would compute at each call."""

    grant: Grant
    last_day: date | None


class _Held(NamedTuple):
    """What a member has of one training on a day: the grant, or what is missing."""

    lacks: tuple[str, ...] = ()
    is_suspended: bool = False
    grant: Grant | None = None


class _Trained(NamedTuple):
    """The result of all trainings and of individual access, for a member and a machine on a day."""

    reasons: tuple[str, ...] = ()
    grant: Grant | None = None
    is_supervised: bool = False
    is_instructor: bool = False


class _Rank(NamedTuple):
    """The rights of a member at a machine that they may use."""

    level: str
    is_supervised: bool
    needs_supervisor: bool

    def is_less_than(self, other: _Rank) -> bool:
        """Return whether this has fewer rights than `other`: not to work alone, or not to supervise."""
        loses_alone = self.needs_supervisor and not other.needs_supervisor
        return loses_alone or (self.level == _USER and other.level != _USER)


class People:
    """All people with their badges, blocks and grants, loaded once for all machines; or `only` one member."""

    def __init__(self, now: datetime, only: Member | None = None) -> None:
        self.today = now.date()
        self.members = list(Member.objects.order_by("id")) if only is None else [only]
        which = {} if only is None else {"member": only}
        #: By holder: the digests of badges, by the last day of the loan; None if it is no loan.
        self.badges: dict[str, dict[date | None, list[str]]] = defaultdict(lambda: defaultdict(list))
        #: The last day of the last loan, for holders who have only loans.
        self.loans: dict[str, date | None] = {}
        carried = list(
            Badge.assigned(now)
            .filter(**which)
            .order_by("spelling", "digest")
            .values_list("member", "group", "digest", "until")
        )
        #: By roster id: every group, also ended ones and those without a badge.
        self.groups = {group.roster_id: group for group in (Group.objects.order_by("id") if only is None else ())}
        roster_ids = {group.pk: roster_id for roster_id, group in self.groups.items()}
        for member, group, digest, until in carried:
            holder = member or roster_ids[group]
            # a loan until midnight lasts until the day before
            last = until and (until - timedelta(microseconds=1)).astimezone(now.tzinfo).date()
            self.badges[holder][last].append(digest)
            known = self.loans.get(holder, last)
            self.loans[holder] = max(known, last) if known and last else None
        self.group_machines: dict[int, set[int]] = defaultdict(set)
        for group, machine in Group.machines.through.objects.values_list("group", "machine"):
            self.group_machines[group].add(machine)
        #: (digest, language) of lost badges.
        self.lost = [
            (row.digest, row.member.lang if row.member else settings.ENVIRONMENT.lang)
            for row in Badge.lost().filter(**which).select_related("member").order_by("spelling", "digest")
        ]
        self.blocks: dict[str, list[str]] = defaultdict(list)
        for member, reason in Block.active(self.today).filter(**which).values_list("member", "reason"):
            self.blocks[member].append(reason)
        self._by_hand: dict[str, set[int]] = defaultdict(set)
        for member, machine in Member.machines.through.objects.filter(**which).values_list("member", "machine"):
            self._by_hand[member].add(machine)
        #: By (member, training): the grants, also those that begin later.
        self._grants: dict[tuple[str, int], list[_GrantUntil]] = defaultdict(list)
        # There may be thousands of grants: unneeded columns are not loaded, and all grants of a training share its
        # object.
        unneeded = "created_at", "trainer", "revoked_by", "reason"
        grants = list(Grant.not_revoked(self.today).filter(**which).select_related(None).defer(*unneeded))
        opens = list(Training.machines.through.objects.order_by("training").values_list("training", "machine"))
        self._trainings = Training.objects.in_bulk()  # loaded after the grants: another process may add trainings
        for grant in grants:
            grant.training = self._trainings[grant.training_id]
            self._grants[grant.member_id, grant.training_id].append(_GrantUntil(grant, grant.last_day))
        self._covering: dict[int, list[Training]] = defaultdict(list)
        for training, machine in opens:
            self._covering[machine].append(self._trainings[training])
        self._held: dict[tuple[str, int, date], _Held] = {}
        payers, users = (None, None) if only is None else ([only.payer_id or only.pk], [only.pk])
        self._without_credit = CreditLimits.on(self.today, payers, users)
        self._always_supervised: dict[int, bool] = {}

    def eligibility(self, member: Member, machine: Machine) -> Eligibility:
        """Return whether `member` may use `machine`, with every reason against it, blocks first."""
        trained = self._trained(member.id, machine, self.today)
        rank = self._rank(member, machine, trained)
        reasons, has_low_credit = list(self.blocks.get(member.id, ())), False
        if member.left_on is not None and member.left_on <= self.today:
            reasons.append(NO_ACCESS)
        if rank.level != _MAINTAINER:
            if self._is_without_credit(member.pk, member.payer_id or member.pk, machine):
                reasons.append(NO_CREDIT)
            has_low_credit = self._has_low_credit(member.pk, member.payer_id or member.pk, machine)
        if is_over(member, self.today):
            reasons.append(MEMBERSHIP_OVER)
        until = self._until(member, self._ends_on(member, machine, trained))
        return Eligibility(
            reasons=(*reasons, *trained.reasons),
            grant=trained.grant,
            is_instructor=trained.is_instructor,
            level=rank.level,
            is_supervised=rank.is_supervised,
            needs_supervisor=rank.needs_supervisor,
            valid_until=until.last_day,
            grace_days=until.grace_days,
            until_reason=until.reason,
            has_low_credit=has_low_credit,
        )

    def last_day(self, member: Member, machine: Machine) -> date | None:
        """Return the last day on which `member` may use `machine` at all, including days of grace; None: no end."""
        trained = self._trained(member.id, machine, self.today)
        until = self._until(member, self._ends_on(member, machine, trained, in_any_way=True))
        return until.last_day and _after(until.last_day, until.grace_days)

    def group_eligibility(self, group: Group, machine: Machine) -> Eligibility:
        """Return whether a badge of `group` itself may use `machine`; a class is always supervised."""
        reasons = []
        if group.ended_on is not None and group.ended_on <= self.today:
            reasons.append(NO_ACCESS)
        if self._is_without_credit(group.roster_id, group.payer_id_or_own, machine):
            reasons.append(NO_CREDIT)
        if machine.pk not in self.group_machines[group.pk]:
            reasons.append(NOT_TRAINED)
        is_class = group.kind == Group.CLASS
        return Eligibility(
            reasons=tuple(reasons),
            is_supervised=is_class,
            needs_supervisor=is_class or self._wants_supervisor(machine, _USER),
            valid_until=self.loans.get(group.roster_id),
            until_reason=LOAN_OVER if self.loans.get(group.roster_id) else MEMBERSHIP_OVER,
            has_low_credit=self._has_low_credit(group.roster_id, group.payer_id_or_own, machine),
        )

    def lacking(self, member: Member, machine: Machine) -> list[list[tuple[Training, str]]]:
        """Return what `member` lacks of each training that allows `machine`, and of those that it requires.

        Each is named with EXPIRED or NOT_TRAINED, what is required first; the training of which the least is missing is
        first, and those that lack as much are in the order of their titles. The list is empty if no training allows the
        machine, so that it needs individual access.
        """
        ways = []
        for training in self._covering[machine.pk]:
            held = [(one, self._own(member.pk, one, self.today)) for one in self._required_first(training)]
            ways.append([(one, own.lacks[0]) for one, own in held if own.lacks])
        return sorted(ways, key=lambda way: (len(way), [str(training) for training, _ in way]))

    def _required_first(self, training: Training) -> list[Training]:
        """Return a training after all that it requires."""
        found = [training]
        while (before := found[0].prerequisite_id) is not None and self._trainings[before] not in found:
            found.insert(0, self._trainings[before])
        return found

    def _is_without_credit(self, user: str, payer: str, machine: Machine) -> bool:
        return self._without_credit.is_refused(user, payer, machine.name, machine.category)

    def _has_low_credit(self, user: str, payer: str, machine: Machine) -> bool:
        """Return whether to tell a user about their own credit; that of another payer concerns the payer only."""
        return user == payer and self._without_credit.is_low(user, payer, machine.name, machine.category)

    def _rank(self, member: Member, machine: Machine, trained: _Trained) -> _Rank:
        """Return the rights of `member` at `machine`, given the result of trainings."""
        is_supervised = member.minor or member.supervised or trained.is_supervised
        if is_supervised:
            # A member who needs a supervisor here may neither supervise others here nor clear a fault; their level
            # elsewhere does not matter.
            level = _USER
        else:
            level = _SUPERVISOR if trained.is_instructor and member.level == _USER else member.level
        return _Rank(level, is_supervised, is_supervised or self._wants_supervisor(machine, level))

    def _wants_supervisor(self, machine: Machine, level: str) -> bool:
        """Whether a machine's rules require a supervisor for this level."""
        if machine.pk not in self._always_supervised:
            self._always_supervised[machine.pk] = machine.wire_rules().supervisor == "always"
        return level == _USER and self._always_supervised[machine.pk]

    def _until(self, member: Member, trained: tuple[date, str] | None) -> _Until:
        """Return when the first of a member's rights ends; `trained` is the end that trainings set, with its reason.

        Only a membership has days of grace, not a training, a loan or a planned departure. Rosters name the day, so a
        gate that is offline until then still enforces it, and the reason, so that it says what a collector would.
        """
        until = _Until(member.valid_until, member.grace_days)
        if trained is not None:
            until = until.or_sooner(*trained)
        return until.or_sooner(self.loans.get(member.id), LOAN_OVER).or_sooner(_before(member.left_on), NO_ACCESS)

    def _ends_on(
        self, member: Member, machine: Machine, now: _Trained, *, in_any_way: bool = False
    ) -> tuple[date, str] | None:
        """Return the last day on which trainings allow as much as `now`, or anything (`in_any_way`), and what ends."""
        if now.reasons:
            return None
        covering = self._covering[machine.pk]
        if now.grant is not None and len(covering) == 1 and covering[0].prerequisite_id is None:
            grants = self._grants[member.id, covering[0].pk]
            if len(grants) == 1:  # the usual case, for which the code below has the same result
                last, revoked = grants[0].last_day, _before(grants[0].grant.revoked_on)
                if revoked is not None and (last is None or revoked <= last):
                    return revoked, NOT_TRAINED
                return None if last is None else (last, EXPIRED)
        rank = self._rank(member, machine, now)
        days = {day for training in covering for day in self._changes(member.id, training)}
        for day in sorted(days):
            then = self._trained(member.id, machine, day)
            if then.reasons or (self._rank(member, machine, then).is_less_than(rank) and not in_any_way):
                # Without a reason they may do less from then on: what they may do now has expired.
                return day - timedelta(days=1), then.reasons[0] if then.reasons else EXPIRED
        return None

    def _trained(self, member: str, machine: Machine, day: date) -> _Trained:
        trainings = [self._held_on(member, training, day) for training in self._covering[machine.pk]]
        # A suspension from any of these trainings, or from one that they require, excludes the member from the machine.
        is_suspended = is_instructor = False
        held = []
        for training_held in trainings:
            is_suspended = is_suspended or training_held.is_suspended
            if training_held.grant is not None:
                held.append(training_held.grant)
                is_instructor = is_instructor or training_held.grant.stage == Grant.INSTRUCTOR
        reasons = (SUSPENDED,) if is_suspended else ()
        if machine.pk in self._by_hand.get(member, ()):
            return _Trained(reasons, is_instructor=is_instructor)
        if not held:
            # If several trainings allow the machine, report the one of which the least is missing.
            lacks = [training_held.lacks for training_held in trainings] or [(NOT_TRAINED,)]
            return _Trained((*reasons, *(min(lacks, key=_sort_key) if len(lacks) > 1 else lacks[0])))
        best = max(held, key=_rank) if len(held) > 1 else held[0]
        return _Trained(reasons, best, best.stage == Grant.SUPERVISED, is_instructor)

    def _held_on(self, member: str, training: Training, day: date) -> _Held:
        """Return what `member` has of a training and of all that it requires on a day."""
        own = self._own(member, training, day)
        if training.prerequisite_id is None:
            return own
        lacks, is_suspended, walked = set(own.lacks), own.is_suspended, {training.pk}
        first: int | None = training.prerequisite_id
        while first is not None:
            if first in walked:  # trainings that require each other, which no member can have
                lacks.add(NOT_TRAINED)
                break
            walked.add(first)
            required = self._own(member, self._trainings[first], day)
            lacks.update(required.lacks)
            is_suspended = is_suspended or required.is_suspended
            first = self._trainings[first].prerequisite_id
        is_held = not lacks and not is_suspended
        return _Held(tuple(sorted(lacks, key=_WORST.index)), is_suspended, own.grant if is_held else None)

    def _own(self, member: str, training: Training, day: date) -> _Held:
        """Return what `member` has of the training itself on a day."""
        key = member, training.pk, day
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = self._hold(member, training, day)
        return held

    def _hold(self, member: str, training: Training, day: date) -> _Held:
        was_said = is_suspended = False
        newest = None
        for grant, last in self._grants.get((member, training.pk), ()):
            if not grant.counts_on(day):
                continue
            is_suspension = grant.stage == Grant.SUSPENDED
            was_said = was_said or not is_suspension
            if last is None or day <= last:
                is_suspended, newest = is_suspended or is_suspension, newest if is_suspension else grant
        lacks = () if newest else (EXPIRED,) if was_said else (NOT_TRAINED,)
        return _Held(lacks, is_suspended, None if is_suspended else newest)

    def _changes(self, member: str, training: Training, *later: int) -> Iterator[date]:
        """Yield the days after today on which a grant of a training, or of one that it requires, begins or ends."""
        for grant, last in self._grants.get((member, training.pk), ()):
            for day in (grant.since, grant.revoked_on, _next(last)):
                if day is not None and day > self.today:
                    yield day
        first = training.prerequisite_id
        if first is not None and first not in later:  # trainings may require each other
            yield from self._changes(member, self._trainings[first], training.pk, *later)


def is_over(member: Member, day: date) -> bool:
    """Whether the membership has expired on `day`, including its days of grace."""
    return member.valid_until is not None and _after(member.valid_until, member.grace_days) < day


def _after(day: date, days: int) -> date:
    """Return the day `days` later, or the last day of the calendar."""
    return day + timedelta(days=min(days, (date.max - day).days))


def _before(day: date | None) -> date | None:
    """Return the day before."""
    return None if day is None else day - timedelta(days=1)


def _next(day: date | None) -> date | None:
    """Return the day after, if there is one."""
    return None if day is None or day == date.max else day + timedelta(days=1)


def _sort_key(lacks: Iterable[str]) -> list[int]:
    """Return a sort key: how many things are missing, then how serious they are."""
    order = [_WORST.index(reason) for reason in lacks]
    return [len(order), *order]


def _rank(grant: Grant) -> tuple[int, date]:
    """Return a sort key: the stage, then how long the grant lasts."""
    return _STAGES.index(grant.stage), grant.last_day or date.max
