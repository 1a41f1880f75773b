"""Adds a person, optionally with a badge and trainings, or edits one."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.people import prerequisites, shortcuts
from fabgate.collector.faces.pages.people.badges import giving, short_forms
from fabgate.collector.faces.pages.people.person import action_forms, enrol
from fabgate.collector.faces.pages.people.person.edit_forms import NewPersonForm, PersonForm
from fabgate.collector.faces.pages.roles import barred_from
from fabgate.collector.ground.db import audit, duplicate, member_lock, pulse
from fabgate.collector.ground.models import Account, Change, Grant, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import badges, duplicates, trainings
from fabgate.collector.members.people.badges import Card
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.billing import member_plans
from fabgate.errors import UsageError


def new(request: HttpRequest) -> HttpResponse:
    """Add a person with trainings and a badge, in one transaction."""
    is_manager = account_of(request).role == Account.MANAGER
    known = card = enrol.requested_card(request)
    form = NewPersonForm(request.POST or None, is_manager=is_manager)
    badge_form = action_forms.FirstBadgeForm(request.POST or None, auto_id="badge_%s") if known is None else None
    status = 200 if request.method == "GET" else 400
    is_badge_valid = (
        badge_form is None or badge_form.is_valid()
    )  # evaluated first, so that both forms show their errors
    if form.is_bound and form.answer and is_badge_valid:
        return _give_to_known(request, form.answer, known, badge_form)
    if request.method == "POST" and form.is_valid() and is_badge_valid:
        number, given = "", []
        if badge_form is not None:
            card, number = badge_form.first, badge_form.cleaned_data["number"]
        try:
            with transaction.atomic(), pulse.deferred():
                with audit.change(shortcuts.actor(request), "member.added", form.instance) as change:
                    member = form.add(shortcuts.actor(request))
                    if card is None:
                        change.rosters = roster.versions(roster.rebuild(only_changed=True))
                changes = [change, *_given(request, member, form)]
                if card is not None:
                    row, change = giving.assign(request, card, member, number=number)
                    changes.append(change)
                    given.append(row)
        except UsageError as error:  # the badge is already assigned, perhaps only just now
            field, at = (None, form) if badge_form is None else ("typed", badge_form)
            at.add_error(field, action_forms.not_free(error) if isinstance(error, badges.Taken) else str(error))
        except IntegrityError as error:
            if not duplicate.is_there(error):
                raise
            form.offer_next_number()
            status = 409
        else:
            name = member.name or member.pk
            text = _("%(name)s added with a badge.") if card else _("%(name)s added.")
            gates_informed.report_change(request, text % {"name": name}, *changes)
            short_forms.warn(request, *given)
            prerequisites.warn(request, list(member.grants.order_by("pk")))
            return shortcuts.redirect_to_person(member)
    earlier = enrol.last_holder(known) if known else None
    has_badge = known is not None or (badge_form is not None and bool(badge_form.data.get("typed")))
    context = {"form": form, "badge_form": badge_form, "card": known, "earlier": earlier, "has_badge": has_badge}
    return render(request, "people/new.html", context, status=status)


def _give_to_known(
    request: HttpRequest, pk: str, card: Card | None, badge_form: action_forms.FirstBadgeForm | None
) -> HttpResponse:
    """Give the badge, if there is one, to the member whom the form named: nobody is added."""
    member, number = shortcuts.get_member(pk), ""
    if badge_form is not None:
        card, number = badge_form.first, badge_form.cleaned_data["number"]
    if card is not None:
        try:
            row, change = giving.assign(request, card, member, number=number)
        except badges.Taken as error:
            raise UsageError(action_forms.not_free(error)) from None
        gates_informed.report_change(request, _("Badge assigned."), change)
        short_forms.warn(request, row)
    return shortcuts.redirect_to_person(member)


def undo(request: HttpRequest, pk: str) -> HttpResponse:
    """Take back a person whom the signed-in account added by mistake a moment ago."""
    member = shortcuts.get_member_to_judge(request, pk)
    try:
        change = duplicates.undo(member, actor=shortcuts.actor(request))
    except UsageError as error:
        raise errors.Conflict(str(error)) from None
    text = _("Adding %(name)s was undone: this person is marked as left, and has no badge and no training any more.")
    gates_informed.report_change(request, text % {"name": member.name or member.pk}, change)
    return shortcuts.redirect_to_person(member)


def _given(request: HttpRequest, member: Member, form: NewPersonForm) -> Iterator[Change]:
    """Give the selected plan, and the selected trainings with the defaults of the form on a person's page."""
    if (plan := form.chosen_plan()) is not None:
        member_plans.set_plan(member, plan.name, today(), actor=shortcuts.actor(request))
    for training in form.trained():
        _grant, change = trainings.grant_training(
            member,
            training,
            Grant.AUTONOMOUS,
            actor=account_of(request),
            since=today(),
            trainer=str(account_of(request)),
        )
        if change is not None:
            yield change


def edit(request: HttpRequest, pk: str) -> HttpResponse:
    """Edit a person."""
    member = shortcuts.get_member(pk)
    is_manager = account_of(request).role == Account.MANAGER
    is_own = barred_from(account_of(request)) == member.pk
    if request.method == "GET":
        form = PersonForm(instance=member, is_manager=is_manager, is_own=is_own)
        return render(request, "people/edit.html", {"form": form, "member": member})
    concerned = [member, *PersonForm.members_named(request.POST)]
    with transaction.atomic():
        member_lock.take(concerned)
        row = stale_form.locked(member)
        form = PersonForm(request.POST, instance=row, is_manager=is_manager, is_own=is_own)
        if is_saved := not form.has_conflicts() and form.is_valid():
            with audit.change(shortcuts.actor(request), "member.updated", row) as change:
                form.save_typed(shortcuts.actor(request))
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
    if is_saved:
        gates_informed.report_change(request, _("Saved."), change)
        return shortcuts.redirect_to_person(member)
    return render(request, "people/edit.html", {"form": form, "member": member}, status=form.status)
