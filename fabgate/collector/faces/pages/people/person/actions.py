"""The actions on a person's page. Each is one button, one transaction, and an update of the gates."""

from __future__ import annotations

from datetime import date

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision
from fabgate.collector.faces.pages.credit.account import credit_of
from fabgate.collector.faces.pages.month import behind, difference
from fabgate.collector.faces.pages.people import prerequisites, shortcuts
from fabgate.collector.faces.pages.people.badges import giving, short_forms
from fabgate.collector.faces.pages.people.person import action_forms, page
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Badge, Member, Training
from fabgate.collector.members.people import badges, blocks, leaving, trainings
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.billing.charges import at_once
from fabgate.errors import UsageError


def grant(request: HttpRequest, pk: str) -> HttpResponse:
    """Grant a training, or another stage of it."""
    member = shortcuts.get_member_to_judge(request, pk)
    form = action_forms.GrantForm(request.POST, auto_id="grant_%s", account=account_of(request), member=member)
    if not form.is_valid():
        return page.person_page(request, member, grant_form=form)
    cleaned = form.cleaned_data
    try:
        given, change = trainings.grant_training(
            member,
            cleaned["training"],
            cleaned["stage"],
            actor=account_of(request),
            since=cleaned["since"],
            until=cleaned["until"],
            trainer=cleaned["trainer"],
            lowers=form.is_lowering_meant,
        )
    except trainings.Lowers as error:
        form.ask_to_lower(error.held)
        return page.person_page(request, member, grant_form=form)
    about = {
        "training": given.training,
        "stage": people_labels.stage(given.stage).word,
        "day": people_labels.day(given.since),
    }
    if change is None:
        text = _("%(training)s (%(stage)s, from %(day)s) was already granted.")
        messages.info(request, text % about)
    else:
        gates_informed.report_change(request, _("%(training)s: %(stage)s from %(day)s.") % about, change)
        prerequisites.warn(request, [given])
    return shortcuts.redirect_to_person(member)


def revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """Revoke a training from today; its history is kept."""
    member = shortcuts.get_member_to_judge(request, pk)
    training = get_object_or_404(Training, pk=_number(request.POST.get("training", "")))
    form = action_forms.ReasonForm(request.POST)
    if not form.is_valid():
        raise UsageError(_("Give a short reason for revoking %(training)s.") % {"training": training})
    if not member.grants.filter(training=training, revoked_on=None).exists():
        raise errors.Conflict(_("%(training)s has already been revoked.") % {"training": training})
    with transaction.atomic(), pulse.deferred():
        before = trainings.without_access(member=member)
        changed = trainings.revoke_training(
            member, training, actor=account_of(request), reason=form.cleaned_data["reason"]
        )
        lost = trainings.without_access(member=member) - before
    gates_informed.report_change(
        request, _("%(training)s is revoked from today on.") % {"training": training}, *changed
    )
    prerequisites.warn_of_revoked(request, lost)
    return shortcuts.redirect_to_person(member)


def change_plan(request: HttpRequest, pk: str) -> HttpResponse:
    """Give a person a plan, or none, from a day on; or cancel a change whose day has not come."""
    member = shortcuts.get_member_to_judge(request, pk)
    refuse_self_decision(request, member.pk, *filter(None, [member.payer_id]))  # the payer's bill changes
    if "cancelled" in request.POST:
        return _cancel_plan(request, member)
    form = action_forms.PlanForm(request.POST, auto_id="plan_%s", account=account_of(request))
    if not form.is_valid():
        return page.person_page(request, member, plan_form=form)
    plan, since = form.cleaned_data["plan"], form.cleaned_data["since"]
    if since < blocks.today():
        changes = difference.of_plans(request, {member.pk: plan.name if plan else ""}, since)
        if changes is not None:
            shown = {"member": member, "plan": plan, "since": since, "difference": changes}
            return render(request, "people/plan_difference.html", shown)
    if member_plans.set_plan(member, plan.name if plan else "", since, actor=shortcuts.actor(request)):
        at_once.after_plan(member.pk)
        text = _("%(plan)s from %(day)s.") if plan else _("No plan from %(day)s.")
        messages.success(request, text % {"plan": plan, "day": people_labels.day(since)})
    else:
        messages.info(request, _("Nothing has changed: this plan already applies on that day."))
    return shortcuts.redirect_to_person(member)


def _cancel_plan(request: HttpRequest, member: Member) -> HttpResponse:
    try:
        since = date.fromisoformat(request.POST["cancelled"])
    except ValueError:
        raise UsageError(_("found no day for the change of plan; open the person's page again")) from None
    if not member_plans.cancel(member, since, blocks.today(), actor=shortcuts.actor(request)):
        raise errors.Conflict(_("This change has already been cancelled."))
    messages.success(request, _("The change of plan on %(day)s is cancelled.") % {"day": people_labels.day(since)})
    return shortcuts.redirect_to_person(member)


