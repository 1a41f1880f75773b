"""Who is this person? A new one is written down, perhaps with the badge that they hold; or one is changed."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate.collector.access import roster
from fabgate.collector.base import duplicate
from fabgate.collector.db import audit, pulse
from fabgate.collector.models import Account, Change, Grant, Member
from fabgate.collector.pages import stale_form
from fabgate.collector.pages.access_control import account_of
from fabgate.collector.pages.people import desk_forms, enrol, telling
from fabgate.collector.pages.people.person_forms import NewPersonForm, PersonForm
from fabgate.collector.pages.roles import barred_from
from fabgate.collector.people import badges, trainings
from fabgate.collector.people.blocks import today
from fabgate.errors import UsageError


def new(request: HttpRequest) -> HttpResponse:
    """Write a person down, with trainings and the badge that nobody has, or that is typed: all of it, or nothing."""
    is_manager = account_of(request).role == Account.MANAGER
    known = card = enrol.card_of(request)
    form = NewPersonForm(request.POST or None, is_manager=is_manager)
    badge_form = desk_forms.FirstBadgeForm(request.POST or None, auto_id="badge_%s") if known is None else None
    status = 200 if request.method == "GET" else 400
    is_badge_valid = badge_form is None or badge_form.is_valid()  # asked first, so that each says what is wrong with it
    if request.method == "POST" and form.is_valid() and is_badge_valid:
        number = ""
        if badge_form is not None:
            card, number = badge_form.first, badge_form.cleaned_data["number"]
        try:
            with transaction.atomic(), pulse.deferred():
                with audit.change(telling.actor(request), "member.added", form.instance) as change:
                    member = form.add()
                    if card is None:
                        change.rosters = roster.versions(roster.rebuild(only_changed=True))
                told = [change, *_trained(request, member, form)]
                if card is not None:
                    _row, change = badges.give(card, member, actor=telling.actor(request), number=number)
                    told.append(change)
        except UsageError as error:  # the badge is somebody's, perhaps since a moment ago
            field, at = (None, form) if badge_form is None else ("typed", badge_form)
            at.add_error(field, desk_forms.taken(error.row) if isinstance(error, badges.Taken) else str(error))
        except IntegrityError as error:
            if not duplicate.is_there(error):
                raise
            form.give_way()
            status = 409
        else:
            name = member.name or member.pk
            text = _("%(name)s is written down, and the badge is theirs.") if card else _("%(name)s is written down.")
            telling.tell(request, text % {"name": name}, *told)
            if others := Member.objects.filter(folded=member.folded, left_on=None).exclude(pk=member.pk)[:3]:
                numbers = ", ".join(one.pk for one in others)
                said = _("Somebody else is called %(name)s too: %(numbers)s. Is it the same person?")
                messages.warning(request, said % {"name": name, "numbers": numbers})
            return telling.to_person(member)
    earlier = enrol.earlier(known) if known else None
    context = {"form": form, "badge_form": badge_form, "card": known, "earlier": earlier}
    return render(request, "people/new.html", context, status=status)


def _trained(request: HttpRequest, member: Member, form: NewPersonForm) -> Iterator[Change]:
    """Grant what is ticked, as the form on a person's page does when only the training is chosen."""
    for training in form.trained():
        _grant, change = trainings.give(
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
    """Change what is written down of a person."""
    member = telling.member_of(pk)
    is_manager = account_of(request).role == Account.MANAGER
    is_own = barred_from(account_of(request)) == member.pk
    if request.method == "GET":
        form = PersonForm(instance=member, is_manager=is_manager, is_own=is_own)
        return render(request, "people/edit.html", {"form": form, "member": member})
    with transaction.atomic():
        row = stale_form.held(member)
        form = PersonForm(request.POST, instance=row, is_manager=is_manager, is_own=is_own)
        if is_saved := not form.is_overtaken() and form.is_valid():
            with audit.change(telling.actor(request), "member.updated", row) as change:
                form.save_typed()
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
    if is_saved:
        telling.tell(request, _("Saved."), change)
        return telling.to_person(member)
    return render(request, "people/edit.html", {"form": form, "member": member}, status=form.status)
