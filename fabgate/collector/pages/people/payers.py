"""For whom does somebody else pay? Managers and accountants look a person up, and choose who pays for them."""

from __future__ import annotations

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.db import audit
from fabgate.collector.models import Member
from fabgate.collector.pages import stale_form
from fabgate.collector.pages.access_control import account_of, refuse_own_cause, see_other
from fabgate.collector.pages.people import find, telling
from fabgate.collector.pages.people.payer_forms import PersonPayerForm
from fabgate.collector.pages.roles import own_causes


class WhoForm(forms.Form):
    """For whom somebody is to pay."""

    q = forms.CharField(
        label=gettext_lazy("Name or number"),
        max_length=100,
        required=False,
        widget=forms.TextInput({"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )


def payers(request: HttpRequest) -> HttpResponse:
    """List the people for whom somebody else pays; or those who are looked for, whoever pays for them."""
    form = WhoForm(request.GET)
    q = str(form.cleaned_data["q"]).strip() if form.is_valid() else ""
    rows = Member.objects.select_related("payer")
    rows = find.narrowed(rows, q, find.ALL, "") if q else rows.exclude(payer=None)
    page = find.by_name(rows, request.GET)
    return render(request, "people/payers.html", {"form": form, "page": page, "q": q})


def payer(request: HttpRequest, pk: str) -> HttpResponse:
    """Show who pays for a person, and choose somebody else. Gates do not know it: no roster is built."""
    member = telling.member_of(pk)
    if request.method == "GET":
        return _page(request, member, PersonPayerForm(instance=member))
    with transaction.atomic():
        held = stale_form.held(member)
        form = PersonPayerForm(request.POST, instance=held)
        refuse_own_cause(request, *_concerned(held))
        if is_saved := not form.is_overtaken() and form.is_valid():
            refuse_own_cause(request, *_concerned(form.instance))
            with audit.change(telling.actor(request), "member.updated", held) as change:
                form.instance.save(update_fields=["payer"])
    if not is_saved:
        return _page(request, telling.member_of(pk), form)
    telling.tell(request, _("Saved."), change)
    return see_other(reverse("people-payer", args=[pk]))


def _page(request: HttpRequest, member: Member, form: PersonPayerForm) -> HttpResponse:
    is_own = not own_causes(account_of(request)).isdisjoint(_concerned(member))
    context = {"member": member, "form": form, "is_own": is_own}
    return render(request, "people/payer.html", context, status=form.status)


def _concerned(member: Member) -> list[str]:
    """Return whose bill it is about: that of the person, and of who pays for them."""
    return [member.pk, *([member.payer_id] if member.payer_id else [])]