def block(request: HttpRequest, pk: str) -> HttpResponse:
    """Block a person from all machines."""
    member = shortcuts.get_member_to_judge(request, pk)
    form = action_forms.BlockForm(request.POST, auto_id="block_%s")
    if not form.is_valid():
        return page.person_page(request, member, block_form=form)
    reason, until = form.cleaned_data["reason"], form.cleaned_data["until"]
    change = blocks.block_member(member, reason, until, actor=shortcuts.actor(request))
    text = _("Blocked until %(day)s: %(why)s.") if until else _("Blocked: %(why)s.")
    gates_informed.report_change(
        request, text % {"why": people_labels.block_reason(reason), "day": people_labels.day(until)}, change
    )
    return shortcuts.redirect_to_person(member)


def lift(request: HttpRequest, pk: str) -> HttpResponse:
    """Lift one block."""
    member = shortcuts.get_member_to_judge(request, pk)
    wanted = _number(request.POST.get("block", ""))
    held = get_object_or_404(member.blocks, pk=wanted)
    if held.lifted_at is not None:
        raise errors.Conflict(_("This block has already been lifted."))
    change = blocks.unblock_member(member, only=held.pk, actor=shortcuts.actor(request))
    gates_informed.report_change(
        request, _("Block lifted: %(why)s.") % {"why": people_labels.block_reason(held.reason)}, change
    )
    return shortcuts.redirect_to_person(member)


def give(request: HttpRequest, pk: str) -> HttpResponse:
    """Assign a badge to a person."""
    member = shortcuts.get_member(pk)
    form = action_forms.GiveForm(request.POST, auto_id="give_%s", holder=member.pk)
    if form.is_valid():
        try:
            row, change = giving.assign(request, form.card, member, number=form.cleaned_data["number"])
        except badges.Taken as error:
            form.add_error("typed", action_forms.not_free(error))
        else:
            gates_informed.report_change(request, _("Badge assigned."), change)
            short_forms.warn(request, row)
            return shortcuts.redirect_to_person(member)
    return page.person_page(request, member, give_form=form)


def lend(request: HttpRequest, pk: str) -> HttpResponse:
    """Lend a person a badge until an evening."""
    member = shortcuts.get_member(pk)
    form = action_forms.LendForm(request.POST, auto_id="lend_%s", holder=member.pk)
    if form.is_valid():
        until = form.cleaned_data["until"]
        try:
            row, change = giving.assign(
                request,
                form.card,
                member,
                kind=Badge.LOAN,
                number=form.cleaned_data["number"],
                until=badges.end_of(until),
            )
        except badges.Taken as error:
            form.add_error("typed", action_forms.not_free(error))
        else:
            text = _("Lent until this evening.") if until == blocks.today() else _("Lent until the evening of %(day)s.")
            gates_informed.report_change(request, text % {"day": people_labels.day(until)}, change)
            short_forms.warn(request, row)
            return shortcuts.redirect_to_person(member)
    return page.person_page(request, member, lend_form=form)


def end_badge(request: HttpRequest, pk: int) -> HttpResponse:
    """End a badge's assignment: it is lost, or was returned."""
    row = get_object_or_404(Badge.objects.select_related("member", "group"), pk=pk)
    reason = request.POST.get("reason", "")
    if reason not in {Badge.LOST, Badge.RETURNED}:
        raise UsageError(_("Choose whether the badge is lost or was returned."))
    if row.ended_at is not None:
        raise errors.Conflict(_("This badge has no holder any more."))
    change = badges.end(row, reason, actor=shortcuts.actor(request))
    text = (
        _("Badge reported lost: it gives no access to any machine, and gates send anyone who taps it to the desk.")
        if reason == Badge.LOST
        else _("Badge returned: it gives no access to any machine until it is assigned again.")
    )
    gates_informed.report_change(request, text, change)
    return shortcuts.redirect_to_holder(row)


def leave(request: HttpRequest, pk: str) -> HttpResponse:
    """Show what ends when a person leaves and what others must take over; then mark them as left."""
    member = shortcuts.get_member(pk)
    today = blocks.today()
    has_left = member.left_on is not None and member.left_on <= today
    if request.method == "POST":
        if has_left:
            raise errors.Conflict(_("%(name)s is already marked as left.") % {"name": member.name or member.pk})
        try:
            change = leaving.leave(member, actor=shortcuts.actor(request))
        except leaving.LastManager:
            raise errors.Conflict(_("At least one manager must remain. Make someone else manager first.")) from None
        gates_informed.report_change(
            request,
            _("%(name)s is marked as left. Badges and account no longer work.") % {"name": member.name or member.pk},
            change,
        )
        return shortcuts.redirect_to_person(member)
    context = {
        **behind.shown(),
        "member": member,
        "ties": leaving.ties(member),
        "has_left": has_left,
        "credit": credit_of(member.pk),
    }
    return render(request, "people/leave.html", context)


def come_back(request: HttpRequest, pk: str) -> HttpResponse:
    """Readmit a person who left."""
    member = shortcuts.get_member(pk)
    if member.left_on is None:
        raise errors.Conflict(_("%(name)s has not left and is still a member.") % {"name": member.name or member.pk})
    change = leaving.come_back(member, actor=shortcuts.actor(request))
    text = _("%(name)s is a member again. Assign a badge; earlier trainings still count.")
    gates_informed.report_change(request, text % {"name": member.name or member.pk}, change)
    return shortcuts.redirect_to_person(member)


def _number(text: str) -> int:
    """Return a row's id, or 0 for other text; no row has the id 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
