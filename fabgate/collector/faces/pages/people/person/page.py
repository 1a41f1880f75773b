"""The page of one person: which machines they may use and why not, trainings, badges, blocks, membership."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.credit.account import card_of
from fabgate.collector.faces.pages.people import shortcuts
from fabgate.collector.faces.pages.people.badges import short_forms
from fabgate.collector.faces.pages.people.person import action_forms
from fabgate.collector.faces.pages.words import machine_access, people_labels
from fabgate.collector.faces.pages.words.people_labels import Chip
from fabgate.collector.ground.models import (
    Badge,
    Block,
    Gate,
    Grant,
    Machine,
    Member,
    Plan,
    Refusal,
    Training,
    UsageSession,
)
from fabgate.collector.members.access.eligibility import People
from fabgate.collector.members.access.opening_hours import Calendar
from fabgate.collector.members.people import badges, blocks, display_names, duplicates, reasons, trainers
from fabgate.collector.money.billing import member_plans

#: How many recent refusals and sessions are shown.
_LAST: Final = 5


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A person's grant of a training, with earlier and future grants of it."""

    training: Training
    chip: Chip
    grant: Grant | None
    earlier: list[Grant]
    coming: list[Grant]


def detail(request: HttpRequest, pk: str) -> HttpResponse:
    """Show a person."""
    return person_page(request, shortcuts.get_member(pk))


def person_page(request: HttpRequest, member: Member, **bound: Any) -> HttpResponse:
    """Return a person's page. `bound` are forms with errors, by name; with one, the status is 400."""
    today = blocks.today()
    held_blocks = list(Block.active(today).filter(member=member))
    carried = list(member.badges.filter(ended_at=None).order_by("since", "id"))
    short = short_forms.of(carried)
    forms: dict[str, Any] = {
        "grant_form": action_forms.GrantForm(auto_id="grant_%s", account=account_of(request)),
        "block_form": action_forms.BlockForm(auto_id="block_%s"),
        "plan_form": action_forms.PlanForm(auto_id="plan_%s", account=account_of(request)),
        "give_form": action_forms.GiveForm(auto_id="give_%s"),
        "lend_form": action_forms.LendForm(auto_id="lend_%s"),
    } | bound
    held_trainings = trainings(member, today)
    other_grants = [grant for row in held_trainings for grant in [*row.earlier, *row.coming]]
    context = {
        "live_src": reverse("people-one", args=[member.pk]),
        "member": member,
        "names": display_names.account_names(
            [*(block.actor for block in held_blocks), *(grant.revoked_by for grant in other_grants)]
        ),
        "chips": [
            *people_labels.membership_chips(member, today, [block.reason for block in held_blocks]),
            *_lost(member, carried),
        ],
        "may_undo": duplicates.may_undo(member, account_of(request).name, timezone.now()),
        "has_left": member.left_on is not None and member.left_on <= today,
        "machines": machines(member, timezone.localtime()),
        "trainings": held_trainings,
        "trained": set(trainers.trained_by(account_of(request)).values_list("pk", flat=True)),
        "carried": [_badge(row) | {"short": short.get(row.pk)} for row in carried],
        "ended": [_badge(row) for row in member.badges.exclude(ended_at=None).order_by("-ended_at")[:20]],
        "blocks": [(block, people_labels.block_reason(block.reason)) for block in held_blocks],
        "plans": _plans(member, today),
        "groups": member.groups.order_by("name"),
        "pays_for": Member.objects.filter(payer=member.pk).order_by("folded")[:10],
        "refusals": [_refusal(row, {one.digest: one.since for one in carried}) for row in _refusals(member, carried)],
        "sessions": _sessions(member),
        "gates": Gate.objects.filter(machine__isnull=False).select_related("machine").order_by("name"),
        "known": _known(member),
        **card_of(member.payer_id or member.pk, account_of(request), user=member.pk),
        "accounts": member.accounts.filter(is_active=True),
        **forms,
    }
    return render(request, "people/one.html", context, status=400 if bound else 200)


@dataclass(frozen=True, slots=True)
class Plans:
    """A member's plan, with earlier and future ones; "" is no plan. `has_any` is whether the workshop has plans."""

    now: str
    since: date | None
    earlier: list[member_plans.Change]
    coming: list[member_plans.Change]
    has_any: bool


def machines(member: Member, at: datetime) -> list[machine_access.Access]:
    """Return the person's access to each machine at a time of today, as rosters have it; accessible machines first."""
    people, hours = People(at, only=member), Calendar(at.date())
    wanted = Machine.objects.filter(retired_at=None).order_by("title", "name")
    rows = [machine_access.of(one, member, people, hours, at, names_instructors=True) for one in wanted]
    return sorted(rows, key=lambda row: row.chip.state == "bad")


def trainings(member: Member, today: date) -> list[TrainingRow]:
    """Return a member's grants by training, also revoked and expired ones."""
    by_training: dict[Training, list[Grant]] = {}
    for grant in member.grants.select_related("training").order_by("since", "id"):
        by_training.setdefault(grant.training, []).append(grant)
    rows = [_training(training, grants, today) for training, grants in by_training.items()]
    return sorted(rows, key=lambda row: (row.grant is None, str(row.training)))


