"""Who is this person? A new one is written down, perhaps with the badge that they hold; or one is changed."""

from __future__ import annotations

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate.collector import badges, changes, roster, twice
from fabgate.collector.door import account_of
from fabgate.collector.models import Account, Member
from fabgate.collector.pages import watched
from fabgate.collector.pages.people import desk_forms, enrol, telling
from fabgate.collector.pages.people.person_forms import NewPersonForm, PersonForm
from fabgate.collector.roles import barred_from


def new(request: HttpRequest) -> HttpResponse:
    """Write a person down; whoever comes from an unknown badge gets it with that."""
    is_manager = account_of(request).role == Account.MANAGER
    card = enrol.card_of(request)
    form = NewPersonForm(request.POST or None, is_manager=is_manager)
    status = 200 if request.method == "GET" else 400
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                with changes.made(telling.actor(request), "member.added", form.instance) as change:
                    member = form.add()
                    if card is None:
                        change.rosters = roster.versions(roster.rebuild(only_changed=True))
                if card is not None:
                    _row, change = badges.give(card, member, actor=telling.actor(request))
        except badges.Taken as error:
            form.add_error(None, desk_forms.taken(error.row))
        except IntegrityError as error:
            if not twice.is_there(error):
                raise
            form.give_way()
            status = 409
        else:
            name = member.name or member.pk
            text = _("%(name)s is written down, and the badge is theirs.") if card else _("%(name)s is written down.")
            telling.tell(request, text % {"name": name}, change)
            if others := Member.objects.filter(folded=member.folded, left_on=None).exclude(pk=member.pk)[:3]:
                numbers = ", ".join(one.pk for one in others)
                said = _("Somebody else is called %(name)s too: %(numbers)s. Is it the same person?")
                messages.warning(request, said % {"name": name, "numbers": numbers})
            return telling.to_person(member)
    context = {"form": form, "card": card, "earlier": enrol.earlier(card) if card else None}
    return render(request, "people/new.html", context, status=status)


def edit(request: HttpRequest, pk: str) -> HttpResponse:
    """Change what is written down of a person."""
    member = telling.member_of(pk)
    is_manager = account_of(request).role == Account.MANAGER
    is_own = barred_from(account_of(request)) == member.pk
    if request.method == "GET":
        form = PersonForm(instance=member, is_manager=is_manager, is_own=is_own)
        return render(request, "people/edit.html", {"form": form, "member": member})
    with transaction.atomic():
        row = watched.held(member)
        form = PersonForm(request.POST, instance=row, is_manager=is_manager, is_own=is_own)
        if is_saved := not form.is_overtaken() and form.is_valid():
            with changes.made(telling.actor(request), "member.updated", row) as change:
                form.save_typed()
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
    if is_saved:
        telling.tell(request, _("Saved."), change)
        return telling.to_person(member)
    return render(request, "people/edit.html", {"form": form, "member": member}, status=form.status)
