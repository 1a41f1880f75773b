"""Lists people and their payers, and lets managers and accountants choose the payer of a person."""

from __future__ import annotations

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.people import search, shortcuts
from fabgate.collector.faces.pages.people.payers.forms import PersonPayerForm
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.ground.db import audit, member_lock
from fabgate.collector.ground.models import Member
from fabgate.collector.members.access import roster
from fabgate.collector.money.billing.prepaid import modes


class WhoForm(forms.Form):
    """The person to search for."""

    q = forms.CharField(
        label=gettext_lazy("Name or number"),
        max_length=100,
        required=False,
        widget=forms.TextInput({"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )


def paid_for(request: HttpRequest) -> HttpResponse:
    """List the people who have a payer, or everyone who matches a search."""
    form = WhoForm(request.GET)
    q = str(form.cleaned_data["q"]).strip() if form.is_valid() else ""
    rows = Member.objects.select_related("payer__member")
    rows = search.filtered(rows, q, search.ALL, "") if q else rows.exclude(payer=None)
    sorting = Sorting(request.GET, ("name", "number", "payer"), "name")
    page = keyset.page(rows, search.keys(sorting), request.GET)
    return render(request, "people/paid_for.html", {"form": form, "page": page, "sorting": sorting, "q": q})


def payer(request: HttpRequest, pk: str) -> HttpResponse:
    """Show and choose the payer of a person. Rosters change if the credit of one of the payers is used up."""
    member = shortcuts.get_member(pk)
    if request.method == "GET":
        return _page(request, member, PersonPayerForm(instance=member))
    concerned = [member, *PersonPayerForm.members_named(request.POST)]
    with transaction.atomic():
        member_lock.take(concerned)
        held = stale_form.locked(member)
        form = PersonPayerForm(request.POST, instance=held)
        refuse_self_decision(request, *_concerned(held))
        if is_saved := not form.has_conflicts() and form.is_valid():
            refuse_self_decision(request, *_concerned(form.instance))
            with audit.change(shortcuts.actor(request), "member.updated", held) as change:
                form.choose_payer(shortcuts.actor(request))
                form.instance.save(update_fields=["payer"])
                if modes.are_in_use():
                    change.rosters = roster.versions(roster.rebuild(only_changed=True))
    if not is_saved:
        return _page(request, shortcuts.get_member(pk), form)
    gates_informed.report_change(request, _("Saved."), change)
    return see_other(reverse("people-payer", args=[pk]))


def _page(request: HttpRequest, member: Member, form: PersonPayerForm) -> HttpResponse:
    is_own = not self_and_groups(account_of(request)).isdisjoint(_concerned(member))
    context = {"member": member, "form": form, "is_own": is_own}
    return render(request, "people/payer.html", context, status=form.status)


def _concerned(member: Member) -> list[str]:
    """Return the members whose bill changes: the person, the old payer and the new one."""
    return [member.pk, *([member.payer_id] if member.payer_id else [])]