def _plans(member: Member, today: date) -> Plans:
    history = member_plans.history(member)
    begun = [change for change in member_plans.steps(history) if change.since <= today]
    coming = [change for change in history if change.since > today]
    newest = begun[-1] if begun else member_plans.Change(date.min, "")
    return Plans(newest.plan, newest.since if begun else None, begun[-2::-1], coming, Plan.objects.exists())


def _training(training: Training, grants: list[Grant], today: date) -> TrainingRow:
    held = Grant.applicable(grants, today)
    earlier = [grant for grant in grants if grant.since <= today and grant is not held]
    coming = [grant for grant in grants if grant.since > today]
    if held is not None:
        return TrainingRow(training, people_labels.stage(held.stage), held, earlier, coming)
    last = grants[-1]
    if last.since > today:
        chip = Chip("starting", _("From %(day)s") % {"day": people_labels.short(last.since)})
    elif last.revoked_on is not None and last.revoked_on <= today:
        chip = Chip("bad", pgettext("training", "Revoked"))
    else:
        chip = people_labels.expired()
    return TrainingRow(training, chip, None, earlier, coming)


def _lost(member: Member, carried: Collection[Badge]) -> list[Chip]:
    """Return a chip if the last badge of a member was reported lost, and they have no other one yet."""
    last = member.badges.exclude(ended_at=None).order_by("-ended_at").first()
    if carried or last is None or last.end_reason != Badge.LOST:
        return []
    return [Chip("bad", _("Badge lost on %(day)s") % {"day": people_labels.short(timezone.localdate(last.ended_at))})]


def _badge(row: Badge) -> dict[str, Any]:
    return {
        "row": row,
        "kind": people_labels.KINDS[row.kind],
        "read_as": people_labels.badge_kind(row.spelling),
        # A loan that ends at midnight ends on the evening before.
        "evening": row.until and timezone.localtime(row.until - timedelta(microseconds=1)).date(),
        "ended": reasons.given_up(row.end_reason),
        "is_stale": row.ended_at is None and row.is_stale(badges.key_id()),
    }


def _refusals(member: Member, carried: Collection[Badge]) -> list[Refusal]:
    """Return the last refusals of a member, and those of their badges `carried` from before gates knew these badges.

    If a badge had an earlier holder, only refusals after that assignment count.
    """
    own = Refusal.objects.exclude(member="").filter(member=member.pk)
    strangers = [
        Refusal.objects.filter(member="", badge=digest, **({} if since is None else {"about__gte": since}))
        for digest, since in _free_since(carried).items()
    ]
    found = [
        row
        for rows in (own, *strangers)
        for row in rows.select_related("gate", "machine").order_by("-about", "-id")[:_LAST]
    ]
    return sorted(found, key=lambda row: (row.about, row.pk), reverse=True)[:_LAST]


def _free_since(carried: Collection[Badge]) -> dict[str, datetime | None]:
    """Return when the previous assignment of each badge ended; None if there was none."""
    found: dict[str, datetime | None] = {row.digest: None for row in carried}
    now = {row.pk for row in carried}
    for row in Badge.objects.filter(digest__in=found).exclude(pk__in=now).only("digest", "ended_at"):
        before = found[row.digest]
        if row.ended_at is not None and (before is None or row.ended_at > before):
            found[row.digest] = row.ended_at
    return found


def _refusal(row: Refusal, since: Mapping[str, datetime]) -> dict[str, Any]:
    is_before = not row.member and row.about < since[row.badge]
    return {"row": row, "why": reasons.all_refused(row.reasons), "where": row.where, "is_before": is_before}


def _sessions(member: Member) -> list[dict[str, Any]]:
    rows = UsageSession.objects.filter(used_by=member.pk).select_related("machine", "gate")
    # The open sessions are filtered by person: a person may have thousands of sessions, and no index has the open ones
    # of a person.
    running = UsageSession.open().filter(used_by=member.pk).order_by("-started_at")[:_LAST]
    ended = rows.filter(ended_at__isnull=False).order_by("-ended_at", "-id")[:_LAST]
    return [
        {"row": row, "where": row.machine or row.gate, "why": reasons.ended(row.reason)} for row in [*running, *ended]
    ][:_LAST]


def _known(member: Member) -> gates_informed.GatesInformed | None:
    """Return which gates apply the newest change; None if all have applied it for a day."""
    found = gates_informed.of(
        ("member", member.pk),
        *(("grant", str(pk)) for pk in member.grants.values_list("pk", flat=True)),
        *(("badge", str(pk)) for pk in member.badges.values_list("pk", flat=True)),
        *(("block", str(pk)) for pk in member.blocks.values_list("pk", flat=True)),
    )
    is_old = found is not None and timezone.now() - found.change.at > timedelta(days=1)
    return None if is_old and found is not None and found.state == "ok" else found
