"""Adds a person, optionally with a badge and trainings, or edits one."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.people import shortcuts
from fabgate.collector.faces.pages.people.badges import giving, short_forms
from fabgate.collector.faces.pages.people.person import action_forms, enrol
from fabgate.collector.faces.pages.people.person.edit_forms import NewPersonForm, PersonForm
from fabgate.collector.faces.pages.roles import barred_from
from fabgate.collector.ground.db import audit, duplicate, pulse
from fabgate.collector.ground.models import Account, Change, Grant, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import badges, trainings
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
            if others := Member.objects.filter(folded=member.folded, left_on=None).exclude(pk=member.pk)[:3]:
                numbers = ", ".join(one.pk for one in others)
                question = _("There is already a %(name)s: %(numbers)s. Is it the same person?")
                messages.warning(request, question % {"name": name, "numbers": numbers})
            return shortcuts.redirect_to_person(member)
    earlier = enrol.last_holder(known) if known else None
    context = {"form": form, "badge_form": badge_form, "card": known, "earlier": earlier}
    return render(request, "people/new.html", context, status=status)


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
    with transaction.atomic():
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
