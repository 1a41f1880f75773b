"""Which plan a member has on a day, and how that changes. A change applies from a day on, until the next one."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from operator import attrgetter
from typing import Final, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, bulk, member_lock, statements
from fabgate.collector.ground.models import Member, Plan, PlanChange
from fabgate.collector.money.billing import terms
from fabgate.errors import UsageError


class Change(NamedTuple):
    """From `since` on, the plan is `plan`, by its name; "" is no plan."""

    since: date
    plan: str


#: The changes of one member, the oldest first.
History = tuple[Change, ...]
NO_HISTORY: Final[History] = ()
#: The verb of a change in the audit log: the day and the plan are in `after`.
VERB: Final = "member.plan"
#: The verb of a change that was cancelled before its day came: the day and the plan are in `before`.
CANCELLED: Final = "member.plan-cancelled"
#: The first day on which a plan may begin: before it, no collector of fabgate kept sessions.
EARLIEST: Final = date(2000, 1, 1)
#: How far ahead a plan may be changed.
FURTHEST: Final = timedelta(days=366)


def plan_on(history: History, day: date) -> str:
    """Return the name of the plan on a day, or ""."""
    place = bisect_right(history, day, key=attrgetter("since"))
    return history[place - 1].plan if place else ""


def with_change(history: History, change: Change) -> History:
    """Return the history with a change, in the place of one of the same day.

    Later changes stay. A plan that is confirmed is kept, too: it applies from its day on, also if the plan of an earlier day
    is corrected later.
    """
    return tuple(sorted([*without(history, change.since), change]))


def without(history: History, since: date) -> History:
    """Return the history without the change of a day."""
    return tuple(change for change in history if change.since != since)


def steps(history: History) -> list[Change]:
    """Return the changes to another plan, without those that confirm one."""
    plans = ["", *(change.plan for change in history)]
    return [change for before, change in zip(plans, history, strict=False) if change.plan != before]


def check_day(since: date, today: date) -> None:
    """Refuse a first day that is too far ahead, or in a closed month.

    Raises UsageError.
    """
    earliest, latest = terms.first_open_day() or EARLIEST, today + FURTHEST
    if not earliest <= since <= latest:
        text = _("found %(found)s, wanted a day from %(earliest)s to %(latest)s")
        raise UsageError(text % {"found": since, "earliest": earliest, "latest": latest})


def proposed_day(members: Iterable[str], histories: Mapping[str, History], today: date) -> date:
    """Return from when the plans of a list of members apply unless another day is chosen.

    It is today; but the first day of billing while no month was ever closed and none of them has had a plan.
    """
    found = terms.started()
    if found is None or terms.first_open_day() is not None or any(member in histories for member in members):
        return today
    return min(found.first_month, today)


def histories(members: Collection[str] | None = None) -> Mapping[str, History]:
    """Return the histories of members by id, or those of all; members who never had a plan are missing."""
    found: dict[str, list[Change]] = defaultdict(list)
    rows = PlanChange.objects.all()
    columns = "member", "since", "plan__name"
    listed = (
        rows.values_list(*columns)
        if members is None
        else statements.rows_among(rows, "member", sorted(members), *columns[1:])
    )
    for member, since, plan in listed:
        found[member].append(Change(since, plan or ""))
    return {member: tuple(sorted(changes)) for member, changes in found.items()}


def plans_on(day: date) -> Mapping[str, str]:
    """Return the names of the plans that members have on a day, by the members' ids; without those who have none."""
    names = dict(Plan.objects.values_list("pk", "name"))
    begun = PlanChange.objects.filter(since__lte=day).order_by("since")
    newest = dict(begun.values_list("member", "plan"))  # of a member's changes the last one stays
    return {member: names[plan] for member, plan in newest.items() if plan is not None}


def plans_since(members: Collection[str], day: date) -> frozenset[str]:
    """Return the names of the plans that any of `members` has on a day or later."""
    found: set[str] = set()
    for changes in histories(members).values():
        found |= {plan_on(changes, day), *(change.plan for change in changes if change.since > day)}
    return frozenset(found - {""})


def history(member: Member) -> History:
    """Return the history of one member."""
    return histories([member.pk]).get(member.pk, NO_HISTORY)


def members_of(day: date) -> Mapping[str, int]:
    """Return how many members, without those who have left, each plan has on a day."""
    found: dict[str, int] = defaultdict(int)
    staying = set(Member.objects.exclude(left_on__lte=day).values_list("pk", flat=True))
    for member, changes in histories().items():
        if member in staying:
            found[plan_on(changes, day)] += 1
    return found


def set_plan(member: Member, plan: str, since: date, *, actor: str) -> bool:
    """Give a member a plan, or none, from a day on; return whether that changes anything.

    Raises UsageError if they have left since `member` was read; otherwise like `set_plans`.
    """
    with transaction.atomic():
        member_lock.take([member])
        return bool(set_plans({member.pk: plan}, since, actor=actor))


def cancel(member: Member, since: date, today: date, *, actor: str) -> bool:
    """Cancel the change of a day that has not come, so that the plan of before goes on; return whether there was one.

    Raises UsageError for a day that has come.
    """
    if since <= today:
        text = _(
            "found %(found)s, wanted a day after %(today)s: a plan that already applies can be replaced, but not"
            " cancelled"
        )
        raise UsageError(text % {"found": since, "today": today})
    with transaction.atomic():
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        before = history(member)
        after = without(before, since)
        if after == before:
            return False
        _store({member.pk: after})
        audit.record(actor, CANCELLED, member, before={"plan": plan_on(before, since), "since": since.isoformat()})
    return True


def set_plans(plans: Mapping[str, str], since: date, *, actor: str) -> int:
    """Give members plans from a day on; `plans` are names by the members' ids. Return how many plans change.

    The log gets one entry for each member. Raises KeyError for a plan that does not exist, and UsageError for a day of
    a closed month.
    """
    with transaction.atomic():
        # So that two requests about one member come one after the other.
        for some in statements.chunks(sorted(plans)):
            list(Member.objects.select_for_update(no_key=True).filter(pk__in=some).order_by("pk").values_list("pk"))
        _keep_open(since)
        before = histories(plans)
        changed = {
            member: after
            for member, plan in sorted(plans.items())
            if (after := with_change(before.get(member, NO_HISTORY), Change(since, plan)))
            != before.get(member, NO_HISTORY)
        }
        _store(changed)
        events = [
            (
                member,
                {"plan": plan_on(before.get(member, NO_HISTORY), since)},
                {"plan": plans[member], "since": since.isoformat()},
            )
            for member in changed
        ]
        audit.record_many(actor, VERB, Member, events)
    return len(changed)


def _keep_open(since: date) -> None:
    """Keep the month of a day that is past from being closed meanwhile. Raises UsageError if it is closed already."""
    found = terms.started()
    if found is None or since >= (today := terms.today(found)).replace(day=1):
        return  # a month that is not over is not closed
    terms.lock_charges()
    check_day(since, today)


def _store(changed: Mapping[str, History]) -> None:
    """Store whole histories in the place of those of the same members."""
    ids = dict(Plan.objects.values_list("name", "pk"))
    stored = [
        (pk, member, Change(since, plan or ""))
        for member, pk, since, plan in statements.rows_among(
            PlanChange.objects.all(), "member", list(changed), "pk", "since", "plan__name"
        )
    ]
    gone = [pk for pk, member, change in stored if change not in changed[member]]
    for some in statements.chunks(gone):
        PlanChange.objects.filter(pk__in=some).delete()
    kept = {(member, change) for _pk, member, change in stored}
    bulk.insert(
        [
            PlanChange(member_id=member, since=change.since, plan_id=ids[change.plan] if change.plan else None)
            for member, changes in changed.items()
            for change in changes
            if (member, change) not in kept
        ]
    )
